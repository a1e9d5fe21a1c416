#include "cli/report.h"

#include <cstdio>
#include <functional>
#include <string>

#include <unistd.h>

#include <catch2/catch.hpp>

namespace sluice::cli {

namespace {

// What goes to the standard error meanwhile.
std::string told(const std::function<void()>& say) {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  const UniqueFd before(::dup(2));
  REQUIRE(before);
  REQUIRE(::dup2(::fileno(file), 2) == 2);
  say();
  REQUIRE(::dup2(before.get(), 2) == 2);
  std::rewind(file);
  std::string out;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
    out.append(buffer, n);
  std::fclose(file);
  return out;
}

}  // namespace

TEST_CASE("on GitHub no warning and no news is a command") {
  auto report = Report::create("show", "");
  REQUIRE(report);
  const auto warn = [&] { report->warning("odd\n::error::not ours"); };
  const auto inform = [&] { report->info("done\r::error::not ours"); };
  CHECK(told(warn) == "WARNING odd\n::error::not ours\n");
  report->annotate("");
  CHECK(told([&] { report->warning("plain"); }) == "WARNING plain\n");
  const std::string begin = "::stop-commands::";
  for (const std::string& text : {told(warn), told(inform)}) {
    INFO(text);
    REQUIRE(text.starts_with(begin));
    const std::string token = text.substr(begin.size(), text.find('\n') - begin.size());
    CHECK(token.size() >= 32);
    CHECK(text.ends_with("not ours\n::" + token + "::\n"));
  }
}

}  // namespace sluice::cli
