// What several verbs' options have in common: how their values are checked and read.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/suggest.h"
#include "cli/option_parser.h"
#include "cli/remote_option.h"

namespace sluice::cli {

CLI::Validator no_file(const std::string& option) {
  const auto check = [option](std::string& path) {
    if (path.empty() && option == "--directory")
      return fmt::format("Invalid value for '{}': Directory '' has no name.", option);
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status) || std::filesystem::is_directory(status))
      return std::string();
    return fmt::format("Invalid value for '{}': Directory '{}' is a file.", option, path);
  };
  return CLI::Validator(check, "", "");
}

CLI::Validator not_negative() {
  const auto check = [](const std::string& value) {
    return value.starts_with('-') ? value + " is less than 0" : std::string();
  };
  return CLI::Validator(check, "", "");
}

namespace {

// "-d,--deps" as "'--deps' / '-d'", the way that bst names it.
std::string quoted_names(const std::string& names) {
  const auto comma = names.find(',');
  if (comma == std::string::npos) return "'" + names + "'";
  return fmt::format("'{}' / '{}'", names.substr(comma + 1), names.substr(0, comma));
}

}  // namespace

CLI::Validator one_of(const std::string& option, const Strings& values) {
  const auto check = [option, values](std::string& value) {
    if (std::find(values.begin(), values.end(), value) != values.end()) return std::string();
    const std::string meant = did_you_mean(nearest(value, values));
    return fmt::format("Invalid value for {}: '{}' is not one of '{}'.{}", quoted_names(option),
                       value, fmt::join(values, "', '"), meant.empty() ? "" : "\n" + meant);
  };
  return CLI::Validator(check, "", "");
}

CLI::Validator job_count() {
  return CLI::Validator(CLI::Range(1u, wire::kMostJobs)).description("");
}

CLI::Option* last_checked(CLI::Option* option, CLI::Validator validator) {
  const auto check = [option, validator = std::move(validator)](std::string& value) {
    return value == option->results().back() ? validator(value) : std::string();
  };
  return option->check(CLI::Validator(check, "", ""));
}

void remote_option(CLI::App& app, const std::string& name, std::vector<model::Remote>& into,
                   std::optional<bool> push, const std::string& help) {
  const auto add = [&into, push, name](const Strings& values) {
    for (const std::string& value : values) {
      auto remote = read_remote(value, push);
      if (!remote)
        throw CLI::ValidationError(name, "Failed to interpret remote: " + remote.error().message);
      into.push_back(std::move(*remote));
    }
    return true;
  };
  once_each(app.add_option(name, add, help)->expected(1, -1))->type_name("REMOTE");
}

void artifact_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                             const std::string& what) {
  remote_option(app, "--artifact-remote", into.artifacts, push,
                fmt::format("A remote for {} artifacts", what));
  app.add_flag("--ignore-project-artifact-remotes", into.ignore_project_artifacts,
               "Ignore remote artifact cache servers recommended by projects");
}

void source_remote_options(CLI::App& app, RemoteOptions& into, std::optional<bool> push,
                           const std::string& what) {
  remote_option(app, "--source-remote", into.sources, push,
                fmt::format("A remote for {} sources", what));
  app.add_flag("--ignore-project-source-remotes", into.ignore_project_sources,
               "Ignore remote source cache servers recommended by projects");
}

namespace {

// Reads "90", "90s", "15m", "2h", "1d" as seconds; "never" as 0.
std::string read_duration(const std::string& text, std::uint32_t& seconds) {
  if (text == "never") {
    seconds = 0;
    return {};
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::uint64_t factor = unit.empty() || unit == "s" ? 1
                               : unit == "m"               ? 60
                               : unit == "h"               ? 3600
                               : unit == "d"               ? 86400
                                                           : 0;
  if (error != std::errc() || factor == 0 || number == 0 || number > 0xffffffff / factor)
    return fmt::format("'{}' is no duration such as 90s, 15m, 2h, 1d or 'never'", text);
  seconds = static_cast<std::uint32_t>(number * factor);
  return {};
}

}  // namespace

CLI::Option* duration(CLI::App& app, const std::string& name, std::uint32_t& into,
                      const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&into, name](const std::string& text) {
            if (const std::string wrong = read_duration(text, into); !wrong.empty())
              throw CLI::ValidationError(name, wrong);
          },
          help)
      ->type_name("DURATION")
      ->take_last();
}

namespace {

// Reads "tcp://HOST:PORT", and "[::1]" as a host.
std::string read_listen(const std::string& text, ListenOptions& into) {
  const std::string wrong = fmt::format("'{}' is no address such as tcp://0.0.0.0:7420", text);
  if (!text.starts_with("tcp://")) return wrong;
  const auto colon = text.rfind(':');
  std::string host = text.substr(6, colon <= 6 ? std::string::npos : colon - 6);
  const std::string port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return wrong;
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), into.port);
  if (host.empty() || error != std::errc() || end != port.data() + port.size() ||
      into.port > 65535 - 5)
    return wrong;
  into.host = host;
  into.given = text;
  return {};
}

}  // namespace

void listen_options(CLI::App& app, ListenOptions& into) {
  auto* listen =
      app.add_option_function<std::string>(
             "--listen",
             [&into](const std::string& text) {
               if (const std::string wrong = read_listen(text, into); !wrong.empty())
                 throw CLI::ValidationError("--listen", wrong);
             },
             "Let runners and renderers of other machines join: six ports from this one on "
             "(0: free ones)")
          ->type_name("tcp://HOST:PORT")
          ->take_last();
  value(app, "--advertise", into.advertise, "HOST", "HOST as others reach it")->needs(listen);
  value(app, "--join-files", into.join_files, "DIRECTORY",
        "Where runner.json, observe.json and control.json are written (default: the session's "
        "state directory)")
      ->needs(listen);
  duration(app, "--join-expires", into.expires_s,
           "How long the join files let others in, or 'never' (default: 1d)")
      ->needs(listen);
  app.add_flag("--allow-skew", into.allow_skew,
               "Take runners whose builds may come out differently, since their machine or their "
               "Sluice is another")
      ->needs(listen);
}

Verb* add_verb(CLI::App& parent, const std::string& name, const std::string& help,
               std::vector<Example> examples) {
  auto verb = std::make_shared<Verb>(name, help, std::move(examples), &parent);
  parent.add_subcommand(verb);
  return verb.get();
}

}  // namespace sluice::cli
