#include "project/places.h"

#include <filesystem>

#include <catch2/catch.hpp>

#include "tests/support/test_directory.h"

namespace sluice::project {

TEST_CASE("names of files and elements are found, behind junctions too") {
  TestDirectory directory;
  const auto at = [&](const std::string& path) { return directory / path; };
  directory.write("p/project.conf", "name: p\nelement-path: elements\n");
  directory.write("p/elements/a.bst", "kind: stack\n");
  directory.write(
      "p/elements/local.bst",
      "kind: junction\nsources:\n- kind: local\n  path: subs/one\nconfig:\n  path: in\n");
  directory.write("p/elements/far.bst", "kind: junction\nsources:\n- kind: git\n  url: x\n");
  directory.write("p/elements/also.bst", "kind: link\nconfig:\n  target: local.bst:inner.bst\n");
  directory.write("p/elements/loop.bst", "kind: link\nconfig:\n  target: loop.bst\n");
  directory.write("p/elements/out.bst",
                  "kind: junction\nsources:\n- kind: local\n  path: ../elsewhere\n");
  directory.write("elsewhere/project.conf", "name: elsewhere\n");
  directory.write("elsewhere/e.bst", "kind: stack\n");
  directory.write("p/subs/one/in/project.conf", "name: one\n");
  directory.write("p/subs/one/in/b.bst", "kind: stack\n");
  directory.write("p/subs/one/in/inner.bst",
                  "kind: junction\nsources:\n- kind: local\n  path: two\n");
  directory.write("p/subs/one/in/two/project.conf", "name: two\nelement-path: e\n");
  directory.write("p/subs/one/in/two/e/c.bst", "kind: stack\n");
  const std::string staged = "p/.bst/staged-junctions/far.bst/";
  directory.write(staged + "0123/project.conf", "name: far\n");
  directory.write(staged + "0123/d.bst", "kind: stack\n");

  CHECK(find_project(at("p/elements")) == at("p"));
  const auto file = [&](const std::string& name) { return file_of(name, at("p/elements")); };
  CHECK(file("project.conf") == at("p/project.conf"));
  CHECK(file("a.bst") == at("p/elements/a.bst"));
  CHECK(file(at("p/elements/a.bst")) == at("p/elements/a.bst"));
  CHECK(file("local.bst:b.bst") == at("p/subs/one/in/b.bst"));
  CHECK(file("local.bst:project.conf") == at("p/subs/one/in/project.conf"));
  CHECK(file("local.bst:inner.bst:c.bst") == at("p/subs/one/in/two/e/c.bst"));
  CHECK(file("also.bst:c.bst") == at("p/subs/one/in/two/e/c.bst"));
  CHECK(committed_file_of("local.bst:b.bst", at("p")) == at("p/subs/one/in/b.bst"));
  // What is staged has lines to show, and is no file of the project's.
  CHECK(file("far.bst:d.bst") == at(staged + "0123/d.bst"));
  CHECK(committed_file_of("far.bst:d.bst", at("p")).empty());

  const std::string wrong = GENERATE("", "no.bst", "a.bst:b.bst", "no.bst:b.bst", "loop.bst:b.bst",
                                     "out.bst:e.bst", "../elsewhere/e.bst", "local.bst:../b.bst",
                                     "elements", ":a.bst", "local.bst:", "::");
  INFO(wrong);
  CHECK(file(wrong).empty());
  // Which of two states was meant nobody knows.
  directory.write(staged + "4567/project.conf", "name: far\n");
  CHECK(file("far.bst:d.bst").empty());
  CHECK(file_of("a.bst", at("elsewhere")).empty());
}

}  // namespace sluice::project
