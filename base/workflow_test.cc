#include "base/workflow.h"

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/support/test_directory.h"

namespace sluice {

TEST_CASE("no value of a workflow's command can end it, or begin another") {
  CHECK(workflow_command("error", {{"file", "a,b:c%.bst"}, {"line", ""}, {"title", "x\r\ny"}},
                         "50% off\n::set-env name=A::b\r") ==
        "::error file=a%2Cb%3Ac%25.bst,title=x%0D%0Ay::50%25 off%0A::set-env name=A::b%0D\n");
  CHECK(workflow_command("group", {}, "a.bst (12s)") == "::group::a.bst (12s)\n");
}

TEST_CASE("commands are stopped around what could be one, and around nothing else") {
  for (const char* harmless : {"", "a :: b\n", "std::string\nx::y\n", "##\n"})
    CHECK(workflow_text(harmless, "t") == harmless);
  for (const std::string one : {"::error::x", "a\n  ::add-mask::x\n", "\xe2\x80\x83::x\n",
                                "a##[error]b\n", "10 %\r::set-output name=a::b\r100 %\n"}) {
    const std::string text = workflow_text(one, "t");
    CHECK(text.starts_with("::stop-commands::t\n" + one));
    CHECK(text.ends_with("\n::t::\n"));
  }
}

TEST_CASE("an error's annotation names the file as the workspace has it") {
  const TestDirectory directory;
  const std::string& top = directory.str();
  REQUIRE(make_directories(top + "/project/elements/deep"));
  REQUIRE(write_file_atomic(top + "/project/elements/a.bst", "kind: x\n"));
  Error error{"load", "invalid-data", "Unexpected key: b", "Look", {"elements/a.bst", 3, 2}};
  CHECK(workflow_error(error, "sluice build", top + "/project/elements/deep", top + "/") ==
        "::error file=project/elements/a.bst,line=3,col=3,title=sluice build::Unexpected key: "
        "b%0ALook\n");
  // Somewhere else, in a junction perhaps: as it was said.
  error.provenance = {"other.bst:x.bst", 0, 0};
  error.detail.clear();
  CHECK(workflow_error(error, "", top, top) ==
        "::error file=other.bst%3Ax.bst::Unexpected key: b\n");
  error.provenance = {};
  CHECK(workflow_error(error, "", top, top) == "::error::Unexpected key: b\n");
}

}  // namespace sluice
