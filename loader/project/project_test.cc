// Loading as a whole, where no golden file is needed to know what is right.
#include <chrono>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "loader/elements/cache_keys.h"
#include "loader/loader.h"
#include "store/key_inputs.h"
#include "tests/support/test_directory.h"

namespace sluice::loader {
namespace {

constexpr std::string_view kConf = "name: test\nmin-version: 2.0\nelement-path: elements\n";

class Project_ {
 public:
  Project_() {
    directory.write("project.conf", kConf);
    directory.write("user.conf", "cachedir: /tmp/cache\nsourcedir: /tmp/s\nlogdir: /tmp/l\n");
    directory.write("elements/.keep", "");
  }

  Result<LoadAnswer> load(std::vector<std::string> targets, std::string_view below = "",
                          Bodies bodies = {}) {
    LoadRequest request;
    request.bodies = std::move(bodies);
    request.directory = directory / below;
    request.config = directory / "user.conf";
    request.targets = std::move(targets);
    LoadHooks hooks;
    hooks.digest_local = [](const std::string&) -> Result<model::Digest> {
      return model::Digest{std::string(64, '0'), 0};
    };
    return loader::load(request, hooks);
  }
  std::string refused(std::string_view target_text) {
    directory.write("elements/target.bst", target_text);
    return refused_by(load({"target.bst"}));
  }
  static std::string refused_by(const Result<LoadAnswer>& answer) {
    REQUIRE_FALSE(answer);
    return answer.error().reason + " " + answer.error().str();
  }

  TestDirectory directory;
};

TEST_CASE("what is not supported yet says so by name") {
  Project_ project;
  project.directory.write("project.conf",
                          std::string(kConf) + "mirrors:\n- name: a\n  kind: mine\n");
  CHECK(project.refused("kind: manual\n") ==
        "plugin-not-found project.conf [line 5 column 2]: No source-mirror plugin registered for "
        "kind 'mine'");
}

TEST_CASE("J70, J71: where an element is to be built follows from its sandbox and a variable") {
  Project_ project;
  const std::string rest = "config:\n  build-commands:\n  - make\n";
  const auto load = [&](std::string_view text) {
    project.directory.write("elements/it.bst", text);
    auto answer = project.load({"it.bst"});
    INFO((answer ? std::string() : answer.error().str()));
    REQUIRE(answer);
    return std::get<LoadedSnapshot>(*answer).snapshot.elements.at(0);
  };
  const auto plain = load("kind: manual\n" + rest);
  CHECK(plain.platform.starts_with("linux/"));
  CHECK(plain.labels.empty());
  const auto other = load("kind: manual\nsandbox:\n  build-arch: power-isa-be\n" + rest);
  CHECK(other.platform == "linux/power-isa-be");
  CHECK(other.keys.strict != plain.keys.strict);
  const auto with_labels =
      load("kind: manual\nvariables:\n  size: big\n  runner-labels: '%{size}-memory, gpu  gpu '\n" +
           rest);
  CHECK(with_labels.labels == std::vector<std::string>{"big-memory", "gpu"});
  // Labels are in no key, weak or strong.
  CHECK(with_labels.keys.strict == plain.keys.strict);
  CHECK(with_labels.keys.weak == plain.keys.weak);
  // Nothing is run to make a stack, wherever that is done.
  const auto stack = load("kind: stack\nvariables:\n  runner-labels: a\n");
  CHECK(stack.platform.empty());
  CHECK(stack.labels == std::vector<std::string>{"a"});
  // A value that nothing makes sense of is said at its place.
  project.directory.write("elements/it.bst",
                          "kind: stack\nvariables:\n  runner-labels: '%{nobody}'\n");
  CHECK(Project_::refused_by(project.load({"it.bst"})).find("nobody") != std::string::npos);
}

TEST_CASE("an element that is named with the element path in front is told without it") {
  for (const char* written : {"elements", "./elements", "elements/"}) {
    Project_ project;
    project.directory.write(
        "project.conf", fmt::format("name: test\nmin-version: 2.0\nelement-path: {}\n", written));
    project.directory.write("elements/it.bst", "kind: stack\n");
    const auto answer = project.load({"elements/it.bst"});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().detail == "Did you mean 'it.bst'?");
  }
}

TEST_CASE("a name that no element has is told with those that are near") {
  Project_ project;
  project.directory.write("project.conf",
                          "name: test\nmin-version: 2.0\nelement-path: elements\noptions:\n  "
                          "color:\n    type: enum\n    description: c\n    values: [red, green]\n"
                          "    default: red\n");
  for (const char* name : {"hello", "app", "base/zlib", "base/libpng", "other/libpng"})
    project.directory.write(fmt::format("elements/{}.bst", name), "kind: stack\n");
  project.directory.write("elements/wrong.bst", "kind: stack\ndepends: [helo.bst]\n");
  const auto detail = [&](const std::string& name) {
    const auto answer = project.load({name});
    REQUIRE_FALSE(answer);
    const std::string& text = answer.error().detail;
    const auto at = text.find("Did you mean");
    return at == std::string::npos ? "" : text.substr(at);
  };
  CHECK(detail("helo.bst") == "Did you mean 'hello.bst'?");
  CHECK(detail("hello") == "Did you mean 'hello.bst'?");
  CHECK(detail("helo") == "Did you mean 'hello.bst'?");
  CHECK(detail("base/zlib") == "Did you mean 'base/zlib.bst'?");
  CHECK(detail("zlib.bst") == "Did you mean 'base/zlib.bst'?");
  CHECK(detail("zlb.bst") == "Did you mean 'base/zlib.bst'?");
  CHECK(detail("base/zlb.bst") == "Did you mean 'base/zlib.bst'?");
  CHECK(detail("./elements/base/zlib") == "Did you mean 'base/zlib.bst'?");
  CHECK(detail("elements/helo.bst") == "Did you mean 'hello.bst'?");
  CHECK(detail("libpng.bst") == "Did you mean 'base/libpng.bst' or 'other/libpng.bst'?");
  CHECK(detail("wrong.bst") == "Did you mean 'hello.bst'?");
  CHECK(detail("nothing.bst").empty());
}

TEST_CASE("mirrors of buildstream-plugins are known, plugins of others are asked what they have") {
  Project_ project;
  project.directory.write(
      "plugins/mine.py",
      "from buildstream import SourceMirror\n\nclass Mine(SourceMirror):\n    BST_MIN_VERSION = "
      "\"2.2\"\n\n"
      "    def configure(self, node):\n        self.set_supported_aliases([\"up\"])\n\n"
      "def setup():\n    return Mine\n");
  project.directory.write("project.conf",
                          std::string(kConf) +
                              "aliases: {up: http://up/, down: http://down/}\n"
                              "plugins:\n- origin: pip\n  package-name: buildstream-plugins\n  "
                              "source-mirrors: [simple_mirror]\n"
                              "- {origin: local, path: plugins, source-mirrors: [mine]}\n"
                              "mirrors:\n- name: m\n  kind: simple_mirror\n  config: {url: "
                              "'http://m/{alias}/{{x}}', aliases: [down, up]}\n"
                              "- name: n\n  kind: mine\n  config: {a: b}\n");
  project.directory.write(
      "user.conf",
      "cachedir: /tmp/cache\nsourcedir: /tmp/s\nlogdir: /tmp/l\nfetch: {source: all}\n");
  project.directory.write("elements/it.bst",
                          "kind: import\nsources: [{kind: tar, url: 'up:a.tar', ref: abc}]\n");
  LoadRequest request;
  request.directory = project.directory.str();
  request.config = project.directory / "user.conf";
  request.targets = {"it.bst"};
  auto answer = load(request, LoadHooks{});
  if (!answer) FAIL(answer.error().str());
  const LoadedSnapshot asked = std::get<LoadedSnapshot>(*answer);
  CHECK(asked.bodies.at(0).sources.at(0).urls ==
        std::vector<std::string>{"http://m/up/{x}/a.tar", "plugin-mirror:0:up:a.tar",
                                 "http://up/a.tar"});
  CHECK(asked.bodies.at(0).sources.at(0).plugin.file.empty());
  CHECK(asked.snapshot.warnings.empty());

  project.directory.write("user.conf",
                          "cachedir: /tmp/cache\nsourcedir: /tmp/s\nlogdir: /tmp/l\n"
                          "fetch: {source: all}\nplugins: {enabled: false}\n");
  answer = load(request, LoadHooks{});
  if (!answer) FAIL(answer.error().str());
  const LoadedSnapshot& loaded = std::get<LoadedSnapshot>(*answer);
  CHECK(loaded.bodies.at(0).sources.at(0).urls ==
        std::vector<std::string>{"http://m/up/{x}/a.tar", "http://up/a.tar"});
  REQUIRE(loaded.snapshot.warnings.size() == 1);
  CHECK(loaded.snapshot.warnings[0] ==
        "project.conf [line 14 column 2]: Mirror 'n' is not used: source-mirror kind 'mine' is not "
        "supported, "
        "for what it does is only said in Python");
}

// URLs aren't part of keys, so no golden file tells.
TEST_CASE("URLs of a subproject are what its parents make of them") {
  Project_ project;
  project.directory.write(
      "user.conf",
      "cachedir: /tmp/cache\nsourcedir: /tmp/s\nlogdir: /tmp/l\nfetch: {source: all}\n"
      "projects: {sub: {mirrors: [{name: m, aliases: {own: [http://user/]}}]}}\n");
  project.directory.write(
      "project.conf", std::string(kConf) +
                          "aliases: {up: 'http://up/%{project-name}/', same: http://same/}\n"
                          "mirrors:\n- name: one\n  aliases: {up: [http://one/, http://one-b/]}\n"
                          "- name: two\n  aliases: {up: [http://two/]}\n");
  project.directory.write(
      "elements/sub.bst",
      "kind: junction\nsources: [{kind: local, path: sub}]\nconfig:\n  aliases: {there: up}\n");
  project.directory.write(
      "sub/project.conf",
      "name: sub\nmin-version: 2.0\naliases: {there: http://there/, own: http://own/}\n");
  const auto source_of = [&](std::string_view url, const std::string& mirror) {
    project.directory.write(
        "sub/it.bst",
        fmt::format("kind: import\nsources: [{{kind: tar, url: '{}', ref: abc}}]\n", url));
    LoadRequest request;
    request.directory = project.directory.str();
    request.config = project.directory / "user.conf";
    request.targets = {"sub.bst:it.bst"};
    request.overrides.default_mirror = mirror;
    LoadHooks hooks;
    hooks.digest_local = [](const std::string&) -> Result<model::Digest> {
      return model::Digest{std::string(64, '0'), 0};
    };
    const auto answer = load(request, hooks);
    if (!answer) FAIL(answer.error().str());
    return std::get<LoadedSnapshot>(*answer).bodies.at(0).sources.at(0);
  };
  using Urls = std::vector<std::string>;
  model::Source source = source_of("there:a.tar", "");
  CHECK(source.original_url == "there:a.tar");
  CHECK(source.url == "http://up/test/a.tar");
  CHECK(source.urls ==
        Urls{"http://one/a.tar", "http://one-b/a.tar", "http://two/a.tar", "http://up/test/a.tar"});
  source = source_of("there:a.tar", "two");
  CHECK(source.urls ==
        Urls{"http://two/a.tar", "http://one/a.tar", "http://one-b/a.tar", "http://up/test/a.tar"});
  source = source_of("own:a.tar", "");
  CHECK(source.url == "http://own/a.tar");
  CHECK(source.urls == Urls{"http://user/a.tar", "http://own/a.tar"});
  source = source_of("http://else/a.tar", "");
  CHECK(source.url == "http://else/a.tar");
  CHECK(source.urls.empty());
  project.directory.write(
      "elements/sub.bst",
      "kind: junction\nsources: [{kind: local, path: sub}]\nconfig: {map-aliases: identity}\n");
  project.directory.write("sub/project.conf",
                          "name: sub\nmin-version: 2.0\naliases: {same: http://there/}\n");
  CHECK(source_of("same:a.tar", "").url == "http://same/a.tar");
}

// BuildStream ends in a RecursionError here.
TEST_CASE("a project that takes plugins from behind a junction to itself") {
  Project_ project;
  project.directory.write(
      "project.conf",
      std::string(kConf) +
          "plugins:\n- origin: junction\n  junction: self.bst\n  elements: [odd]\n");
  project.directory.write("elements/self.bst",
                          "kind: junction\nsources: [{kind: local, path: ''}]\n");
  const std::string said = project.refused("kind: odd\n");
  INFO(said);
  CHECK(said.starts_with("circular-dependency "));
  CHECK(said.find("project.conf [line 5 column 2]") != std::string::npos);
}

TEST_CASE("a junction whose sources aren't there is what is needed") {
  Project_ project;
  project.directory.write(
      "elements/sub.bst",
      "kind: junction\nsources: [{kind: tar, url: http://x/a.tar, ref: abc}]\n");
  project.directory.write("elements/a.bst", "kind: stack\ndepends: ['sub.bst:it.bst']\n");
  const auto answer = project.load({"a.bst"});
  if (!answer) FAIL(answer.error().str());
  const Needs& needs = std::get<Needs>(*answer);
  REQUIRE(needs.junctions.size() == 1);
  CHECK(needs.junctions[0].full_name == "sub.bst");
  CHECK(needs.junctions[0].provenance.str() == "a.bst [line 2 column 10]");
  REQUIRE(needs.known.snapshot.elements.size() == 1);
  CHECK(needs.known.snapshot.elements[0].kind == "junction");
  CHECK_FALSE(needs.known.snapshot.elements[0].builds);
  CHECK(needs.known.bodies[0].sources.at(0).url == "http://x/a.tar");
  CHECK(needs.known.selection.size() == 1);
}

TEST_CASE("the project is found from below, and only there") {
  Project_ project;
  project.directory.write("elements/deep/a.bst", "kind: stack\n");
  CHECK(project.load({"deep/a.bst"}, "elements/deep"));
  CHECK(project.load({"./deep/../deep/a.bst"}));
  TestDirectory empty;
  LoadRequest request;
  request.directory = empty.str();
  request.config = project.directory / "user.conf";
  const auto answer = load(request, {});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().domain == "stream");
  CHECK(answer.error().reason == "project-not-loaded");
  CHECK(Project_::refused_by(project.load({project.directory / "elements/deep/a.bst"}))
            .starts_with("invalid-data Target '"));
}

TEST_CASE("without targets every element of the project is one") {
  Project_ project;
  project.directory.write("elements/a.bst", "kind: stack\n");
  project.directory.write("elements/sub/b.bst", "kind: stack\ndepends: [a.bst]\n");
  project.directory.write("elements/.bst/c.bst", "kind: stack\n");
  project.directory.write("elements/readme.txt", "");
  const auto answer = project.load({});
  REQUIRE(answer);
  const LoadedSnapshot& loaded = std::get<LoadedSnapshot>(*answer);
  REQUIRE(loaded.snapshot.elements.size() == 2);
  CHECK(loaded.snapshot.elements[0].name == "a.bst");
  CHECK(loaded.snapshot.elements[1].name == "sub/b.bst");
  CHECK(loaded.snapshot.targets.size() == 2);
}

TEST_CASE("local paths don't leave the project by links") {
  Project_ project;
  std::filesystem::create_symlink("/usr", project.directory / "link");
  std::filesystem::create_directories(project.directory / "dir");
  std::filesystem::create_symlink("/usr", project.directory / "dir/link");
  const auto local = [](std::string_view path) {
    return fmt::format("kind: import\nsources:\n- kind: local\n  path: {}\n", path);
  };
  CHECK(project.refused(local("link")).starts_with("proj-path-invalid-kind "));
  CHECK(project.refused(local("link/")).starts_with("proj-path-invalid-kind "));
  CHECK(project.refused(local("dir/link/bin")).starts_with("proj-path-invalid "));
  CHECK(project.refused(local("dir/../..")).starts_with("proj-path-invalid "));
  project.directory.write("elements/good.bst", local("dir"));
  CHECK(project.load({"good.bst"}));
}

TEST_CASE("includes that multiply end in an error") {
  Project_ project;
  for (int i = 0; i < 30; ++i) {
    project.directory.write(fmt::format("i{}.yml", i),
                            fmt::format("a:\n  (@): i{}.yml\nb:\n  (@): i{}.yml\n", i + 1, i + 1));
  }
  project.directory.write("i30.yml", "x: y\n");
  CHECK(project.refused("kind: manual\nvariables:\n  (@): i0.yml\n")
            .starts_with("recursive-include "));
}

// Chains are what recursion and quadratic keys break on.
TEST_CASE("a chain of 5000 elements") {
  Project_ project;
  constexpr int kLength = 5000;
  for (int i = 0; i < kLength; ++i) {
    project.directory.write(fmt::format("elements/e{}.bst", i),
                            i == 0 ? std::string("kind: stack\n")
                                   : fmt::format("kind: stack\ndepends:\n- e{}.bst\n", i - 1));
  }
  const auto answer = project.load({fmt::format("e{}.bst", kLength - 1)});
  if (!answer) FAIL(answer.error().str());
  const LoadedSnapshot& loaded = std::get<LoadedSnapshot>(*answer);
  REQUIRE(loaded.snapshot.elements.size() == kLength);
  CHECK(loaded.snapshot.elements.front().name == "e0.bst");
  CHECK(loaded.snapshot.elements.back().keys.full.size() == 64);
}

TEST_CASE("key inputs and the keys of dependencies make the key") {
  Project_ project;
  project.directory.write("files/a", "a");
  project.directory.write("elements/base.bst",
                          "kind: import\nsources:\n- kind: local\n  path: files\n");
  project.directory.write(
      "elements/lib.bst",
      "kind: manual\ndepends: [base.bst]\nenvironment: {A: \"\\u00e9/\\\"\"}\n");
  project.directory.write("elements/app.bst",
                          "kind: manual\nbuild-depends: [lib.bst]\npublic: {x: [1, {y: z}]}\n");
  const auto load = [&](Bodies bodies) {
    auto answer = project.load({"app.bst"}, "", std::move(bodies));
    REQUIRE(answer);
    return std::move(std::get<LoadedSnapshot>(*answer));
  };
  const LoadedSnapshot loaded = load({.key_inputs = true});
  const auto& elements = loaded.snapshot.elements;
  REQUIRE(elements.size() == 3);
  std::vector<store::KeyDependency> dependencies;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const std::string& inputs = loaded.bodies[i].key_inputs;
    CHECK(inputs.starts_with("{\"core-artifact-version\":11,\"element-base-key\":"));
    // The key is made of the inputs and the keys of all that come before.
    CHECK(store::key_of(inputs, dependencies, elements[i].keys.weak) == elements[i].keys.strict);
    CHECK(store::key_of(inputs + " ", dependencies, elements[i].keys.weak) !=
          elements[i].keys.strict);
    dependencies.push_back({"test", elements[i].name, elements[i].keys.strict});
  }
  CHECK(load({}).bodies[2].key_inputs.empty());
  // Inputs are also given for some elements only.
  const LoadedSnapshot some = load({.only = {"lib.bst"}, .key_inputs = true});
  REQUIRE(some.bodies.size() == 1);
  CHECK(some.bodies[0].key_inputs == loaded.bodies[1].key_inputs);
  CHECK(load({.any = false}).bodies.empty());
}

}  // namespace
}  // namespace sluice::loader
