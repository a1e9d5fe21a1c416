// Plugins: what is told from their text, packages of python3, versions and requirements.
#include <filesystem>
#include <map>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "loader/elements/kinds.h"
#include "loader/loader.h"
#include "loader/python/python_packages.h"
#include "loader/python/python_text.h"
#include "loader/python/python_version.h"
#include "loader/yaml.h"
#include "tests/support/test_directory.h"

namespace sluice::loader {
namespace {

// Sets variables of the environment, and puts back what was there.
class Environment {
 public:
  void set(const char* name, const std::string& value) {
    const char* before = std::getenv(name);
    before_.emplace(name, before != nullptr ? std::optional<std::string>(before) : std::nullopt);
    ::setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : before_)
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

std::vector<std::string> texts(std::string_view python) {
  std::vector<std::string> result;
  for (const PythonLine& line : python_lines(python))
    result.push_back(fmt::format("{} {}", line.indent, line.text));
  return result;
}

using Texts = std::vector<std::string>;

TEST_CASE("lines of Python are statements") {
  CHECK(texts("a = 1  # one\n\n# none\n  b(\n 2,\n3 )\nc\\\n d\n") ==
        Texts{"0 a = 1", "2 b( 2, 3 )", "0 c d"});
  CHECK(texts("x = '#' + \"it's\" + '''a\n# \"b\"\n'''\ny") ==
        Texts{"0 x = '#' + \"it's\" + '''a\n# \"b\"\n'''", "0 y"});
  CHECK(texts("s = 'a\\'b'\n\tt") == Texts{"0 s = 'a\\'b'", "8 t"});
  for (const char* broken : {"a = (1\n", "a = 1)\n", "s = 'abc\n", "s = '''abc", "x = '\\"})
    CHECK(texts(broken).empty());
}

constexpr std::string_view kPlain = R"(
"""A text.

def setup():
    return Nothing
"""
from buildstream import BuildElement


class Mine(BuildElement):
    """Brings defaults."""

    # pylint: disable=nothing

    BST_MIN_VERSION = "2.1"
    BST_ARTIFACT_VERSION = 4


def setup():
    return Mine
)";

Result<PluginClass> read(std::string text, std::string_view noun = "element") {
  return read_plugin_class(text, noun, "mine");
}

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kPlain);
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("a plugin is plain when nothing in it could behave") {
  const auto plain = read(std::string(kPlain));
  REQUIRE(plain);
  CHECK(plain->plain);
  CHECK(plain->base == "BuildElement");
  CHECK(plain->number("BST_ARTIFACT_VERSION") == 4);
  CHECK(plain->string("BST_MIN_VERSION") == "2.1");

  const std::vector<std::pair<std::string_view, std::string_view>> changes = {
      {"import BuildElement", "import BuildElement as Base"},
      {"from buildstream", "from elsewhere"},
      {"class Mine(BuildElement):", "@decorated\nclass Mine(BuildElement):"},
      {"class Mine(BuildElement):", "class Mine(BuildElement, Other):"},
      {"class Mine(BuildElement):", "class Mine(BuildElement): x = 1"},
      {"    BST_ARTIFACT_VERSION = 4", "    OTHER = 4"},
      {"    BST_ARTIFACT_VERSION = 4", "    BST_ARTIFACT_VERSION = four()"},
      {"    BST_ARTIFACT_VERSION = 4", "    def configure(self, node):\n        pass"},
      {"    BST_ARTIFACT_VERSION = 4", "    if True:\n        x = 1"},
      {"def setup():\n    return Mine", "Mine.configure = None\n\n\ndef setup():\n    return Mine"},
      {"    return Mine", "    Mine.x = 1\n    return Mine"},
      {"from buildstream import BuildElement\n",
       "from buildstream import BuildElement\nimport os\n"},
  };
  for (const auto& [from, to] : changes) {
    INFO(to);
    const auto changed = read(from == "    return Mine"
                                  ? std::string(kPlain).replace(kPlain.rfind(from), from.size(), to)
                                  : replaced(from, to));
    REQUIRE(changed);
    CHECK_FALSE(changed->plain);
    CHECK(plugin_element_kind(*changed, "mine", "").configure == nullptr);
  }
  CHECK(plugin_element_kind(*plain, "mine", "").configure != nullptr);
  CHECK(plugin_element_kind(*plain, "mine", "").artifact_version == 4);
}

TEST_CASE("bodies may stand beside their heads") {
  const std::string import = "from buildstream import BuildElement\n";
  const auto found = read(import +
                          "class Mine(BuildElement): BST_MIN_VERSION = '2.0'; BST_ARTIFACT_VERSION "
                          "= 3\ndef setup() -> type: return Mine\n");
  REQUIRE(found);
  CHECK(found->plain);
  CHECK(found->name == "Mine");
  CHECK(found->string("BST_MIN_VERSION") == "2.0");
  CHECK(found->number("BST_ARTIFACT_VERSION") == 3);
  const auto refused = [&](const std::string& text) {
    const auto answer = read(import + text);
    return answer ? std::string("fine") : answer.error().reason;
  };
  CHECK(refused("class Mine(BuildElement): pass\ndef setup(): return Mine\n") ==
        "missing-min-version");
  CHECK(refused("class Mine: pass\ndef setup(): return Mine\n") == "setup-returns-bad-type");
  CHECK(refused("def setup(): return 'a:b;c'\n") == "setup-returns-not-type");
  CHECK(refused("def setup(): return 5;\n") == "setup-returns-not-type");
  CHECK(refused("x = 1; setup = 5\n") == "setup-is-not-function");
  const auto method = read(import +
                           "class Mine(BuildElement):\n  BST_MIN_VERSION = '2.0'\n  def "
                           "configure(self, node): pass\ndef setup(): return Mine\n");
  REQUIRE(method);
  CHECK_FALSE(method->plain);
  CHECK(method->methods.contains("configure"));
}

TEST_CASE("what isn't understood of a plugin is no error") {
  for (const char* text :
       {"from somewhere import setup\n", "from somewhere import *\n", "setup = make()\n",
        "def setup():\n    return make()\n", "def setup():\n    x = 1\n    return x\n",
        "import x\n\n\ndef setup():\n    return x.Y\n", "def setup(:\n"}) {
    INFO(text);
    const auto found = read(text);
    REQUIRE(found);
    CHECK_FALSE(found->plain);
  }
  // A class may descend from something unknown, which may have its version.
  CHECK(read("from x import Base\n\n\nclass A(Base):\n    pass\n\n\ndef setup():\n    return A\n"));
}

TEST_CASE("methods are known by their text") {
  const std::string_view method =
      "    def get_unique_key(self):\n        # a comment\n        return [self.url,\n             "
      "   self.ref]\n";
  const auto with = [&](std::string_view body) {
    const auto found = read(replaced("    BST_ARTIFACT_VERSION = 4\n", body));
    REQUIRE(found);
    return found->fingerprint("get_unique_key");
  };
  const std::string fingerprint = with(method);
  CHECK(fingerprint.size() == 64);
  CHECK(with("    def get_unique_key(self):\n\n        return [self.url, self.ref]\n") ==
        fingerprint);
  CHECK(with("    def get_unique_key(self):\n        return [self.ref, self.url]\n") !=
        fingerprint);
  CHECK(with("").empty());
}

TEST_CASE("versions of Python packages are ordered") {
  const std::vector<std::string_view> ascending = {
      "0.9",    "1.0.dev3", "1.0a1",          "1.0a2.dev1", "1.0a2",     "1.0b1",
      "1.0rc1", "1",        "1.0.post1.dev2", "1.0-1",      "1.0.post2", "1.0.1",
      "1.10",   "2",        "1!0.1"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      INFO(ascending[i] << " " << ascending[j]);
      CHECK(compare(*parse_python_version(ascending[i]), *parse_python_version(ascending[j])) ==
            (i < j   ? -1
             : i > j ? 1
                     : 0));
    }
  }
  CHECK(compare(*parse_python_version("v1.0-ALPHA.1"), *parse_python_version("1a1")) == 0);
  CHECK(compare(*parse_python_version("1.0.0"), *parse_python_version("1+local.2")) == 0);
  for (const char* text :
       {"", "a", "1.", "1..2", "1.0x", "1.0+", "1.0+-a", "1 2", "99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(parse_python_version(text));
  }
}

bool fits(std::string_view requirement, std::string_view version) {
  const auto parsed = parse_python_requirement(requirement);
  REQUIRE(parsed);
  return parsed->contains(version);
}

TEST_CASE("requirements are met or not") {
  CHECK(fits("sample-plugins>=1.0,<1.2.5,!=1.1.3", "1.2.3"));
  CHECK_FALSE(fits("sample-plugins>=1.4", "1.2.3"));
  CHECK(fits("a", "0.1"));
  CHECK(fits("a [x,y] (>= 1, == 1.*) ; python_version > '3'", "1.7"));
  CHECK_FALSE(fits("a ~= 1.4.5", "1.5"));
  CHECK(fits("a ~= 1.4.5", "1.4.9"));
  CHECK_FALSE(fits("a ~= 1.4.5", "1.4.4"));
  CHECK_FALSE(fits("a != 2.8.*", "2.8.0"));
  CHECK(fits("a == 1.0", "1.0.0+local"));
  CHECK_FALSE(fits("a < 1.0", "1.0rc1"));
  CHECK_FALSE(fits("a > 1.0", "1.0.post1"));
  CHECK(fits("a >= 1.0", "1.0.post1"));
  CHECK(fits("a === weird", "WEIRD"));
  CHECK(fits("a >= 2.0", "2.1.dev1"));
  for (const char* text : {"", ">=1", "a >= ", "a 1.0", "a >1.4,A", "a ~= 1", "a >= 1.*", "a-",
                           "a [x", "a; ", "a (>=1"}) {
    INFO(text);
    CHECK_FALSE(parse_python_requirement(text));
  }
  CHECK(normal_package_name("BuildStream_.-Plugins") == "buildstream-plugins");
}

// Installs a package for a python3.
void install(const TestDirectory& root, const std::string& site) {
  root.write("usr/bin/python3.11", "");
  std::filesystem::create_symlink("python3.11", root / "usr/bin/python3");
  root.write(site + "/buildstream_plugins-2.5.1.dist-info/METADATA",
             "Metadata-Version: 2.1\nName: buildstream-plugins\nVersion: 2.5.1\n\nVersion: 0\n");
  root.write(site + "/buildstream_plugins-2.5.1.dist-info/entry_points.txt",
             "[other]\nmake = nothing\n\n[buildstream.plugins.elements]\nmake = "
             "buildstream_plugins.elements.make\nodd = odd.plugin:attr [extra]\n"
             "gone = buildstream_plugins.gone\n");
  root.write(site + "/buildstream_plugins/elements/make.py", kPlain);
  root.write(site + "/buildstream_plugins/elements/make.yaml",
             "config:\n  build-commands: [made by the package]\n");
  root.write(site + "/odd/plugin/__init__.py", "");
}

TEST_CASE("packages are found where python3 finds them") {
  for (const char* site : {"usr/lib/python3/dist-packages", "usr/lib/python3.11/site-packages",
                           "usr/local/lib/python3.11/dist-packages",
                           "home/.local/lib/python3.11/site-packages", "elsewhere"}) {
    INFO(site);
    TestDirectory root;
    install(root, site);
    Environment environment;
    environment.set("PATH", root / "nothing" + ":" + root / "usr/bin");
    environment.set("HOME", root / "home");
    environment.set("PYTHONPATH", root / "elsewhere");
    Lookups lookups;
    PythonPackages packages(lookups);
    const auto package = packages.find("BuildStream_Plugins");
    REQUIRE(package);
    CHECK(package->name == "buildstream-plugins");
    CHECK(package->version == "2.5.1");
    CHECK(package->site == root / site);
    CHECK(**packages.entry_point(*package, "buildstream.plugins.elements", "make") ==
          root / site + "/buildstream_plugins/elements/make.py");
    CHECK(**packages.entry_point(*package, "buildstream.plugins.elements", "odd") ==
          root / site + "/odd/plugin/__init__.py");
    CHECK_FALSE(*packages.entry_point(*package, "buildstream.plugins.sources", "make"));
    CHECK_FALSE(packages.entry_point(*package, "buildstream.plugins.elements", "gone"));
    CHECK_FALSE(packages.find("buildstream"));
  }
}

TEST_CASE("a virtual environment hides the system's packages, unless it says so") {
  TestDirectory root;
  install(root, "usr/lib/python3/dist-packages");
  root.write("venv/pyvenv.cfg",
             fmt::format("home = {}\ninclude-system-site-packages = false\n", root / "usr/bin"));
  root.write("venv/lib/python3.11/site-packages/x", "");
  std::filesystem::create_directories(root / "venv/bin");
  std::filesystem::create_symlink(root / "usr/bin/python3", root / "venv/bin/python3");
  Environment environment;
  environment.set("PATH", root / "venv/bin");
  environment.set("HOME", root / "home");
  environment.set("PYTHONPATH", "");
  {
    Lookups lookups;
    CHECK_FALSE(PythonPackages(lookups).find("buildstream-plugins"));
  }
  root.write("venv/pyvenv.cfg",
             fmt::format("home = {}\ninclude-system-site-packages = true\n", root / "usr/bin"));
  Lookups lookups;
  CHECK(PythonPackages(lookups).find("buildstream-plugins"));
}

TEST_CASE("the defaults of an installed package stand above those that are built in") {
  TestDirectory root;
  install(root, "usr/lib/python3/dist-packages");
  root.write("project/project.conf",
             "name: installed\nmin-version: 2.0\nplugins:\n- origin: pip\n  package-name: "
             "buildstream-plugins\n  elements: [make, gone, cmake]\n");
  root.write("project/a.bst", "kind: make\n");
  root.write("project/b.bst", "kind: cmake\n");
  root.write("user.conf", "{}\n");
  Environment environment;
  environment.set("PATH", root / "usr/bin");
  environment.set("HOME", root / "home");
  environment.set("PYTHONPATH", "");
  LoadRequest request;
  request.directory = root / "project";
  request.config = root / "user.conf";
  request.targets = {"a.bst"};
  const auto answer = load(request, {});
  if (!answer) FAIL(answer.error().str());
  const auto& loaded = std::get<LoadedSnapshot>(*answer);
  CHECK(yaml::dump(loaded.bodies[0].config) == "build-commands:\n- made by the package\n");
  REQUIRE(loaded.snapshot.projects[0].element_plugins.size() == 1);
  CHECK(loaded.snapshot.projects[0].element_plugins[0].second ==
        fmt::format("python package 'buildstream-plugins' version 2.5.1 at: "
                    "{}/usr/lib/python3/dist-packages/buildstream_plugins/elements",
                    root.str()));
  CHECK_FALSE(loaded.snapshot.elements[0].keys.strict.empty());
  // When a package is there, it is asked for all of its kinds.
  request.targets = {"b.bst"};
  const auto missing = load(request, {});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().reason == "plugin-not-found");
}

// The name of a kind is printed long after the element that it was first met at has moved.
TEST_CASE("a plugin's kind keeps its name while other projects are loaded") {
  TestDirectory root;
  root.write(
      "project.conf",
      "name: top\nmin-version: 2.0\nplugins:\n- {origin: local, path: plugins, elements: [odd]}\n"
      "- {origin: junction, junction: sub.bst, elements: [far]}\n");
  const auto plugin = [](std::string_view name) {
    return fmt::format(
        "from buildstream import BuildElement\n\nclass {0}(BuildElement):\n    BST_MIN_VERSION = "
        "\"2.0\"\n"
        "    BST_FORBID_SOURCES = True\n\ndef setup():\n    return {0}\n",
        name);
  };
  root.write("plugins/odd.py", plugin("Odd"));
  root.write("sub.bst", "kind: junction\nsources:\n- {kind: local, path: sub}\n");
  root.write(
      "sub/project.conf",
      "name: sub\nmin-version: 2.0\nplugins:\n- {origin: local, path: plugins, elements: [far]}\n");
  root.write("sub/plugins/far.py", plugin("Far"));
  root.write("a.bst", "kind: odd\ndepends: [b.bst]\nsources:\n- {kind: local, path: plugins}\n");
  root.write("b.bst", "kind: far\n");
  root.write("user.conf", "{}\n");
  LoadRequest request;
  request.directory = root.str();
  request.config = root / "user.conf";
  request.targets = {"a.bst"};
  LoadHooks hooks;
  hooks.digest_local = [](const std::string&) -> Result<model::Digest> {
    return model::Digest{std::string(64, '0'), 0};
  };
  const auto answer = load(request, hooks);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().str() ==
        "odd element at a.bst [line 1 column 0]: Sources are forbidden for 'odd' elements");
}

}  // namespace
}  // namespace sluice::loader
