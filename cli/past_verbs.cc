// The verbs about what has been: `session list`, `what-ran`, `what-failed`, `summary`, `replay`,
// and `log`.
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/history_text.h"
#include "cli/option_parser.h"
#include "model/actions.h"

namespace sluice::cli {

namespace {

constexpr std::string_view kWhich =
    "Without an ID: the newest session of this project, whether it runs or not, or else the newest "
    "of all. In place of an ID: the path of observe.json or control.json, of a session on another "
    "machine.\n";

template <typename T>
void past_options(Verb& verb, T& into) {
  verb.footer(std::string(kWhich));
  verb.add_option("id", into.id)->type_name("ID");
  verb.add_flag("--json", into.json, "Print a JSON document");
}

template <typename T>
void run_option(CLI::App& app, T& into, const std::string& help) {
  last_checked(value(app, "--run", into.run, "N", help), CLI::PositiveNumber);
}

// "max", or how many times as fast.
CLI::Validator is_speed() {
  const auto check = [](const std::string& text) -> std::string {
    if (text == "max") return {};
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= 0.01 && number <= 1e6)
      return {};
    return fmt::format(
        "Invalid value for '--speed': '{}' is neither a number from 0.01 to 1000000 "
        "nor 'max'.",
        text);
  };
  return CLI::Validator(check, "", "");
}

}  // namespace

void Parser::add_past(CLI::App& session) {
  auto* list = add_verb(
      session, "list", "List sessions, whether they run or not",
      {{"sluice session list --here --last 5", "List this project's last five"},
       {"sluice session list --failed --since 1d", "List those of the last day that failed"}});
  list->add_flag("--here", session_list_.here, "Only sessions of this project");
  value(*list, "--project", session_list_.project, "PROJECT",
        "Only sessions of the project in this directory, or in one called so")
      ->excludes("--here");
  once_each(list->add_option("--state", session_list_.states,
                             "Only sessions in this state; may be repeated"))
      ->type_name("[active|suspended|quitting|ending|ended|stopped|dead]")
      ->check(one_of("--state",
                     {"active", "suspended", "quitting", "ending", "ended", "stopped", "dead"}));
  list->add_flag("--failed", session_list_.failed, "Only sessions whose last run didn't succeed");
  duration(*list, "--since", session_list_.since_s, "Only sessions that began so long ago at most");
  last_checked(value(*list, "--last", session_list_.last, "N", "Only the newest N of these"),
               CLI::PositiveNumber);
  list->add_flag("--json", session_list_.json, "Print a JSON document");
  on(list, [this] { return Command(session_list_); });

  auto* ran = add_verb(session, "what-ran", "List the jobs of a session",
                       {{"sluice session what-ran --action build --sort duration",
                         "List the builds of the newest session, the longest first"},
                        {"sluice session what-ran --element 'libs/*' --json",
                         "Print all about the jobs of these elements"}});
  past_options(*ran, what_ran_);
  Strings actions;  // whose jobs have records
  for (const model::ActionTraits& traits : model::kActions) {
    if (!traits.brief) actions.emplace_back(traits.name);
  }
  once_each(
      ran->add_option("--action", what_ran_.actions, "Only jobs of this action; may be repeated"))
      ->type_name(fmt::format("[{}]", fmt::join(actions, "|")))
      ->check(one_of("--action", actions));
  once_each(ran->add_option("--element", what_ran_.elements,
                            "Only jobs of this element, or of those that match this pattern; may "
                            "be repeated"))
      ->type_name("PATTERN");
  choice(*ran, "--sort", what_ran_.sort, {std::begin(kJobOrders), std::end(kJobOrders)},
         "The order: as they started, by name, or the largest first (default: start)");
  run_option(*ran, what_ran_, "Only jobs of the session's run N");
  on(ran, [this] { return Command(what_ran_); });

  auto* failures =
      add_verb(session, "what-failed", "Show each failure of a session once",
               {{"sluice session what-failed", "Show what the newest session failed at"},
                {"sluice session what-failed --lines 100", "Show more of the failed jobs' logs"}});
  past_options(*failures, what_failed_);
  value(*failures, "--lines", what_failed_.lines, "N",
        "The last lines of each log that are shown (default: 20)");
  on(failures, [this] { return Command(what_failed_); });

  auto* summary = add_verb(session, "summary", "Say how a session went, and what it cost",
                           {{"sluice session summary", "Say how the newest session went"},
                            {"sluice session summary --json 20261130-101500-4711",
                             "Print the same of this one, for a program"}});
  past_options(*summary, summary_);
  run_option(*summary, summary_, "The session's run N (default: the last)");
  on(summary, [this] { return Command(summary_); });

  auto* replay = add_verb(session, "replay", "Show a session again, as it went",
                          {{"sluice session replay --speed 20 --max-pause 2s",
                            "Show the newest session in a twentieth of its time"},
                           {"sluice session replay --skip-to app.bst 20261130-101500-4711",
                            "Show this one from where the first job of app.bst started"}});
  replay->footer(
      "Without an ID: the newest session of this project, or else the newest of all. Of "
      "one that runs: what has been until now.\n");
  replay->add_option("id", replay_.id)->type_name("ID");
  Strings styles = style_names();
  styles.emplace_back("json");
  choice(*replay, "--style", replay_.style, styles, "How it is shown (default: as a build is)");
  last_checked(value(*replay, "--speed", replay_.speed, "N",
                     "So many times as fast as it was, or 'max': without waiting (default: 1)"),
               is_speed());
  duration(*replay, "--max-pause", replay_.max_pause_s,
           "Wait no longer than this where nothing happened");
  duration(*replay, "--skip", replay_.skip_s, "Show what was before this without waiting");
  value(*replay, "--skip-to", replay_.skip_to, "ELEMENT",
        "Show what was before its first job without waiting");
  on(replay, [this] { return Command(replay_); });
}

void Parser::add_log() {
  auto* log = add_verb(
      app_, "log", "Show the logs of elements, of what runs and of what has been",
      {{"sluice log app.bst", "Show the newest log of app.bst"},
       {"sluice log -f app.bst lib.bst", "Follow those of two elements that are being built"}});
  log->footer(
      "An element's log is that of its last job in the newest session, one of this project first; "
      "where that has none, the one that its artifact carries. With several elements each line "
      "has the element's name before it.\n");
  log->add_option("elements", element_log_.elements)->type_name("ELEMENTS")->required();
  log->add_flag("-f,--follow", element_log_.follow,
                "Go on while the job runs, to its end, and wait for one that hasn't started");
  value(*log, "--session", element_log_.id, "ID", "The session");
  on(log, [this] { return Command(element_log_); });
}

}  // namespace sluice::cli
