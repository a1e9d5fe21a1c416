#include "renderer/options.h"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::renderer {

namespace {

tl::unexpected<Error> wrong(std::string message) {
  return fail("app", "usage", std::move(message));
}

template <typename T>
Status number(std::string_view option, std::string_view text, T& out, T least) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < least) {
    return wrong(fmt::format("{}: '{}' is not a number from {} to {}", option, text, least,
                             std::numeric_limits<T>::max()));
  }
  return {};
}

template <typename T>
Status number(std::string_view option, std::string_view text, std::optional<T>& out, T least) {
  return number(option, text, out.emplace(), least);
}

constexpr std::array<std::pair<std::string_view, StyleName>, 8> kStyles = {{
    {"calm", StyleName::kCalm},
    {"tty", StyleName::kTty},
    {"plain", StyleName::kPlain},
    {"reader", StyleName::kReader},
    {"github", StyleName::kGithub},
    {"gitlab", StyleName::kGitlab},
    {"json", StyleName::kJson},
    {"auto", StyleName::kAutomatic},
}};

Status style(std::string_view name, StyleName& out) {
  std::string names;
  for (const auto& [known, value] : kStyles) {
    if (known == name) {
      out = value;
      return {};
    }
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  return wrong(fmt::format("--style: '{}' is none of {}", name, names));
}

// Options without a value. False: it is none of them.
bool flag(std::string_view name, Options& out) {
  if (name == "--help" || name == "-h") return out.help = true;
  if (name == "--version") return out.version = true;
  if (name == "--append") return out.append = true;
  if (name == "--replay") return out.replay = true;
  if (name == "--quiet") return out.quiet = true;
  if (name == "--verbose") return out.lines.verbose = true;
  if (name == "--debug") return out.lines.debug = true;
  if (name == "--until-end") {
    out.until_run = 0;
    out.until_prompt = false;
  } else if (name == "--until-prompt") {
    out.until_prompt = true;
  } else if (name == "--no-until-prompt") {
    out.until_prompt = false;
  } else if (name == "--no-verbose") {
    out.lines.verbose = false;
  } else if (name == "--no-debug") {
    out.lines.debug = false;
  } else if (name == "--colors") {
    out.colors = true;
  } else if (name == "--no-colors") {
    out.colors = false;
  } else {
    return false;
  }
  return true;
}

Status valued(std::string_view name, const std::string& value, Options& out) {
  if (name == "--session") {
    out.session = value;
  } else if (name == "--output") {
    out.output = value;
  } else if (name == "--json-log") {
    out.style = StyleName::kJson;
    out.output = value;
  } else if (name == "--style") {
    return style(value, out.style);
  } else if (name == "--from") {
    return number<std::uint64_t>(name, value, out.from, 1);
  } else if (name == "--until-run") {
    return number<std::uint32_t>(name, value, out.until_run, 1);
  } else if (name == "--width") {
    return number<unsigned>(name, value, out.width, 1);
  } else if (name == "--height") {
    return number<unsigned>(name, value, out.height, 1);
  } else if (name == "--error-lines") {
    return number<std::uint32_t>(name, value, out.lines.error_lines, 0);
  } else if (name == "--message-lines") {
    return number<std::uint32_t>(name, value, out.lines.message_lines, 0);
  } else if (name == "--key-length") {
    CHECK(number<std::uint32_t>(name, value, out.lines.key_length, 0));
    if (out.lines.key_length > 64) return wrong("--key-length: a key has 64 characters");
  } else if (name == "--message-format") {
    out.lines.message_format = value;
  } else if (name == "--element-format") {
    out.lines.element_format = value;
  } else if (name == "--speed") {
    return replay_speed(value, out.replaying.speed);
  } else if (name == "--max-pause") {
    std::uint32_t seconds = 0;
    CHECK(number<std::uint32_t>(name, value, seconds, 1));
    out.replaying.max_pause = std::chrono::seconds(seconds);
  } else if (name == "--skip") {
    std::uint32_t seconds = 0;
    CHECK(number<std::uint32_t>(name, value, seconds, 0));
    out.replaying.skip = Duration(std::chrono::seconds(seconds)).count();
  } else if (name == "--skip-to") {
    out.replaying.skip_to = value;
  } else if (name == "--directory") {
    out.directory = value;
  } else if (name == "--heartbeat") {
    return number<std::uint32_t>(name, value, out.heartbeat_s, 0);
  } else if (name == "--cursor-fd") {
    return number<int>(name, value, out.cursor_fd, 0);
  } else if (name == "--hint-fd") {
    return number<int>(name, value, out.hint_fd, 0);
  } else if (name == "--steer-fd") {
    return number<int>(name, value, out.steer_fd, 0);
  } else {
    return wrong(fmt::format("{}: there is no such option", name));
  }
  return {};
}

}  // namespace

Status replay_speed(const std::string& text, double& out) {
  if (text == "max") {
    out = 0;
    return {};
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || !(out >= 0.01 && out <= 1e6))
    return wrong(
        fmt::format("--speed: '{}' is neither a number from 0.01 to 1000000 nor 'max'", text));
  return {};
}

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options out;
  bool replays = false;  // an option of a replay was given
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("-"))
      return wrong(fmt::format("'{}': there are only options", argument));
    if (flag(argument, out)) continue;
    const auto equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    replays = replays || name == "--speed" || name == "--steer-fd" || name == "--max-pause" ||
              name.starts_with("--skip");
    if (equals == std::string::npos && i + 1 >= arguments.size()) {
      Options unused;
      // An option that is unknown is told as that, though its value is missing too.
      if (auto known = valued(name, "1", unused);
          !known && known.error().message.ends_with("such option"))
        return forward(known);
      return wrong(fmt::format("{} takes a value", name));
    }
    CHECK(valued(name, equals == std::string::npos ? arguments[++i] : argument.substr(equals + 1),
                 out));
  }
  if (!out.replay && replays)
    return wrong("--speed, --max-pause, --skip, --skip-to and --steer-fd need --replay");
  if (!out.help && !out.version && out.session.empty()) return wrong("--session ID is missing");
  if (out.quiet && out.style == StyleName::kJson)
    return wrong("--quiet: --style json has every record");
  return out;
}

std::string usage() {
  return R"(Usage: sluice-renderer --session ID [OPTION]...

Shows a session's records: to a terminal, as lines, or as JSON.

  --session ID          the session
  --style STYLE         calm: a line for what is done, and a status area; tty: BuildStream's
                        lines with one; plain: without; reader: sentences, for a screen
                        reader; github, gitlab: groups of lines for these; json; or auto:
                        calm on a terminal, else as GITHUB_ACTIONS or GITLAB_CI say, else
                        plain. Without cursor movement (TERM=dumb) there is no area
  --quiet               failures and the summary alone
  --heartbeat SECONDS   without an area: say what runs after so long a silence (0: never)
  --output FILE         where to write; - is standard output. Standard error by default,
                        json: standard output. A file is emptied first
  --append              the file is not emptied
  --json-log FILE       --style json --output FILE
  --from CURSOR         the first record to show (1); what came before it counts for summaries
  --directory DIRECTORY where the project is looked for that errors before a run are about
  --until-run N         end when run N has finished
  --until-prompt        end, with status 4, when an element that failed asks what to do
  --until-end           end with the session (the default)
  --width N, --height N the terminal's size, instead of asking it
  --[no-]colors         colours, whatever the output is; NO_COLOR turns them off by default
  --[no-]verbose        STATUS messages and the end of the log of failed jobs (shown)
  --[no-]debug          DEBUG messages (not shown)
  --error-lines N       lines of the log of a failed job (20)
  --message-lines N     lines of a message's detail (20)
  --key-length N        characters of a key (8)
  --message-format F    as logging.message-format of the user configuration
  --element-format F    as logging.element-format
  --replay              the records when they are due, as the session went; its status is
                        made of them
  --speed N             so many times as fast as it went (1), or max: without waiting
  --max-pause S         wait at most S seconds from one record to the next
  --skip S              the first S seconds of the session without waiting
  --skip-to ELEMENT     all before the first job of ELEMENT without waiting
  --steer-fd N          lines from this descriptor steer the replay: pause, resume, speed N
  --cursor-fd N         at the end, the cursor of the first record that was not shown
                        is written to this descriptor, as a line; behind it "end" when there is no more to show
  --hint-fd N           lines from this descriptor stand, the newest each time, at the end of
                        the status area; a tab begins another row there
  --version, --help

Ends with 0 when all was shown or by SIGTERM, 1 when the output can't be written,
2 for a wrong option, 3 when the session vanished without its end, 4 at a prompt.
)";
}

}  // namespace sluice::renderer
