// Commands and actions against those that BuildStream 2.8.1 made. They were read from its cache
// after builds of elements with these commands, with an execution-service in its configuration.
#include "remote/actions.h"

#include <catch2/catch.hpp>

namespace sluice::remote {
namespace {

wire::ExecuteRequest request_of(std::string script, std::string directory) {
  wire::ExecuteRequest request;
  request.argv = {"sh", "-c", "-e", std::move(script)};
  request.directory = directory;
  request.environment = {{"PATH", "/usr/bin:/bin:/usr/sbin:/sbin"},
                         {"SHELL", "/bin/sh"},
                         {"TERM", "dumb"},
                         {"USER", "tomjon"},
                         {"USERNAME", "tomjon"},
                         {"LOGNAME", "tomjon"},
                         {"LC_ALL", "C"},
                         {"HOME", "/tmp"},
                         {"TZ", "UTC"},
                         {"SOURCE_DATE_EPOCH", "1321009871"},
                         {"PWD", std::move(directory)}};
  request.platform = {{"ISA", "x86-64"}, {"OSFamily", "linux"}};
  return request;
}

}  // namespace

TEST_CASE("a command and its action are BuildStream's to the last byte") {
  // spec/sandbox.md S41
  auto build = request_of(
      "(set -ex; sh -c -e 'echo before\n') || (echo Command ''\"'\"'echo before'\"'\"'' failed "
      "with exitcode $? >&2 ; exit 1)\n"
      "(set -ex; sh -c -e 'exit 7\n') || (echo Command ''\"'\"'exit 7'\"'\"'' failed with "
      "exitcode $? >&2 ; exit 1)\n"
      "(set -ex; sh -c -e '\n') || (echo Command ''\"'\"'sh -c -e '\"'\"'\n'\"'\"''\"'\"'' failed "
      "with exitcode $? >&2 ; exit 1)\n"
      "rm -rf -- /buildstream/rex/fails.bst || true\n"
      "mkdir -p /buildstream/rex/fails.bst || true\n",
      "/buildstream/rex/fails.bst");
  build.outputs = {"/buildstream/rex/fails.bst", "/buildstream-install"};
  build.root = {"fe146f692a069ae630d41c7568edc9e5af26c51b702a8316c0baab0123a503e1", 599};
  const store::Digest command = store::digest_of(encode_command(build));
  CHECK(command.hash == "ba3b640c4605f631383147f3f5a9d4e8e4b5b2bd1f61c2d07ffa1f326725fc21");

  CHECK(store::digest_of(encode_action(build, command)).hash ==
        "2f922f2348ee17dda521fa492d87a4e9be0b46c4a628aca7e980d89f0e422c7a");

  auto integration = request_of(
      "(set -ex; sh -e -c 'echo integrated > /integrated') || (echo Command ''\"'\"'echo "
      "integrated > /integrated'\"'\"'' failed with exitcode $? >&2 ; exit 1)\n",
      "/");
  integration.outputs = {"/"};
  CHECK(store::digest_of(encode_command(integration)).hash ==
        "af35874d9c390e95a208790d7ec47bc53a6f503a5f919a0acee467b2834e73bd");
}

TEST_CASE("paths of outputs are relative to where the command runs") {
  CHECK(relative_path("/a/b", "/a/b") == ".");
  CHECK(relative_path("/a/b/", "/a/b") == ".");
  CHECK(relative_path("/", "/") == ".");
  CHECK(relative_path("/", "/a/b") == "../..");
  CHECK(relative_path("/install", "/build/p/e.bst") == "../../../install");
  CHECK(relative_path("/a/b/c", "/a") == "b/c");
  CHECK(relative_path("/a/./b/../c", "/a") == "c");
}

TEST_CASE("a Tree message is taken apart, and nothing else is") {
  // root { } and one child, each the bytes of a Directory
  const std::string tree("\x0a\x02\x12\x00\x12\x00", 6);
  const auto directories = directories_of_tree(tree);
  REQUIRE(directories);
  CHECK(*directories == std::vector<std::string>{std::string("\x12\x00", 2), ""});
  CHECK(directories_of_tree("\xff\xff").error().reason == "misbehaved");
}

}  // namespace sluice::remote
