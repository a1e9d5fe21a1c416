#include "elements/plugin_calls.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_set>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "elements/integration_cache.h"
#include "plugins/host.h"
#include "sources/info.h"
#include "store/artifact.h"
#include "wire/snapshot.h"

namespace sluice::elements {

namespace {

using plugins::flag_of;
using plugins::text_of;
using plugins::write_entry;
using wire::Value;
using wire::Writer;

// The types of entries, as BuildStream's FileType numbers them.
constexpr std::uint64_t kDirectory = 1, kFile = 2, kLink = 3;

tl::unexpected<Error> refused(std::string_view what) {
  return fail("plugin", "host-protocol", fmt::format("The plugin's process called for {}", what));
}

Result<std::string> text_in(Value call, std::string_view key) {
  std::string_view text;
  const Value value = call.find(key);
  if (!value.valid() || !value.get_string(text))
    return refused(fmt::format("something without '{}'", key));
  return std::string(text);
}

// A path. Names that aren't UTF-8 can't be in a tree that BuildStream reads.
Result<std::string> path_in(Value call, std::string_view key) {
  std::string path = TRY(text_in(call, key));
  if (path != valid_utf8(path))
    return fail("virtual-fs", "bad-name",
                fmt::format("The name of a file is not UTF-8: {}", valid_utf8(path)));
  return path;
}

// A list of texts; std::nullopt for nil, and where nothing is said.
Result<std::optional<std::vector<std::string>>> texts_in(Value call, std::string_view key) {
  const Value value = call.find(key);
  if (!value.valid() || value.is_nil()) return std::nullopt;
  std::vector<std::string> texts;
  std::string_view text;
  for (const Value item : value.items()) {
    if (!item.get_string(text)) break;
    texts.emplace_back(text);
  }
  if (!value.is_array() || texts.size() != value.size())
    return refused(fmt::format("something whose '{}' is no list of texts", key));
  return texts;
}

Result<model::StringMap> map_in(Value call, std::string_view key) {
  model::StringMap map;
  const Value value = call.find(key);
  if (!value.valid() || !value.is_map())
    return refused(fmt::format("something whose '{}' is no map", key));
  for (const auto [name, item] : value.entries()) {
    std::string_view first, second;
    if (!name.get_string(first) || !item.get_string(second))
      return refused(fmt::format("something whose '{}' is no map of texts", key));
    map.emplace_back(first, second);
  }
  return map;
}

void write_entry(Writer& writer, std::string_view key, const std::vector<std::string>& values) {
  writer.string(key);
  writer.array(values.size());
  for (const std::string& value : values) writer.string(value);
}

// What a call answers that makes nothing.
void write_nothing(Writer& writer) {
  writer.map(1);
  write_entry(writer, "do", "return");
}

void write_report(Writer& writer, const store::MergeReport& report) {
  writer.map(4);
  write_entry(writer, "do", "return");
  write_entry(writer, "written", report.written);
  write_entry(writer, "overwritten", report.overwritten);
  write_entry(writer, "ignored", report.ignored);
}

std::string raise(const Error& error) {
  std::string out;
  Writer writer(out);
  writer.map(7);
  write_entry(writer, "do", "raise");
  write_entry(writer, "domain", error.domain);
  write_entry(writer, "reason", error.reason);
  write_entry(writer, "message", error.message);
  write_entry(writer, "detail", error.detail);
  writer.string("place");
  if (error.provenance.known()) {
    writer.array(3);
    writer.string(error.provenance.file);
    writer.unsigned_integer(error.provenance.line);
    writer.unsigned_integer(error.provenance.column);
  } else {
    writer.nil();
  }
  writer.string("temporary");
  writer.boolean(false);
  return out;
}

// Whether a plugin may go on after an error (H17).
bool is_for_plugin(const Error& error) {
  if (error.domain == "plugin") return error.reason != "host-protocol";
  if (error.domain == "sandbox")
    return error.reason == "command-failed" || error.reason == "missing-command";
  return error.domain == "element" || error.domain == "virtual-fs" || error.domain == "load";
}

bool is_name(std::string_view name) { return store::valid_entry_name(name); }

Result<SplitRules::Choice> choice_in(Value call) {
  SplitRules::Choice choice;
  choice.include = TRY(texts_in(call, "include")).value_or(std::vector<std::string>());
  choice.exclude = TRY(texts_in(call, "exclude")).value_or(std::vector<std::string>());
  choice.orphans = flag_of(call, "orphans");
  return choice;
}

}  // namespace

const PluginCalls::Call PluginCalls::kCalls[] = {
    {"directory", &PluginCalls::directory},
    {"make_directory", &PluginCalls::make_directory},
    {"import", &PluginCalls::import},
    {"take", &PluginCalls::take},
    {"put", &PluginCalls::put},
    {"get", &PluginCalls::get},
    {"remove", &PluginCalls::remove},
    {"rename", &PluginCalls::rename},
    {"digest", &PluginCalls::digest},
    {"subsandbox", &PluginCalls::subsandbox},
    {"stage", &PluginCalls::stage},
    {"stage_sources", &PluginCalls::stage_sources},
    {"manifest", &PluginCalls::manifest},
    {"public", &PluginCalls::public_data},
    {"environment", &PluginCalls::environment},
    {"variables", &PluginCalls::variables},
    {"sources", &PluginCalls::sources},
    {"run", &PluginCalls::run},
};

Result<std::string> PluginCalls::answer(Value call) {
  const std::string name = text_of(call, "call");
  const auto known = std::find_if(std::begin(kCalls), std::end(kCalls),
                                  [&](const Call& each) { return each.name == name; });
  if (known == std::end(kCalls)) return refused(fmt::format("'{}', which nothing is", name));
  std::string out;
  Writer writer(out);
  Status done = (this->*known->handle)(call, writer);
  if (done) return out;
  if (!is_for_plugin(done.error())) return forward(done);
  return raise(done.error());
}

Status PluginCalls::keep_subsandboxes() {
  for (Root& root : roots_) {
    if (root.subsandbox) build_.root().add_subsandbox(TRY(root.tree.store(build_.cas())));
  }
  return {};
}

Result<store::Tree*> PluginCalls::tree_of(Value call, std::string_view key) {
  std::uint64_t number = 0;
  const Value value = call.find(key);
  if (!value.valid() || !value.get(number) || number > roots_.size())
    return refused("a tree that there isn't");
  return number == 0 ? &build_.root().tree() : &roots_[number - 1].tree;
}

Result<const model::ArtifactRef*> PluginCalls::artifact_of(Value number) {
  std::uint64_t index = 0;
  if (!number.valid() || !number.get(index) || index >= build_.dependencies().size())
    return refused("a dependency that there isn't");
  return &build_.dependencies()[index];
}

// Opens what has a name at the top of the shared directory, be it no link.
Result<UniqueFd> PluginCalls::open_in_directory(Value call, int flags) {
  const std::string name = TRY(text_in(call, "name"));
  if (!is_name(name)) return refused(fmt::format("a file named '{}'", name));
  const std::string path = directory_ + "/" + name;
  UniqueFd fd(::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!fd)
    return fail("virtual-fs", "not-found",
                fmt::format("{}: {}", name, std::generic_category().message(errno)));
  return fd;
}

// ---- Trees ------------------------------------------------------------------

Status PluginCalls::directory(Value call, Writer& answer) {
  store::Tree& tree = *TRY(tree_of(call));
  const std::string path = TRY(path_in(call, "path"));
  answer.map(2);
  write_entry(answer, "do", "return");
  answer.string("entries");
  auto names = tree.names(path);
  if (!names) {
    if (names.error().domain != "virtual-fs") return forward(names);
    answer.nil();
    return {};
  }
  answer.array(names->size());
  std::vector<std::pair<std::string, store::Entry>> entries;
  for (const std::string& name : *names) {
    auto entry = TRY(tree.find(path == "/" ? name : path + "/" + name));
    if (!entry) return fail("plugin", "host-protocol", "An entry of a directory isn't there");
    entries.emplace_back(name, std::move(*entry));
  }
  for (const auto type :
       {store::EntryType::kDirectory, store::EntryType::kFile, store::EntryType::kSymlink}) {
    for (const auto& [name, entry] : entries) {
      if (entry.type != type) continue;
      const bool file = type == store::EntryType::kFile;
      const bool link = type == store::EntryType::kSymlink;
      answer.array(7);
      answer.string(name);
      answer.unsigned_integer(file ? kFile : link ? kLink : kDirectory);
      answer.unsigned_integer(file   ? static_cast<std::uint64_t>(entry.digest.size)
                              : link ? entry.target.size()
                                     : 0);
      answer.boolean(entry.executable);
      answer.string(file ? entry.digest.hash : "");
      answer.string(entry.target);
      if (entry.mtime) {
        answer.integer(entry.mtime->seconds);
      } else {
        answer.nil();
      }
    }
  }
  return {};
}

Status PluginCalls::make_directory(Value call, Writer& answer) {
  CHECK(TRY(tree_of(call))->make_directory(TRY(path_in(call, "path"))));
  write_nothing(answer);
  return {};
}

Status PluginCalls::import(Value call, Writer& answer) {
  store::Tree& to = *TRY(tree_of(call));
  store::Tree& from = *TRY(tree_of(call, "from_tree"));
  const auto files = TRY(from.store_directory(build_.cas(), TRY(path_in(call, "from_path"))));
  const auto chosen = TRY(texts_in(call, "chosen"));
  store::Tree::Filter filter;
  std::unordered_set<std::string> paths;
  if (chosen) {
    paths.insert(chosen->begin(), chosen->end());
    filter = [&](std::string_view path) { return paths.contains(std::string(path)); };
  }
  store::MergeReport report;
  CHECK(to.merge(files, TRY(path_in(call, "path")), filter, &report));
  write_report(answer, report);
  return {};
}

Status PluginCalls::take(Value call, Writer& answer) {
  const UniqueFd held = TRY(open_in_directory(call, O_RDONLY | O_DIRECTORY));
  store::ImportOptions options;
  options.shown = text_of(call, "name");
  const auto digest =
      TRY(store::import_tree(build_.cas(), fmt::format("/proc/self/fd/{}", held.get()), options));
  roots_.push_back({TRY(store::Tree::open(build_.cas(), digest)), nullptr});
  answer.map(2);
  write_entry(answer, "do", "return");
  answer.string("tree");
  answer.unsigned_integer(roots_.size());
  return {};
}

Status PluginCalls::put(Value call, Writer& answer) {
  store::Tree& tree = *TRY(tree_of(call));
  const std::string path = TRY(path_in(call, "path"));
  const UniqueFd file = TRY(open_in_directory(call, O_RDONLY));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail_errno(errno, path);
  if (!S_ISREG(info.st_mode))
    return fail("virtual-fs", "not-a-file",
                fmt::format("{} is no regular file", text_of(call, "name")));
  const auto digest = TRY(build_.cas().add_fd(file.get()));
  CHECK(tree.put_file(path, digest, (info.st_mode & S_IXUSR) != 0));
  write_nothing(answer);
  return {};
}

Status PluginCalls::get(Value call, Writer& answer) {
  const std::string path = TRY(path_in(call, "path"));
  const auto entry = TRY(TRY(tree_of(call))->find(path));
  if (!entry || entry->type != store::EntryType::kFile)
    return fail("virtual-fs", "not-found", fmt::format("{} is no file", path));
  const UniqueFd file = TRY(open_in_directory(call, O_RDWR | O_CREAT | O_EXCL));
  CHECK(build_.cas().copy_to(entry->digest, file.get()));
  write_nothing(answer);
  return {};
}

Status PluginCalls::remove(Value call, Writer& answer) {
  CHECK(TRY(tree_of(call))->remove(TRY(path_in(call, "path"))));
  write_nothing(answer);
  return {};
}

Status PluginCalls::rename(Value call, Writer& answer) {
  store::Tree& tree = *TRY(tree_of(call));
  const std::string from = TRY(path_in(call, "path"));
  const std::string to = TRY(path_in(call, "to"));
  const auto entry = TRY(tree.find(from));
  if (!entry) return fail("virtual-fs", "not-found", fmt::format("{} isn't there", from));
  if (from == to) {
    write_nothing(answer);
    return {};
  }
  model::Digest below;
  if (entry->type == store::EntryType::kDirectory)
    below = TRY(tree.store_directory(build_.cas(), from));
  CHECK(tree.remove(from));
  CHECK(tree.remove(to));
  switch (entry->type) {
    case store::EntryType::kDirectory:
      CHECK(tree.make_directory(to));
      CHECK(tree.merge(below, to));
      break;
    case store::EntryType::kFile: CHECK(tree.put_file(to, entry->digest, entry->executable)); break;
    case store::EntryType::kSymlink: CHECK(tree.put_symlink(to, entry->target)); break;
  }
  write_nothing(answer);
  return {};
}

Status PluginCalls::digest(Value call, Writer& answer) {
  const auto digest =
      TRY(TRY(tree_of(call))->store_directory(build_.cas(), TRY(path_in(call, "path"))));
  answer.map(3);
  write_entry(answer, "do", "return");
  write_entry(answer, "hash", digest.hash);
  answer.string("size");
  answer.integer(digest.size);
  return {};
}

Status PluginCalls::subsandbox(Value, Writer& answer) {
  roots_.push_back({store::Tree(build_.cas()), nullptr, true});
  answer.map(2);
  write_entry(answer, "do", "return");
  answer.string("tree");
  answer.unsigned_integer(roots_.size());
  return {};
}

// ---- Staging ----------------------------------------------------------------

Status PluginCalls::stage(Value call, Writer& answer) {
  store::Tree& tree = *TRY(tree_of(call));
  Staging* staging = &build_.root().staging();
  if (&tree != &build_.root().tree()) {
    const auto root = std::find_if(roots_.begin(), roots_.end(),
                                   [&](const Root& each) { return &each.tree == &tree; });
    if (!root->staging)
      root->staging = std::make_unique<Staging>(build_.cas(), build_.reporter(),
                                                build_.data().element.fatal_warnings);
    staging = root->staging.get();
  }
  Selection selection;
  const Value elements = call.find("elements");
  if (!elements.valid() || !elements.is_array()) return refused("a staging of nothing");
  for (const Value number : elements.items()) selection.push_back(TRY(artifact_of(number)));
  const std::string asked = text_of(call, "action");
  if (asked != "warning" && asked != "error" && asked != "ignore")
    return refused(fmt::format("the overlap action '{}'", asked));
  const auto action = asked == "error"    ? OverlapAction::kError
                      : asked == "ignore" ? OverlapAction::kIgnore
                                          : OverlapAction::kWarning;
  const auto choice = TRY(choice_in(call));
  const std::string path = text_of(call, "path");
  store::MergeReport last;
  CHECK(build_.cancel().check());
  CHECK(staging->stage(tree, selection, path.empty() ? "/" : path, &choice, action, &last));
  write_report(answer, last);
  return {};
}

Status PluginCalls::stage_sources(Value call, Writer& answer) {
  store::Tree& tree = *TRY(tree_of(call));
  const std::string path = TRY(path_in(call, "path"));
  if (&tree != &build_.root().tree())
    return fail("element", "not-supported", "Sources are staged in the build's own sandbox alone");
  CHECK(build_.root().stage_sources(path));
  write_nothing(answer);
  return {};
}

Status PluginCalls::manifest(Value call, Writer& answer) {
  const auto* artifact = TRY(artifact_of(call.find("element")));
  const auto paths = TRY(manifest_of(build_.cas(), *artifact, TRY(choice_in(call))));
  answer.map(2);
  write_entry(answer, "do", "return");
  write_entry(answer, "paths", paths);
  return {};
}

// ---- What is known of dependencies ------------------------------------------

Status PluginCalls::public_data(Value call, Writer& answer) {
  const auto data = TRY(public_data_of(build_.cas(), *TRY(artifact_of(call.find("element")))));
  answer.map(2);
  write_entry(answer, "do", "return");
  answer.string("public");
  plugins::write_node(answer, data);
  return {};
}

Status PluginCalls::environment(Value call, Writer& answer) {
  const auto values = TRY(environment_of(build_.cas(), *TRY(artifact_of(call.find("element")))));
  answer.map(2);
  write_entry(answer, "do", "return");
  write_entry(answer, "environment", values);
  return {};
}

Status PluginCalls::variables(Value call, Writer& answer) {
  const auto& artifact = *TRY(artifact_of(call.find("element")));
  const auto info =
      TRY(store::Artifacts(build_.cas()).read(artifact.project, artifact.element, artifact.key));
  if (!info)
    return fail("artifact", "missing-artifact",
                fmt::format("The variables of {} are not in the cache", artifact.full_name));
  const auto meta = TRY(store::read_meta(build_.cas(), *info));
  answer.map(2);
  write_entry(answer, "do", "return");
  write_entry(answer, "variables", meta.variables);
  return {};
}

Status PluginCalls::sources(Value call, Writer& answer) {
  std::vector<model::Source> sources = build_.data().body.sources;
  if (const Value element = call.find("element"); element.valid() && !element.is_nil()) {
    const auto* artifact = TRY(artifact_of(element));
    const auto index = static_cast<std::size_t>(artifact - build_.dependencies().data());
    const auto& packed = build_.data().job.dependency_sources;
    if (index >= packed.size())
      return fail("plugin", "not-supported",
                  fmt::format("The sources of {} are not known here", artifact->full_name));
    sources = TRY(wire::unpack_sources(packed[index].bytes)).sources;
  }
  answer.map(2);
  write_entry(answer, "do", "return");
  answer.string("sources");
  answer.array(sources.size());
  for (const model::Source& source : sources) {
    auto infos = sources::infos_of(source, build_.ask_source());
    if (!infos && infos.error().domain == "app") infos.error().domain = "plugin";
    if (!infos) return forward(infos);
    answer.map(2);
    write_entry(answer, "kind", source.kind);
    answer.string("info");
    answer.array(infos->size());
    for (const sources::Info& info : *infos) {
      answer.map(7);
      write_entry(answer, "url", info.url);
      write_entry(answer, "medium", info.medium);
      write_entry(answer, "version_type", info.version_type);
      write_entry(answer, "version", info.version);
      write_entry(answer, "guess", info.guess);
      answer.string("extra");
      plugins::write_tree(answer, model::Node::make_map(info.extra));
      answer.string("provenance");
      plugins::write_tree(answer, info.provenance);
    }
  }
  return {};
}

// ---- Commands ---------------------------------------------------------------

Status PluginCalls::run(Value call, Writer& answer) {
  const Value steps = call.find("steps");
  if (!steps.valid() || !steps.is_array()) return refused("a run of nothing");
  const bool read_only = flag_of(call, "read_only");
  for (const std::string& path : TRY(texts_in(call, "marked")).value_or(std::vector<std::string>()))
    build_.commands().mark_directory(valid_utf8(path));
  int status = 0;
  if (flag_of(call, "batch")) {
    CHECK(run_batch(steps, read_only));
  } else {
    if (steps.size() != 1) return refused("several commands that are no batch");
    const auto command = TRY(command_in(*steps.items().begin()));
    status = TRY(build_.commands().run_alone(command, read_only));
  }
  answer.map(2);
  write_entry(answer, "do", "return");
  answer.string("status");
  answer.integer(status);
  return {};
}

Status PluginCalls::run_batch(Value steps, bool read_only) {
  std::vector<Value> all;
  for (const Value step : steps.items()) all.push_back(step);
  const auto integrates = [](Value step) { return step.find("integrate").valid(); };
  if (std::all_of(all.begin(), all.end(), integrates)) {
    // What integration alone has made is remembered.
    Selection selection;
    for (const Value step : all) selection.push_back(TRY(artifact_of(step.find("integrate"))));
    return build_.commands().integrate(selection);
  }
  sandbox::ShellScript script;
  for (const Value step : all) {
    if (integrates(step)) {
      CHECK(build_.commands().add_integration(script, *TRY(artifact_of(step.find("integrate")))));
    } else if (const std::string path = text_of(step, "clean"); !path.empty()) {
      // What is cleaned last isn't captured, which takes less time than to remove it.
      if (step.packed().data() == all.back().packed().data() &&
          path == build_.data().variable("build-root")) {
        build_.commands().clean_build_root();
      } else {
        script.add_removal(path);
      }
    } else if (const std::string name = text_of(step, "touch"); !name.empty()) {
      script.add_file(name);
    } else {
      script.add(TRY(command_in(step)));
    }
  }
  return build_.commands().run(script, read_only);
}

Result<sandbox::Command> PluginCalls::command_in(Value step) {
  sandbox::Command command;
  command.argv = TRY(texts_in(step, "argv")).value_or(std::vector<std::string>());
  if (command.argv.empty()) return refused("a command without a program");
  command.directory = TRY(text_in(step, "directory"));
  command.environment = build_.commands().with_tokens(TRY(map_in(step, "environment")));
  command.label = text_of(step, "label");
  return command;
}

}  // namespace sluice::elements
