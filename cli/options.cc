#include "cli/options.h"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

#include "cli/option_parser.h"

namespace sluice::cli {

namespace {

// Like click's: the usage first, on one line.
class Formatter : public CLI::Formatter {
 public:
  Formatter() { column_width(34); }
  std::string make_usage(const CLI::App*, std::string) const override { return ""; }
  std::string make_description(const CLI::App* app) const override {
    return usage_of(app) + "\n\n  " + app->get_description() + "\n";
  }
  std::string make_footer(const CLI::App* app) const override { return app->get_footer(); }
  std::string make_positionals(const CLI::App*) const override { return ""; }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
  // "-c, --config"; what CLI11 adds of itself ("{false}") is left out.
  std::string make_option_name(const CLI::Option* option, bool) const override {
    std::string name;
    bool inside = false;
    for (const char c : option->get_name(false, true)) {
      inside = (inside || c == '{') && c != '}';
      if (inside || c == '}') continue;
      name += c;
      if (c == ',') name += ' ';
    }
    return name;
  }

  static std::string path_of(const CLI::App* app) {
    return app->get_parent() == nullptr ? app->get_name()
                                        : path_of(app->get_parent()) + " " + app->get_name();
  }
  static std::string argument_name(const CLI::Option* option, bool optional) {
    const std::string name =
        optional ? "[" + option->get_type_name() + "]" : option->get_type_name();
    return name + (option->get_expected_max() > 1 ? "..." : "");
  }
  static std::string usage_of(const CLI::App* app) {
    std::string usage = "Usage: " + path_of(app) + " [OPTIONS]";
    for (const CLI::Option* option : app->get_options(
             [](const CLI::Option* o) { return o->get_positional() && !o->get_group().empty(); })) {
      usage += " " + argument_name(option, !option->get_required());
    }
    if (!app->get_subcommands([](const CLI::App*) { return true; }).empty())
      usage += " COMMAND [ARGS]...";
    return usage;
  }
};

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

CommandShape shape_of(const CLI::App& app) {
  CommandShape shape;
  shape.name = app.get_name();
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    const std::string name = option->get_single_name();
    if (option == app.get_help_ptr()) continue;
    if (option->get_positional()) {
      // A positional without a group only catches words.
      if (option->get_group().empty()) continue;
      shape.arguments.push_back(
          {option->get_expected_max() > 1, value_shape(app, option->get_type_name(), name)});
      continue;
    }
    OptionShape one;
    for (const std::string& letter : option->get_snames()) one.names.push_back("-" + letter);
    for (const std::string& word : option->get_lnames()) one.names.push_back("--" + word);
    one.values = option->get_items_expected_max() == 0
                     ? 0
                     : static_cast<std::size_t>(std::max(option->get_type_size(), 0));
    one.repeated = option->get_expected_max() > 1;
    if (one.values > 0) one.value = value_shape(app, option->get_type_name(), "--" + name);
    shape.options.push_back(std::move(one));
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    shape.commands.push_back(shape_of(*sub));
  return shape;
}

std::string version() { return "sluice " SLUICE_VERSION "\n"; }

// CLI11's App::help() would give that of the verb that was parsed.
std::string help_of(CLI::App* app) {
  return app->get_formatter()->make_help(app, "", CLI::AppFormatMode::Normal);
}

bool is_group(const CLI::App* app) {
  return !app->get_subcommands([](const CLI::App*) { return true; }).empty();
}

std::string no_such_option(const std::string& option) { return "No such option: " + option; }

}  // namespace

Parser::Parser() : app_("Build and manipulate BuildStream projects", "sluice") {
  app_.formatter(std::make_shared<Formatter>());
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
  add_shell();
  add_source();
  add_workspace();
  add_init();
  add_artifact();
  add_session();
  add_pages();
  add_runner();
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
    if (const std::string option = unknown_option(); !option.empty()) {
      line.output = usage_error(no_such_option(option));
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
    line.output = verbless ? help_of(app) : usage_error(text_of(error));
    line.status = kUsage;
  }
  return line;
}

CommandShape Parser::shape() const { return shape_of(app_); }

CLI::App* Parser::deepest() {
  CLI::App* app = &app_;
  for (auto chosen = app->get_subcommands(); !chosen.empty(); chosen = app->get_subcommands())
    app = chosen.back();
  return app;
}

std::string Parser::unknown_option() {
  for (const std::string& word : deepest()->remaining()) {
    if (word.size() > 1 && word.starts_with('-')) return word;
  }
  return {};
}

std::string Parser::text_of(const CLI::ParseError& error) {
  CLI::App* app = deepest();
  const Strings rest = app->remaining();
  const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
  if (code != CLI::ExitCodes::ExtrasError && code != CLI::ExitCodes::RequiredError)
    return error.what();
  if (!rest.empty()) {
    if (rest.front().starts_with('-')) return no_such_option(rest.front());
    return fmt::format("{} '{}'",
                       is_group(app) ? "No such command" : "Got unexpected extra argument",
                       rest.front());
  }
  for (const CLI::Option* option : app->get_options(
           [](const CLI::Option* o) { return o->get_positional() && o->get_required(); })) {
    if (option->count() == 0)
      return fmt::format("Missing argument '{}'.", Formatter::argument_name(option, false));
  }
  return error.what();
}

std::string Parser::usage_error(std::string_view message) {
  CLI::App* app = deepest();
  return fmt::format("{}\nTry '{} -h' for help.\n\nError: {}\n", Formatter::usage_of(app),
                     Formatter::path_of(app), message);
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
      app = named.empty() ? nullptr : const_cast<CLI::App*>(named.front());
      if (app == nullptr) {
        line.output = fmt::format("Not a valid command: 'sluice {}'\n", fmt::join(help_, " "));
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
    line.verb = Formatter::path_of(sub).substr(std::string_view("sluice ").size());
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
