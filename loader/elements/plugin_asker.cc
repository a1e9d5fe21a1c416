#include "loader/elements/plugin_asker.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/try.h"
#include "model/names.h"
#include "project/lookups.h"
#include "sources/mirror_url.h"

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

// So many questions take longer than another host takes to start.
constexpr std::size_t kWorthAnotherHost = 400;

constexpr std::size_t kSourceFields = 13;  // without `stored`
constexpr std::size_t kElementFields = 14;
constexpr std::size_t kMirrorFields = 10;
static_assert(kSourceFields + 1 < 15 && kElementFields < 15 && kMirrorFields < 15,
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
  if (const wire::Value aliases = answer.find("aliases"); aliases.valid()) {
    std::string_view alias;
    for (const wire::Value each : aliases.items()) {
      if (each.get_string(alias)) source.aliases.emplace_back(alias);
    }
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
  source.redundant = TRY(plugins::tree_of(answer.find("redundant")));
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
    : settings_(settings), lookups_(lookups), hosts_{plugins::Host(settings.plugins, {}),
                                                     plugins::Host(settings.plugins, {})} {}

std::string PluginAsker::mirror_directory(std::string_view kind) const {
  return fmt::format("{}/{}", settings_.sourcedir, kind);
}

std::vector<std::string> PluginAsker::readable(const Project& project, bool first_pass,
                                               const PluginModule* plugin) {
  std::vector<std::string> directories = {project.directory};
  for (const Junction* up = project.junction.get(); up != nullptr; up = up->project->junction.get())
    directories.push_back(up->project->directory);
  if (plugin != nullptr) directories.push_back(plugin->root);
  for (const Mirror* mirror : project.plugin_mirrors(first_pass))
    directories.push_back(mirror->plugin->module.root);
  return directories;
}

std::string PluginAsker::pack(const PluginModule& plugin, const SourceFacts& facts) {
  std::string out;
  Writer writer(out);
  std::vector<const File*> files;
  PlacedTree placed(out, files);
  writer.map(kSourceFields + (facts.stored ? 1 : 0));
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
  if (facts.stored) {
    writer.string("stored");
    writer.map(2);
    writer.string("clear");
    writer.boolean(facts.stored->clear);
    writer.string("node");
    if (facts.stored->node != nullptr) {
      placed.tree(*facts.stored->node);
    } else {
      writer.nil();
    }
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

std::string PluginAsker::pack_mirror(const Project& project, const PluginModule& plugin,
                                     std::string_view kind, const Node& node) {
  std::string out;
  Writer writer(out);
  std::vector<const File*> files;
  PlacedTree placed(out, files);
  writer.map(kMirrorFields);
  write_plugin(writer, "mirror", kind, plugin);
  write_text(writer, "name", project.name);
  write_text(writer, "directory", project.directory);
  writer.string("place");
  writer.array(3);
  placed.place(node.mark);
  writer.string("config");
  placed.tree(node);
  writer.string("files");
  placed.files();
  return out;
}

std::vector<std::string> PluginAsker::aliases_of(const Project& project, bool first_pass,
                                                 const model::Source& source) {
  std::vector<std::string> aliases;
  const auto add = [&](const std::string& url) {
    const auto there = sources::parse_mirror_url(url);
    std::string alias = there ? std::string(there->alias) : alias_in(project, first_pass, url);
    if (!alias.empty() && std::find(aliases.begin(), aliases.end(), alias) == aliases.end())
      aliases.push_back(std::move(alias));
  };
  add(source.original_url);
  for (const std::string& url : source.urls) add(url);
  for (const std::string& url : source.track_urls) add(url);
  for (const model::SourceUrl& more : source.more_urls) {
    add(more.original_url);
    for (const std::string& url : more.urls) add(url);
  }
  return aliases;
}

bool PluginAsker::has_mirror_url(const model::Source& source) {
  const auto any = [](const std::vector<std::string>& urls) {
    return std::any_of(urls.begin(), urls.end(), [](const std::string& url) {
      return sources::parse_mirror_url(url).has_value();
    });
  };
  return any(source.urls) || any(source.track_urls) ||
         std::any_of(source.more_urls.begin(), source.more_urls.end(),
                     [&](const model::SourceUrl& more) { return any(more.urls); });
}

std::string PluginAsker::pack_project(const Project& project, bool first_pass,
                                      const std::vector<std::string>& aliases,
                                      const Provenance& at) {
  bool mirrored = false;
  std::string out;
  Writer writer(out);
  std::string packed;
  Writer inner(packed);
  for (const std::string& alias : aliases) {
    // An alias that a source may not use is the loader's to refuse, for the source that does.
    const auto url = project.translate_url(alias + ":", at, first_pass);
    const std::string_view own = project.pass(first_pass).aliases->find(alias)->text;
    inner.string(alias);
    inner.map(url && *url == own ? 3 : 4);
    write_text(inner, "url", url ? *url : own);
    if (!url || *url != own) write_text(inner, "own", own);
    for (const bool tracking : {false, true}) {
      auto targets = project.alias_targets(alias, first_pass, tracking);
      if (!targets) targets = std::vector<AliasTarget>(1);
      inner.string(tracking ? "track" : "fetch");
      inner.array(targets->size());
      for (const AliasTarget& target : *targets) {
        if (target.mirror == nullptr) {
          inner.string(target.uri.empty() ? alias + ":" : target.uri);
          continue;
        }
        mirrored = true;
        inner.map(2);
        inner.string("mirror");
        inner.unsigned_integer(target.number);
        write_text(inner, "alias", target.alias);
      }
    }
  }
  const Node* attributes = project.provenance_attributes;
  writer.map(3 + (mirrored ? 1 : 0) + (attributes != nullptr ? 1 : 0));
  write_text(writer, "name", project.name);
  write_text(writer, "directory", project.directory);
  if (attributes != nullptr) {
    writer.string("provenance_attributes");
    writer.array(attributes->size());
    for (const Entry& attribute : attributes->entries()) writer.string(attribute.key);
  }
  writer.string("aliases");
  writer.map(aliases.size());
  writer.raw(packed);
  if (!mirrored) return out;
  const std::vector<const Mirror*> mirrors = project.plugin_mirrors(first_pass);
  writer.string("mirrors");
  writer.array(mirrors.size());
  for (const Mirror* mirror : mirrors) writer.raw(mirror->plugin->packed);
  return out;
}

void PluginAsker::collect(PluginQuestion question) { collected_.push_back(std::move(question)); }

void PluginAsker::expect(const Project& project, const PluginModule& plugin,
                         std::string_view kind) {
  expects_ = true;
  for (plugins::Host& host : hosts_)
    host.see(readable(project, false, &plugin), std::vector{mirror_directory(kind)});
}

void PluginAsker::start_hosts(std::size_t elements) {
  const std::lock_guard lock(one_);
  if (!expects_ || !answers_.empty()) return;
  // What fails here fails again when something is asked, and is told there.
  const bool both = elements >= kWorthAnotherHost && std::thread::hardware_concurrency() > 1;
  for (int i = 0; i < (both ? 2 : 1); ++i) static_cast<void>(hosts_[i].start());
}

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
  const std::span all(questions);
  const bool shared =
      questions.size() >= kWorthAnotherHost && std::thread::hardware_concurrency() > 1;
  const std::size_t first = shared ? questions.size() / 2 : questions.size();
  Exchange exchanges[] = {{&hosts_[0], all.first(first)}, {&hosts_[1], all.subspan(first)}};
  Status done[] = {{}, {}};
  for (int i = 0; i < (shared ? 2 : 1); ++i) done[i] = begin(exchanges[i]);
  for (int i = 0; i < (shared ? 2 : 1); ++i) {
    if (done[i]) done[i] = finish(exchanges[i]);
  }
  return done[0] ? done[1] : done[0];
}

Status PluginAsker::begin(Exchange& exchange) {
  std::vector<std::pair<const Project*, bool>> projects;
  std::string packed_projects;
  std::string packed_questions;
  for (const PluginQuestion* question : exchange.questions) {
    const std::pair<const Project*, bool> project{question->project, question->first_pass};
    auto found = std::find(projects.begin(), projects.end(), project);
    if (found == projects.end()) {
      std::vector<std::string> all;
      const Node* aliases = question->project->pass(question->first_pass).aliases;
      // A mirror is asked for before the aliases of its project are of use.
      if (aliases != nullptr && question->type != PluginType::kSourceMirror) {
        for (const Entry& entry : aliases->entries()) all.emplace_back(entry.key);
      }
      packed_projects +=
          pack_project(*question->project, question->first_pass, all, question->place);
      found = projects.insert(projects.end(), project);
    }
    packed_questions +=
        with_project(question->packed, static_cast<std::size_t>(found - projects.begin()));
    // A mirror keeps nothing.
    const bool mirror = question->type == PluginType::kSourceMirror;
    exchange.host->see(
        readable(*question->project, question->first_pass, question->plugin),
        mirror ? std::vector<std::string>() : std::vector{mirror_directory(question->kind)});
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
  writer.array(exchange.questions.size());
  writer.raw(packed_questions);
  auto begun = exchange.host->begin(request);
  return begun ? begun : failure(exchange, std::move(begun.error()));
}

Status PluginAsker::finish(Exchange& exchange) {
  const auto& questions = exchange.questions;
  auto asked = exchange.host->finish([&](wire::Value answer) -> Result<bool> {
    const std::string is = text_of(answer, "is");
    if (is == "message") return false;
    if (is == "done") {
      CHECK(note_reads(answer.find("read")));
      return true;
    }
    std::uint64_t index = 0;
    const wire::Value number = answer.find("index");
    if (is != "answer" || !number.valid() || !number.get(index) || index != exchange.answered ||
        index >= questions.size())
      return fail("plugin", "host-protocol", "The plugin's process gave no answer to its question");
    const PluginQuestion& question = *questions[exchange.answered++];
    answers_[key_of(question)] = TRY(read_answer(answer));
    return false;
  });
  if (asked && exchange.answered == questions.size()) return {};
  if (asked) asked = fail("plugin", "host-protocol", "The plugin's process left out an answer");
  return failure(exchange, std::move(asked.error()));
}

tl::unexpected<Error> PluginAsker::failure(const Exchange& exchange, Error error) {
  const PluginQuestion& question =
      *exchange.questions[std::min(exchange.answered, exchange.questions.size() - 1)];
  error.message = fmt::format("{} kind '{}' ({}): {}",
                              question.type == PluginType::kElement  ? "Element"
                              : question.type == PluginType::kSource ? "Source"
                                                                     : "Source-mirror",
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
