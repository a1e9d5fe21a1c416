#include "cli/options.h"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

#include "base/suggest.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cli/help.h"
#include "cli/option_parser.h"

namespace sluice::cli {

namespace {

std::string path_of(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name()
                                      : path_of(app->get_parent()) + " " + app->get_name();
}

ValueShape value_shape(const CLI::App& app, const std::string& type, const std::string& name) {
  using What = ValueShape::What;
  const auto choices = [](std::string_view text) {
    ValueShape value{What::kChoice, {}};
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('|', begin), text.size());
      value.choices.emplace_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return value;
  };
  if (type.starts_with('[')) return choices(std::string_view(type).substr(1, type.size() - 2));
  if (type.find('|') != std::string::npos) return choices(type);
  if (type == "ELEMENT" || type == "ELEMENTS" || type == "TARGETS" || name == "--except")
    return {What::kElement, {}};
  if (type == "TARGET" || type == "ARTIFACT" || type == "ARTIFACTS") return {What::kArtifact, {}};
  if (type == "DIRECTORY" || type == "TARGET_DIRECTORY") return {What::kDirectory, {}};
  if (type == "FILE" || type == "FILENAME" || type == "LOCATION" || type == "PATH" ||
      type.starts_with("HOSTPATH"))
    return {What::kPath, {}};
  if (type == "ID") return {What::kSession, {}};
  if (app.get_name() == "help") return {What::kCommand, {}};
  return {};
}

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

CommandShape shape_of(const CLI::App& app) {
  CommandShape shape;
  shape.name = app.get_name();
  shape.path = path_of(&app);
  shape.description = app.get_description();
  shape.details = app.get_footer();
  shape.has_help = app.get_help_ptr() != nullptr;
  if (const auto* verb = dynamic_cast<const Verb*>(&app)) shape.examples = verb->examples;
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    const std::string name = option->get_single_name();
    if (option == app.get_help_ptr()) continue;
    if (option->get_positional()) {
      // A positional without a group only catches words.
      if (option->get_group().empty()) continue;
      shape.arguments.push_back({option->get_type_name(), option->get_required(),
                                 option->get_expected_max() > 1,
                                 value_shape(app, option->get_type_name(), name)});
      continue;
    }
    OptionShape one;
    for (const std::string& letter : option->get_snames()) one.names.push_back("-" + letter);
    for (const std::string& word : option->get_lnames()) one.names.push_back("--" + word);
    one.values = option->get_items_expected_max() == 0
                     ? 0
                     : static_cast<std::size_t>(std::max(option->get_type_size(), 0));
    one.repeated = option->get_expected_max() > 1;
    one.description = option->get_description();
    if (one.values > 0) {
      one.value = value_shape(app, option->get_type_name(), "--" + name);
      one.type = option->get_type_name();
    }
    shape.options.push_back(std::move(one));
  }
  for (const CLI::App* sub : verbs_of(app)) shape.commands.push_back(shape_of(*sub));
  return shape;
}

std::string version() { return "sluice " SLUICE_VERSION "\n"; }

std::string help_of(const CLI::App* app) { return help_text(shape_of(*app), terminal_columns()); }

bool is_group(const CLI::App* app) { return !verbs_of(*app).empty(); }

Strings names_of(const std::vector<const CLI::App*>& verbs) {
  Strings names;
  for (const CLI::App* verb : verbs) names.push_back(verb->get_name());
  return names;
}

// The names of an app's options, without their dashes when they are long.
Strings option_names(const CLI::App& app) {
  Strings names;
  for (const CLI::Option* option :
       app.get_options([](const CLI::Option* o) { return !o->get_positional(); })) {
    const auto& words = option->get_lnames();
    names.insert(names.end(), words.begin(), words.end());
  }
  return names;
}

bool has_option(const CLI::App& app, const std::string& name) {
  return app.get_option_no_throw(name) != nullptr;
}

std::string on_line_of_its_own(const std::string& text) { return text.empty() ? "" : "\n" + text; }

}  // namespace

Parser::Parser()
    : app_("sluice", "Build and manipulate BuildStream projects",
           {{"sluice build app.bst", "Build app.bst and what it needs"},
            {"sluice help source fetch", "Say what a verb does, and with which options"}},
           nullptr) {
  app_.require_subcommand(0, 1);
  // The last value of an option that is given again counts, so that scripts can wrap commands with
  // defaults; lists add up.
  app_.option_defaults()->take_last();
  app_.option_defaults()->disable_flag_override();
  app_.set_help_flag("-h,--help", "Show this message and exit");
  app_.add_flag("--version", version_, "Show the version and exit");
  add_globals();
  add_build();
  add_show();
  add_query();
  add_why();
  add_explain();
  add_sbom();
  add_shell();
  add_source();
  add_workspace();
  add_init();
  add_artifact();
  add_session();
  add_log();
  add_pages();
  add_runner();
  add_observers();
  add_store();
  add_help();
}

CommandLine Parser::parse(const Strings& arguments) {
  CommandLine line;
  Strings reversed(arguments.rbegin(), arguments.rend());
  try {
    app_.parse(reversed);
    finish(line);
  } catch (const Conflict& conflict) {
    line.command.reset();
    line.output = "ERROR: " + conflict.what + "\n";
    line.status = kFailure;
  } catch (const CLI::CallForHelp&) {
    // An option that isn't there is told of before anything else.
    if (const auto [given, option] = unknown_option(); given != nullptr) {
      line.output = usage_error(no_such_option(given, option));
      line.status = kUsage;
    } else {
      line.output = help_of(deepest());
    }
  } catch (const CLI::ParseError& error) {
    line.command.reset();
    if (version_) {
      line.output = version();
      return line;
    }
    CLI::App* app = deepest();
    const bool verbless = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                          is_group(app) && app->remaining().empty();
    // As in bst, a group without a verb shows its verbs.
    line.output = verbless ? help_of(app) + fmt::format("\nTry '{} COMMAND -h' for more of one.\n",
                                                        path_of(app))
                           : usage_error(text_of(error));
    line.status = kUsage;
  }
  return line;
}

CommandShape Parser::shape() const { return shape_of(app_); }

std::vector<CLI::App*> Parser::named() {
  std::vector<CLI::App*> apps = {&app_};
  for (auto chosen = app_.get_subcommands(); !chosen.empty();
       chosen = apps.back()->get_subcommands())
    apps.push_back(chosen.back());
  return apps;
}

std::pair<CLI::App*, std::string> Parser::unknown_option() {
  for (CLI::App* app : named()) {
    for (const std::string& word : app->remaining()) {
      if (word.size() > 1 && word.starts_with('-') && word != "--") return {app, word};
    }
  }
  return {nullptr, ""};
}

namespace {

// "-j", "-j4", "--jobs": what make, ninja and others have. `number`: what stands behind it.
bool is_jobs(const std::string& name, std::string& number) {
  if (name == "--jobs") return true;
  if (!name.starts_with("-j") || name.find_first_not_of("0123456789", 2) != std::string::npos)
    return false;
  number = name.substr(2);
  return true;
}

}  // namespace

std::string Parser::no_such_option(CLI::App* given, const std::string& option) {
  const std::string name = option.substr(0, option.find('='));
  const std::string none = "No such option: " + option;
  if (const auto* verb = dynamic_cast<const Verb*>(given);
      verb != nullptr && !verb->on_unknown_option.empty() && !name.starts_with("--"))
    return none + on_line_of_its_own(verb->on_unknown_option);
  if (std::string given_number; is_jobs(name, given_number))
    return none + fmt::format(
                      "\n'--builders {0}' is how many elements are built at once, "
                      "'--max-jobs {0}' with how many processes each: {1} --builders {0} "
                      "...{2}",
                      given_number.empty() ? "N" : given_number, app_.get_name(),
                      path_of(named().back()).substr(app_.get_name().size()));
  const auto apps = named();
  const auto elsewhere = [&](const std::string& which) -> std::string {
    for (const CLI::App* app : apps) {
      if (app == given || !has_option(*app, which)) continue;
      if (app == &app_)
        return fmt::format("'{0}' stands before the verb: {1} {0} ...{2}", which, path_of(app),
                           path_of(apps.back()).substr(app_.get_name().size()));
      return fmt::format("'{0}' stands after the verb: {1} {0} ...", which, path_of(app));
    }
    return {};
  };
  if (const std::string where = elsewhere(name); !where.empty())
    return none + on_line_of_its_own(where);
  const std::string word = name.substr(name.find_first_not_of('-'));
  Strings near = nearest(word, option_names(*given));
  if (near.empty()) {
    for (const CLI::App* app : apps) {
      for (const std::string& one : nearest(word, option_names(*app)))
        return none + on_line_of_its_own(did_you_mean({"--" + one})) +
               on_line_of_its_own(elsewhere("--" + one));
    }
  }
  for (std::string& one : near) one.insert(0, "--");
  return none + on_line_of_its_own(did_you_mean(near));
}

std::string Parser::no_such_command(const CLI::App* group, const std::string& word) {
  const std::string none = fmt::format("No such command '{}'", word);
  for (const auto& [name, value] : global_.options) {
    if (const auto equals = name.find('='); equals != std::string::npos)
      return none + fmt::format("\n--option takes a name and a value as two words: --option {} {}",
                                name.substr(0, equals), name.substr(equals + 1));
  }
  // Verbs of that name in other groups.
  Strings all, near;
  for (const CLI::App* verb : verbs_of(app_)) {
    if (verb->get_name() == word && group != &app_) near.push_back(verb->get_name());
    for (const CLI::App* sub : verbs_of(*verb)) {
      const std::string path = verb->get_name() + " " + sub->get_name();
      if (sub->get_name() == word) near.push_back(path);
      all.push_back(sub->get_name());
    }
  }
  for (const std::string& name : nearest(word, names_of(verbs_of(*group)))) near.push_back(name);
  if (near.empty() && group == &app_) {
    // A verb of a group that is only near.
    const Strings names = nearest(word, all);
    for (const CLI::App* verb : verbs_of(app_)) {
      for (const CLI::App* sub : verbs_of(*verb)) {
        if (std::find(names.begin(), names.end(), sub->get_name()) != names.end())
          near.push_back(verb->get_name() + " " + sub->get_name());
      }
    }
  }
  if (near.size() > 4) near.resize(4);
  if (near.empty() && group != &app_)
    return none + fmt::format("\nThere are: {}", fmt::join(names_of(verbs_of(*group)), ", "));
  return none + on_line_of_its_own(did_you_mean(near));
}

std::string Parser::text_of(const CLI::ParseError& error) {
  CLI::App* app = deepest();
  const Strings rest = app->remaining();
  const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
  const std::string what = error.what();
  if (code == CLI::ExitCodes::ConversionError) {
    constexpr std::string_view kBefore = "Could not convert: ";
    const auto equals = what.find(" = ");
    if (what.starts_with(kBefore) && equals != std::string::npos)
      return fmt::format("Invalid value for '{}': '{}' is not a valid integer.",
                         what.substr(kBefore.size(), equals - kBefore.size()),
                         what.substr(equals + 3));
  }
  if (code != CLI::ExitCodes::ExtrasError && code != CLI::ExitCodes::RequiredError) {
    // What our own checks say names the option already.
    const auto own = what.find("Invalid value for '");
    return own == std::string::npos ? what : what.substr(own);
  }
  if (const auto [given, option] = unknown_option(); given != nullptr)
    return no_such_option(given, option);
  if (!rest.empty()) {
    return is_group(app) ? no_such_command(app, rest.front())
                         : fmt::format("Got unexpected extra argument '{}'", rest.front());
  }
  for (const CLI::Option* option : app->get_options(
           [](const CLI::Option* o) { return o->get_positional() && o->get_required(); })) {
    if (option->count() == 0)
      return fmt::format(
          "Missing argument '{}'.",
          argument_text({option->get_type_name(), true, option->get_expected_max() > 1, {}}));
  }
  return what;
}

std::string Parser::usage_error(std::string_view message) {
  const CommandShape shape = shape_of(*deepest());
  const std::size_t columns = terminal_columns();
  std::string text =
      fmt::format("{}Try '{} -h' for help.\n\n", usage_text(shape, columns), shape.path);
  // A line that fits stays as it is, with whatever spaces a value has.
  const std::string lines = fmt::format("Error: {}\n", message);
  for (const std::string_view line : split_lines(lines)) {
    if (display_width(line) <= columns) {
      text += line;
    } else {
      for (const std::string& part : wrap(line.substr(0, line.size() - 1), columns))
        text += part + "\n";
    }
  }
  return text;
}

void Parser::add_globals() {
  GlobalOptions& global = global_;
  model::SettingsOverrides& overrides = global.overrides;
  last_checked(value(app_, "-c,--config", global.config, "FILE", "Configuration file to use"),
               CLI::ExistingFile);
  last_checked(value(app_, "-C,--directory", global.directory, "DIRECTORY",
                     "Project directory (default: current directory)"),
               no_file("--directory' / '-C"));
  choice(app_, "--on-error", overrides.on_error, {"continue", "quit", "terminate"},
         "What to do when an error is encountered");
  value(app_, "--fetchers", overrides.fetchers, "INTEGER", "Maximum simultaneous download tasks");
  value(app_, "--builders", overrides.builders, "INTEGER", "Maximum simultaneous build tasks");
  value(app_, "--pushers", overrides.pushers, "INTEGER", "Maximum simultaneous upload tasks");
  value(app_, "--max-jobs", overrides.max_jobs, "INTEGER",
        "Number of parallel jobs allowed for a given build task");
  optional_flag(app_, "jobserver", overrides.jobserver,
                "The makes of all builds share the processors");
  value(app_, "--network-retries", overrides.network_retries, "INTEGER",
        "Maximum retries for network tasks");
  app_.add_flag("--no-interactive", global.no_interactive,
                "Force non interactive mode, otherwise this is automatically decided");
  optional_flag(app_, "verbose", overrides.verbose, "Be extra verbose");
  optional_flag(app_, "debug", overrides.debug, "Print debugging output");
  value(app_, "--error-lines", overrides.error_lines, "INTEGER",
        "Maximum number of lines to show from a task log");
  value(app_, "--message-lines", overrides.message_lines, "INTEGER",
        "Maximum number of lines to show in a detailed message");
  value(app_, "--log-file", global.log_file, "FILENAME", "A file to store the main log");
  optional_flag(app_, "colors", global.colors, "Force enable/disable ANSI color codes in output");
  optional_flag(
      app_, "strict", overrides.strict,
      "Elements must be rebuilt when their dependencies have changed (the default), or not");
  once_each(app_.add_option("-o,--option", global.options, "Specify a project option"))
      ->type_name("OPTION VALUE");
  value(app_, "--default-mirror", overrides.default_mirror, "TEXT",
        "The mirror to fetch from first, before attempting other mirrors");
  app_.add_flag_callback(
      "--pull-buildtrees", [&overrides] { overrides.pull_buildtrees = true; },
      "Include an element's build tree when pulling remote element artifacts");
  choice(app_, "--cache-buildtrees", overrides.cache_buildtrees, {"always", "auto", "never"},
         "Cache artifact build tree content on creation");
  choice(app_, "--style", global.style, style_names(),
         "How to show what happens (default: calm on a terminal, else what suits the system that "
         "runs the build)");
  app_.add_flag("--quiet", global.quiet, "Show failures and the summary alone");
  value(app_, "--json-log", global.json_log, "FILE",
        "Also write every record to FILE, as one JSON object a line");
}

void Parser::finish(CommandLine& line) {
  if (version_) {
    line.output = version();
    return;
  }
  if (help_command_->parsed()) {
    CLI::App* app = &app_;
    for (const auto& word : help_) {
      const auto named = app->get_subcommands([&](const CLI::App* sub) {
        return sub->get_name() == word && !sub->get_group().empty();
      });
      const CLI::App* const above = app;
      app = named.empty() ? nullptr : const_cast<CLI::App*>(named.front());
      if (app == nullptr) {
        line.output = fmt::format("Not a valid command: 'sluice {}'\n", fmt::join(help_, " "));
        if (const std::string meant = did_you_mean(nearest(word, names_of(verbs_of(*above))));
            !meant.empty())
          line.output += meant + "\n";
        line.status = kFailure;
        return;
      }
    }
    line.output = help_of(app);
    return;
  }
  for (const auto& [sub, make] : makers_) {
    if (!sub->parsed()) continue;
    line.command = make();
    line.verb = path_of(sub).substr(std::string_view("sluice ").size());
    line.global = global_;
    if (line.global.json_log.empty()) {
      if (const char* file = std::getenv("SLUICE_JSON_LOG")) line.global.json_log = file;
    }
    return;
  }
  // As in bst, no command at all shows the help.
  line.output = help_of(&app_);
  line.status = kUsage;
}

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  return Parser().parse(arguments);
}

const std::vector<std::string>& style_names() {
  static const std::vector<std::string> kNames = {"auto",   "calm",   "tty",   "plain",
                                                  "reader", "github", "gitlab"};
  return kNames;
}

CommandShape command_shape() { return Parser().shape(); }

std::string current_directory() {
  char buffer[4096];
  return ::getcwd(buffer, sizeof buffer) != nullptr ? buffer : ".";
}

wire::LoadArguments load_arguments(const GlobalOptions& global) {
  wire::LoadArguments load;
  load.what.directory = global.directory.empty() ? current_directory() : global.directory;
  if (load.what.directory.front() != '/')
    load.what.directory = current_directory() + "/" + load.what.directory;
  load.what.options = global.options;
  load.what.config = global.config;
  if (!load.what.config.empty() && load.what.config.front() != '/')
    load.what.config = current_directory() + "/" + load.what.config;
  load.overrides = global.overrides;
  return load;
}

}  // namespace sluice::cli
