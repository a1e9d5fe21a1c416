#include "cli/completion.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/shell_words.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/sessions.h"
#include "project/user_config.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "yaml/arena.h"
#include "yaml/parse.h"

namespace sluice::cli {

namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;
using Candidates = std::vector<Candidate>;

bool leads_on(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// What lies where `word` leads, seen from `base`. A directory may go on; what else there is, is
// final.
Strings paths(const std::string& word, const fs::path& base, bool directories_only) {
  std::string inside;  // of the word, with its slash
  if (const auto slash = word.rfind('/'); slash != std::string::npos) {
    inside = word.substr(0, slash + 1);
  } else if (!word.empty() && leads_on(base / word)) {
    inside = word + "/";
  }
  Strings found;
  std::error_code error;
  for (auto entry = fs::directory_iterator(base / inside, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const bool directory = leads_on(entry->path());
    if (directories_only && !directory) continue;
    found.push_back(inside + entry->path().filename().string() + (directory ? "/" : " "));
  }
  return found;
}

std::string value_of(const Strings& words, std::initializer_list<std::string_view> names) {
  // The last value of an option that is given twice counts, as when the command runs.
  for (std::size_t i = words.size(); i-- > 1;) {
    if (std::find(names.begin(), names.end(), words[i - 1]) != names.end()) return words[i];
  }
  return {};
}

Strings elements(const CompletionRequest& request) {
  const std::string given = value_of(request.before, {"-C", "--directory"});
  const std::string project = given.empty() ? find_project(current_directory()) : given;
  if (project.empty()) return {};
  const yaml::File file{project + "/project.conf", "project.conf"};
  const auto text = read_file(file.path);
  if (!text) return {};
  yaml::Arena arena;
  const auto conf = yaml::parse_yaml(arena, file, *text);
  if (!conf) return {};
  fs::path base = project;
  if (const auto* path = (*conf)->find("element-path"); path != nullptr && path->is_scalar())
    base /= path->text;
  Strings found = paths(request.word, base, false);
  std::erase_if(found, [](const std::string& path) {
    return !path.ends_with(".bst ") && !path.ends_with('/');
  });
  return found;
}

Strings artifacts(const CompletionRequest& request) {
  Strings found = elements(request);
  auto config = project::load_user_config(value_of(request.before, {"-c", "--config"}), {}, 1);
  if (!config) return found;
  // A store that isn't there yet is not made for this.
  const std::string& cachedir = (*config)->settings.cachedir;
  if (!leads_on(cachedir + "/artifacts")) return found;
  auto cas = store::Cas::open(cachedir, {.keep_access_times = true});
  if (!cas) return found;
  auto refs = store::Artifacts(*cas).list();
  if (refs) found.insert(found.end(), refs->begin(), refs->end());
  return found;
}

// Verbs that work with sessions that have ended, too.
constexpr std::string_view kAboutThePast[] = {
    "sluice log",
    "sluice metrics",
    "sluice report",
    "sluice trace",
    "sluice web",
    "sluice session attach",
    "sluice session explain",
    "sluice session replay",
    "sluice session summary",
    "sluice session what-failed",
    "sluice session what-ran",
};
// Sessions that have ended of which the newest are offered.
constexpr std::size_t kPast = 20;

Candidates sessions(const CommandShape& command) {
  const bool past = std::find(std::begin(kAboutThePast), std::end(kAboutThePast), command.path) !=
                    std::end(kAboutThePast);
  std::size_t left = past ? kPast : 0;
  Candidates found;
  const auto all = list_sessions();
  for (auto session = all.rbegin(); session != all.rend(); ++session) {
    if (!session->alive && left == 0) continue;
    if (!session->alive) --left;
    found.push_back({session->paths.id + " ",
                     (session->alive ? "" : "ended, ") + session->verb + ", " + session->project});
  }
  return found;
}

Candidates names_of(const std::vector<CommandShape>& commands) {
  Candidates names;
  for (const CommandShape& command : commands)
    names.push_back({command.name + " ", command.description});
  return names;
}

Candidates undescribed(Strings words) {
  Candidates found;
  for (std::string& word : words) found.push_back({std::move(word), ""});
  return found;
}

const CommandShape* named(const std::vector<CommandShape>& commands, std::string_view name) {
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const CommandShape& c) { return c.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

// What a table among a command's details says of a word: "    none:   No dependencies".
std::string row_of(std::string_view details, const std::string& word) {
  const std::string begin = "  " + word + ":  ";
  for (std::string_view line : split_lines(details)) {
    if (!line.starts_with(begin)) continue;
    line.remove_prefix(line.find_first_not_of(' ', begin.size()));
    return std::string(line.substr(0, line.find('\n')));
  }
  return {};
}

Candidates values(const ValueShape& value, const CommandShape& command,
                  const CompletionRequest& request, const CommandShape& all) {
  switch (value.what) {
    case ValueShape::What::kChoice: {
      Candidates found;
      for (const std::string& choice : value.choices)
        found.push_back({choice + " ", row_of(command.details, choice)});
      return found;
    }
    case ValueShape::What::kPath: return undescribed(paths(request.word, ".", false));
    case ValueShape::What::kDirectory: return undescribed(paths(request.word, ".", true));
    case ValueShape::What::kElement: return undescribed(elements(request));
    case ValueShape::What::kArtifact: return undescribed(artifacts(request));
    case ValueShape::What::kSession: return sessions(command);
    case ValueShape::What::kCommand: {
      const CommandShape* command = &all;
      for (const std::string& word : request.before) {
        if (word == "help" && command == &all) continue;
        if (const CommandShape* sub = named(command->commands, word)) command = sub;
      }
      return names_of(command->commands);
    }
    case ValueShape::What::kOther: break;
  }
  return {};
}

// Where the words before the one that is completed lead.
struct Position {
  const CommandShape* command = nullptr;  // null: nowhere that is known
  const OptionShape* waiting = nullptr;   // an option whose value comes next
  std::size_t arguments = 0;              // of the command, so far
};

Position position_of(const CommandShape& all, const Strings& before) {
  Position at{&all};
  std::size_t wanted = 0;
  for (const std::string& word : before) {
    // Some versions of bash take "--option=value" apart.
    if (word == "=") continue;
    if (wanted > 0) {
      if (--wanted == 0) at.waiting = nullptr;
      continue;
    }
    if (word.size() > 1 && word.front() == '-') {
      const std::string_view name = std::string_view(word).substr(0, word.find('='));
      for (const OptionShape& option : at.command->options) {
        if (std::find(option.names.begin(), option.names.end(), name) == option.names.end())
          continue;
        if (option.values == 0 || name.size() < word.size()) break;
        at.waiting = &option;
        wanted = option.values;
      }
    } else if (const CommandShape* sub = named(at.command->commands, word)) {
      at.command = sub;
      at.arguments = 0;
    } else if (at.command->arguments.empty()) {
      return {};
    } else {
      ++at.arguments;
    }
  }
  return at;
}

Candidates candidates(CompletionRequest& request) {
  const CommandShape all = command_shape();
  if (request.word.starts_with('-') && request.word.find('=') != std::string::npos) {
    const auto equals = request.word.find('=');
    request.before.push_back(request.word.substr(0, equals));
    request.word.erase(0, equals + 1);
  } else if (request.word == "=") {
    request.word.clear();
  }
  const Position at = position_of(all, request.before);
  if (at.command == nullptr) return {};
  if (at.waiting != nullptr) return values(at.waiting->value, *at.command, request, all);
  if (request.word.starts_with('-')) {
    Candidates found;
    for (const OptionShape& option : at.command->options) {
      for (const std::string& name : option.names) {
        const bool given =
            std::find(request.before.begin(), request.before.end(), name) != request.before.end();
        if (!given || option.repeated) found.push_back({name + " ", option.description});
      }
    }
    return found;
  }
  std::size_t taken = at.arguments;
  for (const ArgumentShape& argument : at.command->arguments) {
    if (argument.many || taken == 0) return values(argument.value, *at.command, request, all);
    --taken;
  }
  return names_of(at.command->commands);
}

}  // namespace

std::optional<CompletionRequest> completion_request() {
  const char* text = std::getenv("COMP_WORDS");
  const char* which = std::getenv("COMP_CWORD");
  if (text == nullptr || which == nullptr) return std::nullopt;
  std::size_t index = 0;
  const std::string_view number = which;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  CompletionRequest request;
  Strings words = shell_words(text);
  if (index < words.size()) request.word = words[index];
  for (std::size_t i = 1; i < std::min(index, words.size()); ++i)
    request.before.push_back(std::move(words[i]));
  return request;
}

std::vector<Candidate> complete(const CompletionRequest& asked) {
  CompletionRequest request = asked;
  Candidates found = candidates(request);
  std::erase_if(found, [&](const Candidate& candidate) {
    return !candidate.word.starts_with(request.word) || clean(candidate.word) != candidate.word ||
           candidate.word.find_first_of("\t\n") != std::string::npos;
  });
  std::sort(found.begin(), found.end(),
            [](const Candidate& a, const Candidate& b) { return a.word < b.word; });
  found.erase(std::unique(found.begin(), found.end(),
                          [](const Candidate& a, const Candidate& b) { return a.word == b.word; }),
              found.end());
  return found;
}

std::string completion_answer(const CompletionRequest& request) {
  const char* how = std::getenv("_SLUICE_COMPLETION");
  const bool described = how != nullptr && std::string_view(how) == "described";
  std::string text;
  for (const Candidate& candidate : complete(request)) {
    text += candidate.word;
    if (described && !candidate.description.empty()) {
      std::string description = clean(candidate.description);
      std::replace_if(
          description.begin(), description.end(), [](char c) { return c == '\t' || c == '\n'; },
          ' ');
      text += "\t" + description;
    }
    text += "\n";
  }
  return text;
}

}  // namespace sluice::cli
