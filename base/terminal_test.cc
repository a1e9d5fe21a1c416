#include "base/terminal.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace sluice {

namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

// Sets variables of the environment, and gives them back what they were.
class Environment {
 public:
  explicit Environment(const Values& values) {
    for (const char* name : {"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "TERM_PROGRAM",
                             "TERM_FEATURES", "VTE_VERSION", "WT_SESSION", "ConEmuANSI", "LC_ALL",
                             "LC_CTYPE", "LANG", "GITHUB_ACTIONS", "GITLAB_CI", "COLUMNS"}) {
      const char* value = std::getenv(name);
      before_.emplace_back(name, value == nullptr ? "" : value);
      ::unsetenv(name);
    }
    for (const auto& [name, value] : values) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      if (value.empty()) {
        ::unsetenv(name.c_str());
      } else {
        ::setenv(name.c_str(), value.c_str(), 1);
      }
    }
  }

 private:
  Values before_;
};

}  // namespace

TEST_CASE("colours: what the environment says, and which of it counts more") {
  const auto colors = [](Values values, bool terminal) {
    values.insert(values.begin(), {"TERM", "xterm"});
    const Environment environment(values);
    return colors_by_environment(terminal);
  };
  CHECK(colors({}, true));
  CHECK_FALSE(colors({}, false));
  CHECK_FALSE(colors({{"NO_COLOR", "1"}}, true));
  CHECK_FALSE(colors({{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}}, true));
  CHECK(colors({{"CLICOLOR_FORCE", "1"}}, false));
  CHECK_FALSE(colors({{"CLICOLOR_FORCE", "0"}}, false));
  CHECK_FALSE(colors({{"CLICOLOR", "0"}}, true));
  CHECK(colors({{"CLICOLOR", "0"}, {"CLICOLOR_FORCE", "1"}}, true));
  CHECK(colors({{"CLICOLOR", "1"}}, true));
  CHECK_FALSE(colors({{"TERM", "dumb"}}, true));
}

TEST_CASE("what a terminal can do is known by its environment") {
  {
    const Environment environment(Values{{"TERM", "dumb"}, {"TERM_PROGRAM", "ghostty"}});
    CHECK_FALSE(smart_terminal());
    CHECK_FALSE(links_by_environment());
    CHECK_FALSE(progress_by_environment());
  }
  {
    const Environment environment(Values{{"TERM", "linux"}});
    CHECK(smart_terminal());
    CHECK_FALSE(links_by_environment());
  }
  {
    const Environment environment(Values{{"TERM", "xterm"}, {"TERM_PROGRAM", "iTerm.app"}});
    CHECK(links_by_environment());
    CHECK_FALSE(progress_by_environment());
    ::setenv("TERM_FEATURES", "T3CwLrMSc7UUw9Ts3BFGsSyHNoSxFP", 1);
    CHECK(progress_by_environment());
  }
  for (const auto& [version, shows] :
       {std::pair("8002", true), {"8000", true}, {"7804", false}, {"", false}, {"new", false}}) {
    const Environment environment(Values{{"TERM", "xterm"}, {"VTE_VERSION", version}});
    CHECK(progress_by_environment() == shows);
  }
  const Environment environment(Values{});
  CHECK_FALSE(smart_terminal());
}

TEST_CASE("the locale says whether UTF-8 can be shown") {
  {
    const Environment environment(Values{{"LC_ALL", "C.UTF-8"}});
    CHECK(utf8_by_environment());
  }
  {
    const Environment environment(Values{{"LANG", "C.UTF-8"}, {"LC_ALL", "C"}});
    CHECK_FALSE(utf8_by_environment());
  }
  const Environment environment(Values{{"LC_CTYPE", "no_SUCH.locale"}});
  CHECK_FALSE(utf8_by_environment());
}

TEST_CASE("who runs a build decides what its lines look like") {
  {
    const Environment environment(Values{{"GITHUB_ACTIONS", "true"}});
    CHECK(lines_by_environment() == "github");
  }
  {
    const Environment environment(Values{{"GITLAB_CI", "true"}});
    CHECK(lines_by_environment() == "gitlab");
  }
  const Environment environment(Values{});
  CHECK(lines_by_environment() == "plain");
}

TEST_CASE("columns are the environment's, where it says a number") {
  {
    const Environment environment(Values{{"COLUMNS", "123"}});
    CHECK(terminal_columns() == 123);
  }
  for (const char* senseless : {"", "0", "-4", "80x", "99999999999999999999999"}) {
    const Environment environment(Values{{"COLUMNS", senseless}});
    CHECK(terminal_columns() < 100000);
    CHECK(terminal_columns() > 0);
  }
}

}  // namespace sluice
