#include "loader/elements/plugin_asker.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "model/names.h"
#include "project/lookups.h"

namespace sluice::loader {

namespace {

using plugins::text_of;
using wire::Writer;

void write_text(Writer& writer, std::string_view key, std::string_view value) {
  writer.string(key);
  writer.string(value);
}

// Packs trees with their places, of which the files are collected.
class PlacedTree {
 public:
  PlacedTree(std::string& out, std::vector<const File*>& files) : writer_(out), files_(files) {}

  void place(const Mark& mark) {
    if (mark.synthetic()) {
      writer_.integer(-1);
    } else {
      auto found = std::find(files_.begin(), files_.end(), mark.file);
      if (found == files_.end()) found = files_.insert(files_.end(), mark.file);
      writer_.unsigned_integer(static_cast<std::uint64_t>(found - files_.begin()));
    }
    writer_.unsigned_integer(mark.synthetic() ? 0 : mark.line + 1);
    writer_.unsigned_integer(mark.column);
  }

  void tree(const Node& node) {
    writer_.array(4);
    place(node.mark);
    if (node.is_scalar()) {
      writer_.string(node.text);
    } else if (node.is_list()) {
      writer_.array(node.size());
      for (const Node* item : node.items()) tree(*item);
    } else {
      writer_.map(node.size());
      for (const Entry& entry : node.entries()) {
        writer_.string(entry.key);
        tree(*entry.value);
      }
    }
  }

  void files() {
    writer_.array(files_.size());
    for (const File* file : files_) writer_.string(file->display);
  }

 private:
  Writer writer_;
  std::vector<const File*>& files_;
};

// What both kinds of questions begin with, five fields.
void write_plugin(Writer& writer, std::string_view type, std::string_view kind,
                  const PluginModule& plugin) {
  write_text(writer, "type", type);
  write_text(writer, "kind", kind);
  write_text(writer, "file", plugin.file);
  write_text(writer, "root", plugin.root);
  write_text(writer, "module", plugin.name);
}

constexpr std::size_t kSourceFields = 13;
constexpr std::size_t kElementFields = 14;
static_assert(kSourceFields < 15 && kElementFields < 15,
              "a map of up to fifteen entries has one byte in front");

// Adds an entry to a packed question.
std::string with_project(const std::string& question, std::size_t project) {
  std::string packed = question;
  packed[0] = static_cast<char>(packed[0] + 1);
  Writer writer(packed);
  writer.string("project");
  writer.unsigned_integer(project);
  return packed;
}

Result<PluginAnswer> read_answer(wire::Value answer) {
  PluginAnswer source;
  if (const wire::Value error = answer.find("error"); error.valid() && error.is_map()) {
    source.error = plugins::error_of(error);
    return source;
  }
  source.key = text_of(answer, "key");
  if (const wire::Value version = answer.find("artifact_version"); version.valid()) {
    std::int64_t number = 0;
    if (!version.get(number) || number != static_cast<int>(number))
      return fail("plugin", "host-protocol", "BST_ARTIFACT_VERSION isn't a number of 32 bits");
    source.artifact_version = static_cast<int>(number);
  }
  source.resolved = plugins::flag_of(answer, "resolved");
  source.ref = TRY(plugins::tree_of(answer.find("ref")));
  if (const wire::Value urls = answer.find("urls"); urls.valid()) {
    for (const wire::Value url : urls.items())
      source.urls.push_back({text_of(url, "url"), plugins::flag_of(url, "primary")});
  }
  if (const wire::Value flags = answer.find("flags"); flags.valid()) {
    std::string_view flag;
    for (const wire::Value each : flags.items()) {
      if (each.get_string(flag)) source.flags.emplace_back(flag);
    }
  }
  if (const wire::Value warnings = answer.find("warnings"); warnings.valid()) {
    for (const wire::Value each : warnings.items())
      source.warnings.push_back(
          {text_of(each, "name"), text_of(each, "text"), text_of(each, "detail")});
  }
  return source;
}

// The alias of a URL, as `project` has it; "" when it has none.
std::string alias_in(const Project& project, bool first_pass, std::string_view url) {
  const std::size_t colon = url.find(':');
  const Node* aliases = project.pass(first_pass).aliases;
  if (colon == std::string_view::npos || aliases == nullptr) return {};
  return std::string(aliases->contains(url.substr(0, colon)) ? url.substr(0, colon) : "");
}

}  // namespace

bool PluginAnswer::has(std::string_view flag) const {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

PluginAsker::PluginAsker(const model::Settings& settings, Lookups& lookups)
    : settings_(settings), lookups_(lookups), host_(settings.plugins, {}) {}

std::string PluginAsker::mirror_directory(std::string_view kind) const {
  return fmt::format("{}/{}", settings_.sourcedir, kind);
}

std::vector<std::string> PluginAsker::readable(const Project& project, const PluginModule& plugin) {
  std::vector<std::string> directories = {project.directory};
  for (const Junction* up = project.junction.get(); up != nullptr; up = up->project->junction.get())
    directories.push_back(up->project->directory);
  directories.push_back(plugin.root);
  return directories;
}

std::string PluginAsker::pack(const PluginModule& plugin, const SourceFacts& facts) {
  std::string out;
  Writer writer(out);
  std::vector<const File*> files;
  PlacedTree placed(out, files);
  writer.map(kSourceFields);
  write_plugin(writer, "source", facts.kind, plugin);
  write_text(writer, "element", facts.element);
  writer.string("index");
  writer.unsigned_integer(facts.index);
  write_text(writer, "directory", facts.directory);
  write_text(writer, "mirror_directory", facts.mirrors);
  writer.string("place");
  writer.array(3);
  placed.place(facts.mark);
  writer.string("config");
  placed.tree(facts.config);
  writer.string("provenance");
  if (facts.provenance != nullptr) {
    placed.tree(*facts.provenance);
  } else {
    writer.nil();
  }
  // The files come last, when all places are known.
  writer.string("files");
  placed.files();
  return out;
}

std::string PluginAsker::pack(const PluginModule& plugin, const ElementFacts& facts) {
  std::string out;
  Writer writer(out);
  std::vector<const File*> files;
  PlacedTree placed(out, files);
  writer.map(kElementFields);
  write_plugin(writer, "element", facts.kind, plugin);
  write_text(writer, "element", facts.element);
  writer.string("place");
  writer.array(3);
  placed.place(facts.mark);
  writer.string("config");
  placed.tree(facts.config);
  // What few plugins ask for, and every element has much of, is unpacked when it is wanted.
  std::string held;
  const auto hold = [&](std::string_view name) {
    writer.string(name);
    writer.binary(held);
    held.clear();
  };
  PlacedTree(held, files).tree(facts.public_data);
  hold("public");
  Writer inner(held);
  inner.map(facts.variables.size());
  for (const auto& [name, value] : facts.variables) write_text(inner, name, value);
  hold("variables");
  inner.map(facts.environment.size());
  for (const Entry& entry : facts.environment.entries())
    write_text(inner, entry.key, entry.value->text);
  hold("environment");
  writer.string("dependencies");
  writer.array(facts.dependencies.size());
  for (const ElementFacts::Dependency& dependency : facts.dependencies) {
    writer.map(7U + !dependency.path.empty() + dependency.needs.has_value());
    write_text(writer, "name", dependency.name);
    write_text(writer, "kind", dependency.kind);
    write_text(writer, "project", dependency.project);
    write_text(writer, "normal_name", model::normal_name(dependency.name));
    writer.string("build");
    writer.boolean(dependency.build);
    writer.string("runtime");
    writer.boolean(dependency.runtime);
    writer.string("config");
    if (dependency.config != nullptr) {
      placed.tree(*dependency.config);
    } else {
      writer.nil();
    }
    if (!dependency.path.empty()) write_text(writer, "path", dependency.path);
    if (dependency.needs) {
      writer.string("needs");
      writer.array(dependency.needs->size());
      for (const std::size_t position : *dependency.needs) writer.unsigned_integer(position);
    }
  }
  writer.string("sources");
  writer.array(facts.sources.size());
  for (const std::string_view kind : facts.sources) writer.string(kind);
  writer.string("files");
  placed.files();
  return out;
}

Result<std::string> PluginAsker::without_body(const std::string& element_question) {
  const auto document = TRY(wire::Document::parse(element_question));
  std::string out;
  Writer writer(out);
  writer.map(document.root().size() - 3);
  for (const auto [key, value] : document.root().entries()) {
    std::string_view name;
    key.get_string(name);
    if (name == "public" || name == "variables" || name == "environment") continue;
    writer.string(name);
    writer.raw(value.packed());
  }
  return out;
}

Result<std::string> PluginAsker::pack_project(Project& project, bool first_pass,
                                              const std::vector<PluginAnswer::Url>& urls,
                                              const Provenance& at) {
  std::vector<std::string> aliases;
  for (const PluginAnswer::Url& url : urls) {
    std::string alias = alias_in(project, first_pass, url.url);
    if (!alias.empty() && std::find(aliases.begin(), aliases.end(), alias) == aliases.end())
      aliases.push_back(std::move(alias));
  }
  std::string out;
  Writer writer(out);
  writer.map(3);
  write_text(writer, "name", project.name);
  write_text(writer, "directory", project.directory);
  writer.string("aliases");
  writer.map(aliases.size());
  for (const std::string& alias : aliases) {
    writer.string(alias);
    writer.map(3);
    write_text(writer, "url", TRY(project.translate_url(alias + ":", at, first_pass)));
    for (const bool tracking : {false, true}) {
      const auto uris = TRY(project.download_urls(alias + ":", first_pass, tracking));
      writer.string(tracking ? "track" : "fetch");
      writer.array(uris.size());
      for (const std::string& uri : uris) writer.string(uri);
    }
  }
  return out;
}

void PluginAsker::collect(PluginQuestion question) { collected_.push_back(std::move(question)); }

bool PluginAsker::ask_all() {
  const std::lock_guard lock(one_);
  std::vector<const PluginQuestion*> questions;
  for (const PluginQuestion& question : collected_) {
    if (!answers_.contains(key_of(question))) questions.push_back(&question);
  }
  while (!questions.empty()) {
    const Status asked = exchange(questions);
    std::erase_if(questions, [&](const PluginQuestion* question) {
      return answers_.contains(key_of(*question));
    });
    if (asked || questions.empty()) continue;
    // The host's failure is the answer to the first question that has none, and is told when that
    // source's turn comes; the others are asked again, of another process, where there can be one.
    const bool none = asked.error().reason == "no-host" || asked.error().reason == "no-python";
    do {
      answers_[key_of(*questions.front())].error = asked.error();
      questions.erase(questions.begin());
    } while (none && !questions.empty());
  }
  const bool more = std::any_of(collected_.begin(), collected_.end(), [&](const auto& question) {
    return answers_[key_of(question)].wants_needs();
  });
  collected_.clear();
  return more;
}

bool PluginAsker::wants_needs(const PluginQuestion& question) {
  const std::lock_guard lock(one_);
  const auto found = answers_.find(key_of(question));
  return found != answers_.end() && found->second.wants_needs();
}

Result<const PluginAnswer*> PluginAsker::ask(const PluginQuestion& question) {
  const std::lock_guard lock(one_);
  const Key key = key_of(question);
  auto found = answers_.find(key);
  if (found == answers_.end()) {
    CHECK(exchange({&question}));
    found = answers_.find(key);
  }
  return &found->second;
}

Status PluginAsker::exchange(const std::vector<const PluginQuestion*>& questions) {
  std::vector<std::pair<const Project*, bool>> projects;
  std::string packed_projects;
  std::string packed_questions;
  for (const PluginQuestion* question : questions) {
    const std::pair<const Project*, bool> project{question->project, question->first_pass};
    auto found = std::find(projects.begin(), projects.end(), project);
    if (found == projects.end()) {
      std::vector<PluginAnswer::Url> all;
      if (const Node* aliases = question->project->pass(question->first_pass).aliases) {
        for (const Entry& entry : aliases->entries())
          all.push_back({fmt::format("{}:", entry.key), false});
      }
      packed_projects +=
          TRY(pack_project(*question->project, question->first_pass, all, question->place));
      found = projects.insert(projects.end(), project);
    }
    packed_questions +=
        with_project(question->packed, static_cast<std::size_t>(found - projects.begin()));
    host_.see(readable(*question->project, *question->plugin),
              std::vector{mirror_directory(question->kind)});
  }
  std::string request;
  Writer writer(request);
  writer.map(4);
  write_text(writer, "do", "load");
  writer.string("id");
  writer.unsigned_integer(++asked_);
  writer.string("projects");
  writer.array(projects.size());
  writer.raw(packed_projects);
  writer.string("questions");
  writer.array(questions.size());
  writer.raw(packed_questions);

  std::size_t answered = 0;
  auto asked = host_.ask(request, [&](wire::Value answer) -> Result<bool> {
    const std::string is = text_of(answer, "is");
    if (is == "message") return false;
    if (is == "done") {
      CHECK(note_reads(answer.find("read")));
      return true;
    }
    std::uint64_t index = 0;
    const wire::Value number = answer.find("index");
    if (is != "answer" || !number.valid() || !number.get(index) || index != answered ||
        index >= questions.size())
      return fail("plugin", "host-protocol", "The plugin's process gave no answer to its question");
    const PluginQuestion& question = *questions[answered++];
    answers_[key_of(question)] = TRY(read_answer(answer));
    return false;
  });
  if (asked && answered == questions.size()) return {};
  if (asked) asked = fail("plugin", "host-protocol", "The plugin's process left out an answer");
  const PluginQuestion& question = *questions[std::min(answered, questions.size() - 1)];
  Error error = std::move(asked.error());
  error.message = fmt::format("{} kind '{}' ({}): {}",
                              question.type == PluginType::kElement ? "Element" : "Source",
                              question.kind, question.plugin->file, error.message);
  error.provenance = question.place;
  return tl::unexpected<Error>(std::move(error));
}

Status PluginAsker::note_reads(wire::Value reads) {
  if (!reads.valid()) return {};
  for (const wire::Value read : reads.items()) {
    std::vector<std::string_view> parts;
    for (const wire::Value part : read.items()) {
      std::string_view text;
      if (!part.get_string(text)) break;
      parts.push_back(text);
    }
    if (parts.size() != 2)
      return fail("plugin", "host-protocol", "The plugin's process says no more what it has read");
    const std::string path(parts[1]);
    if (parts[0] == "environment") {
      lookups_.environment(path);
    } else if (!path.starts_with('/')) {
      continue;
    } else if (parts[0] == "file") {
      Arena arena;
      static_cast<void>(lookups_.read(arena, path));
    } else if (parts[0] == "directory") {
      lookups_.list(path);
    } else {
      lookups_.exists(path);
    }
  }
  return {};
}

}  // namespace sluice::loader
