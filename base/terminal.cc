#include "base/terminal.h"

#include <charconv>
#include <cstdlib>

#include <sys/ioctl.h>

#include <langinfo.h>
#include <locale.h>

namespace sluice {

namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

}  // namespace

bool smart_terminal() {
  const std::string_view term = variable("TERM");
  return !term.empty() && term != "dumb";
}

bool colors_by_environment(bool terminal) {
  if (!variable("NO_COLOR").empty()) return false;
  if (const auto force = variable("CLICOLOR_FORCE"); !force.empty() && force != "0") return true;
  if (variable("CLICOLOR") == "0") return false;
  return terminal && smart_terminal();
}

bool utf8_by_environment() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  // A locale that this machine hasn't got is C's.
  if (locale == nullptr) return false;
  const std::string_view codeset = ::nl_langinfo_l(CODESET, locale);
  const bool utf8 = codeset == "UTF-8" || codeset == "utf8";
  ::freelocale(locale);
  return utf8;
}

bool links_by_environment() { return smart_terminal() && variable("TERM") != "linux"; }

bool progress_by_environment() {
  if (!smart_terminal()) return false;
  const auto program = variable("TERM_PROGRAM");
  if (program == "ghostty" || program == "WezTerm" || program == "mintty") return true;
  // iTerm2 says what it can: P is progress.
  if (program == "iTerm.app") return variable("TERM_FEATURES").find('P') != std::string_view::npos;
  // GNOME's terminal and others of its library, which have it from 0.80 on.
  const auto vte = variable("VTE_VERSION");
  if (unsigned version = 0;
      std::from_chars(vte.data(), vte.data() + vte.size(), version).ec == std::errc() &&
      version >= 8000)
    return true;
  return !variable("WT_SESSION").empty() || variable("ConEmuANSI") == "ON";
}

std::string_view lines_by_environment() {
  if (variable("GITHUB_ACTIONS") == "true") return "github";
  if (variable("GITLAB_CI") == "true") return "gitlab";
  return "plain";
}

std::size_t terminal_columns() {
  const std::string_view text = variable("COLUMNS");
  std::size_t columns = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), columns);
  if (error == std::errc() && end == text.data() + text.size() && columns > 0) return columns;
  for (const int fd : {1, 2}) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  }
  return 80;
}

}  // namespace sluice
