// The work of kinds that are only somebody's Python: each action is a request to a host of plugins
// (spec/plugins.md).
//
// What is staged is taken over by the store, so no process of the plugin is left then that could
// still write to it.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/text.h"
#include "base/try.h"
#include "plugins/hosts.h"
#include "plugins/listener.h"
#include "sources/mirror_url.h"
#include "sources/plugin/plugin.h"
#include "sources/works.h"
#include "store/directory.h"
#include "wire/codec.h"

namespace sluice::sources::plugin {

namespace {

using plugins::flag_of;
using plugins::text_of;
using Network = plugins::Hosts::Network;

struct Request {
  std::string_view action;
  Network network = Network::kNone;
  std::string directory = {};      // to work in; "": none
  std::string previous = {};       // "": none
  std::string sees = {};           // what the host may see for its next requests; "": nothing
  const MirrorUrl* url = nullptr;  // what to translate
};

plugins::Subject subject_of(const model::Source& source) {
  return {where(source), source.plugin.file, source.provenance};
}

std::string pack(const model::Source& source, const Request& request) {
  std::string out;
  wire::Writer writer(out);
  const auto text = [&](std::string_view key, std::string_view value) {
    writer.string(key);
    if (value.empty()) {
      writer.nil();
    } else {
      writer.string(value);
    }
  };
  writer.map(8);
  text("do", "work");
  writer.string("id");
  writer.unsigned_integer(1);
  text("action", request.action);
  writer.string("project");
  writer.raw(source.plugin.project);
  if (request.url != nullptr) {
    writer.string("mirror");
    writer.unsigned_integer(request.url->mirror);
    text("alias", request.url->alias);
    writer.string("url");
    writer.string(request.url->rest);
  } else {
    writer.string("question");
    writer.raw(source.plugin.question);
    text("directory", request.directory);
    text("previous", request.previous);
  }
  // Tries again are ours, for they wait.
  writer.string("retries");
  writer.unsigned_integer(0);
  return out;
}

tl::unexpected<Error> bad_answer(const model::Source& source, std::string message) {
  return plugins::bad_answer(subject_of(source), std::move(message));
}

// The surroundings of a source's work as those who hear what its plugin says.
class Voice final : public plugins::Voice {
 public:
  Voice(const model::Source& source, Surroundings& surroundings)
      : source_(source), surroundings_(surroundings) {}
  void log(const std::string& text) override { surroundings_.log(text); }
  void status(const std::string& text, const std::string& detail) override {
    surroundings_.message(Weight::kStatus, text, detail);
  }
  void info(const std::string& text, const std::string& detail) override {
    surroundings_.message(Weight::kInfo, text, detail);
  }
  Status warn(const std::string& name, const std::string& text,
              const std::string& detail) override {
    const std::string named = name.empty() ? text : fmt::format("[{}]: {}", name, text);
    if (!name.empty() && surroundings_.is_fatal(name))
      return fail("plugin", name, named, source_.provenance, detail);
    surroundings_.message(Weight::kWarning, named, detail);
    return {};
  }
  void begin(const std::string& text, const std::string& detail, bool) override {
    surroundings_.begin(text, detail);
  }
  void end(bool success) override { surroundings_.end(success); }
  // What was said goes out now, for the plugin may take long.
  void flush() override { static_cast<void>(surroundings_.stop()); }

 private:
  const model::Source& source_;
  Surroundings& surroundings_;
};

std::string mirror_of(const model::Source& source, Surroundings& surroundings) {
  return fmt::format("{}/{}", surroundings.settings().sourcedir, source.kind);
}

// The path that a URL of this machine names; "" for others.
std::string local_path(const std::string& url) {
  std::string_view rest = url;
  if (rest.starts_with("file://")) {
    rest.remove_prefix(7);
    if (rest.starts_with("localhost/")) rest.remove_prefix(9);
    return rest.starts_with('/') ? percent_decoded(rest) : std::string();
  }
  return rest.starts_with('/') ? std::string(rest) : std::string();
}

// What lies on this machine of what a source is fetched or tracked from.
std::vector<std::string> local_upstreams(const model::Source& source) {
  std::vector<std::string> paths;
  const auto add = [&](const std::string& url) {
    std::string path = local_path(url);
    if (path.size() > 1) paths.push_back(std::move(path));
  };
  add(source.url);
  for (const std::string& url : source.urls) add(url);
  for (const std::string& url : source.track_urls) add(url);
  for (const model::SourceUrl& more : source.more_urls) {
    for (const std::string& url : more.urls) add(url);
  }
  // What an alias stands for begins many URLs: all of its directory is there.
  const auto project = wire::Document::parse(source.plugin.project);
  const wire::Value aliases = project ? project->root().find("aliases") : wire::Value();
  if (!aliases.valid()) return paths;
  for (const auto [alias, meaning] : aliases.entries()) {
    for (const char* use : {"fetch", "track"}) {
      const wire::Value uris = meaning.find(use);
      if (!uris.valid()) continue;
      for (const wire::Value uri : uris.items()) {
        std::string_view text;
        if (!uri.get_string(text)) continue;
        const std::string path = local_path(std::string(text));
        if (const std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0)
          paths.push_back(path.substr(0, slash));
      }
    }
  }
  return paths;
}

// What lies on this machine of what the plugins of mirrors lead to, and what lies beside it: a
// source's plugin may append something to its URLs. What fails here fails again where it is said.
std::vector<std::string> local_mirrors(const model::Source& source, Surroundings& surroundings) {
  std::set<std::string> seen;
  std::vector<std::string> paths;
  const auto add = [&](const std::string& url) {
    if (!parse_mirror_url(url) || !seen.insert(url).second) return;
    const auto address = address_of(source, surroundings, url);
    const std::string path = address ? local_path(address->url) : std::string();
    if (path.empty()) return;
    paths.push_back(path);
    if (const std::size_t slash = path.rfind('/'); slash > 0)
      paths.push_back(path.substr(0, slash));
  };
  for (const auto* urls : {&source.urls, &source.track_urls}) {
    for (const std::string& url : *urls) add(url);
  }
  for (const model::SourceUrl& more : source.more_urls) {
    for (const std::string& url : more.urls) add(url);
  }
  return paths;
}

// Asks for an action, again while that may help; `result` gets the answer.
Status ask(const model::Source& source, Surroundings& surroundings, const Request& request,
           const std::function<Status(wire::Value)>& result = {}) {
  const model::Settings& settings = surroundings.settings();
  if (source.kind.empty() || source.kind.front() == '.' ||
      source.kind.find('/') != std::string::npos) {
    return source_error(source, "bad-kind",
                        fmt::format("{}'{}' is no name of a kind whose plugin can be run",
                                    where(source), source.kind));
  }
  plugins::Host& host = surroundings.plugins().get(request.network);
  std::vector<std::string> writable = {mirror_of(source, surroundings)};
  for (const std::string& directory : {request.directory, request.sees}) {
    if (!directory.empty()) writable.push_back(directory);
  }
  std::vector<std::string> readable = source.plugin.readable;
  if (request.network == Network::kShared && request.url == nullptr) {
    for (const auto& paths : {local_upstreams(source), local_mirrors(source, surroundings)})
      readable.insert(readable.end(), paths.begin(), paths.end());
  }
  if (!request.previous.empty()) readable.push_back(request.previous);
  host.see(readable, writable);
  for (unsigned attempt = 1;; ++attempt) {
    CHECK(surroundings.check());
    Voice voice(source, surroundings);
    plugins::Listener listener(subject_of(source), voice, result);
    const Status asked = host.ask(
        pack(source, request), [&](wire::Value answer) { return listener.take(answer); },
        surroundings.stop());
    if (!asked) {
      const Error& error = asked.error();
      // What the host says of itself has no place yet.
      if (error.domain != "plugin" || error.provenance.known()) return asked;
      return tl::unexpected<Error>(plugins::of_plugin(subject_of(source), error));
    }
    if (!listener.failed()) return {};
    if (request.network == Network::kNone || !listener.temporary() ||
        attempt > settings.network_retries)
      return tl::unexpected<Error>(*listener.failed());
    CHECK(surroundings.wait_for_retry(attempt, *listener.failed()));
  }
}

// What the sources before have staged where this one goes, for a plugin that looks at it.
Result<std::string> previous_if_read(const model::Source& source, Surroundings& surroundings) {
  if (!source.plugin.reads_previous) return std::string();
  return previous_of(source, surroundings);
}

// Has a host work in a directory, and ends it, so that the directory is as it is.
Status work_in(const model::Source& source, Surroundings& surroundings, std::string_view action,
               const std::string& directory) {
  struct End {
    Surroundings& surroundings;
    ~End() { surroundings.plugins().end(Network::kNone); }
  } end{surroundings};
  return ask(source, surroundings, {.action = action, .directory = directory});
}

// Where a source is staged.
Result<std::string> stage_directory(Surroundings& surroundings) {
  return surroundings.directory("plugin");
}

Result<bool> ask_cached(const model::Source& source, Surroundings& surroundings,
                        const std::string& sees) {
  bool cached = false;
  CHECK(ask(source, surroundings, {.action = "cached", .sees = sees},
            [&](wire::Value answer) -> Status {
              const wire::Value said = answer.find("cached");
              if (!said.valid() || !said.get(cached))
                return bad_answer(source, "The plugin doesn't say whether the source is there");
              return {};
            }));
  return cached;
}

tl::unexpected<Error> bad_question() {
  return fail("job", "bad-job", "The job does not say what its plugin is asked");
}

Result<wire::Document> question_of(const model::Source& source) {
  auto question = wire::Document::parse(source.plugin.question);
  if (!question) return bad_question();
  return std::move(*question);
}

// The parts of a NODE.
Result<std::vector<wire::Value>> parts_of(wire::Value node) {
  if (!node.valid() || !node.is_array() || node.size() != 4) return bad_question();
  std::vector<wire::Value> parts;
  for (const wire::Value part : node.items()) parts.push_back(part);
  return parts;
}

// The NODE of a map with other values, kNull for those that it has no more; of nil a new one.
// Errors: job/bad-job.
Result<std::string> with_values(wire::Value node, const model::NodeMap& values) {
  std::vector<std::pair<std::string_view, std::string>> entries;
  std::vector<wire::Value> parts;
  if (!node.is_nil()) {
    parts = TRY(parts_of(node));
    for (const auto [key, item] : parts[3].entries()) {
      std::string_view name;
      key.get_string(name);
      const bool changed = std::any_of(values.begin(), values.end(),
                                       [&](const auto& value) { return value.first == name; });
      if (!changed) entries.emplace_back(name, item.packed());
    }
  }
  for (const auto& [key, value] : values) {
    if (value.kind == model::Node::Kind::kNull) continue;
    std::string packed;
    wire::Writer writer(packed);
    plugins::write_node(writer, value);
    entries.emplace_back(key, std::move(packed));
  }
  std::string out;
  wire::Writer writer(out);
  writer.array(4);
  if (parts.empty()) {
    writer.integer(-1);
    writer.unsigned_integer(0);
    writer.unsigned_integer(0);
  } else {
    for (int i = 0; i < 3; ++i) writer.raw(parts[i].packed());
  }
  writer.map(entries.size());
  for (const auto& [key, packed] : entries) {
    writer.string(key);
    writer.raw(packed);
  }
  return out;
}

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  const std::string previous = TRY(previous_if_read(source, surroundings));
  Found found;
  CHECK(ask(
      source, surroundings, {.action = "track", .network = Network::kShared, .previous = previous},
      [&](wire::Value answer) -> Status {
        auto ref = plugins::tree_of(answer.find("ref"));
        auto writes = plugins::tree_of(answer.find("writes"));
        if (!ref || !writes || (writes->kind != model::Node::Kind::kNull && !writes->is_map()))
          return bad_answer(source, "What tracking found is no ref");
        found.ref = std::move(*ref);
        found.shown = plugins::shown_text_of(answer, "shown");
        found.writes = std::move(writes->map);
        return {};
      }));
  if (found.ref.kind != model::Node::Kind::kNull) return found;
  // A plugin that tracks nothing leaves the ref that there is.
  if (source.ref.kind == model::Node::Kind::kNull) return std::nullopt;
  return Found{source.ref, {}, {}};
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return ask_cached(source, surroundings, {});
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  // The host that is asked is the one that stages then, and sees where.
  const std::string directory = TRY(stage_directory(surroundings));
  if (TRY(ask_cached(source, surroundings, directory))) return {};
  const std::string previous = TRY(previous_if_read(source, surroundings));
  return ask(source, surroundings,
             {.action = "fetch", .network = Network::kShared, .previous = previous});
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  const std::string directory = TRY(stage_directory(surroundings));
  CHECK(work_in(source, surroundings, "stage", directory));
  struct stat info {};
  if (::lstat(directory.c_str(), &info) != 0) return fail_errno(errno, directory);
  if (!S_ISDIR(info.st_mode))
    return bad_answer(source, "The plugin has replaced the directory that it was to stage in");
  store::ImportOptions options;
  // Without a sandbox a process that the plugin left may have files open still.
  options.consume = surroundings.settings().plugins.sandbox;
  options.shown = "";
  return store::import_tree(surroundings.cas(), directory, options);
}

Status change(const model::Source& source, Surroundings& surroundings,
              const std::string& directory) {
  return work_in(source, surroundings, "stage", directory);
}

Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory) {
  CHECK(fetch(source, surroundings));
  return work_in(source, surroundings, "init-workspace", directory);
}

Infos info(const model::Source& source, Surroundings& surroundings) {
  std::vector<Info> infos;
  CHECK(ask(source, surroundings, {.action = "info"}, [&](wire::Value answer) -> Status {
    const wire::Value said = answer.find("info");
    if (!said.valid() || said.is_nil()) return {};
    for (const wire::Value each : said.items()) {
      auto extra = plugins::tree_of(each.find("extra"));
      if (!extra) return forward(extra);
      auto provenance = plugins::tree_of(each.find("provenance"));
      if (!provenance) return forward(provenance);
      infos.push_back({text_of(each, "url"), text_of(each, "medium"), text_of(each, "version_type"),
                       text_of(each, "version"), text_of(each, "guess"), std::move(extra->map),
                       std::move(*provenance)});
    }
    return {};
  }));
  return infos;
}

Result<Address> address_of(const model::Source& source, Surroundings& surroundings,
                           const std::string& url) {
  const auto there = parse_mirror_url(url);
  const auto project = wire::Document::parse(source.plugin.project);
  const wire::Value mirrors = project ? project->root().find("mirrors") : wire::Value();
  wire::Value mirror;
  std::size_t number = 0;
  if (there && mirrors.valid()) {
    for (const wire::Value each : mirrors.items()) {
      if (number++ == there->mirror) mirror = each;
    }
  }
  if (!mirror.valid())
    return fail("job", "bad-job",
                fmt::format("The job does not say which mirror makes a URL of {}", url));
  // Who fails is the mirror's plugin, for this source.
  model::Source asked = source;
  asked.plugin.file = text_of(mirror, "file");
  Address address;
  CHECK(
      ask(asked, surroundings, {.action = "translate", .network = Network::kShared, .url = &*there},
          [&](wire::Value answer) -> Status {
            address.url = valid_utf8(text_of(answer, "url"));
            if (address.url.empty() || address.url.find('\n') != std::string::npos ||
                parse_mirror_url(address.url)) {
              return fail("plugin", "bad-mirror-url",
                          fmt::format("{}{}: The mirror made no URL of {}, but '{}'", where(source),
                                      asked.plugin.file, shown_url(url), address.url),
                          source.provenance);
            }
            const wire::Value headers = answer.find("headers");
            if (!headers.valid()) return {};
            for (const wire::Value header : headers.items()) {
              std::string_view line;
              if (header.get_string(line) && line.find('\n') == std::string_view::npos)
                address.headers.emplace_back(line);
            }
            return {};
          }));
  return address;
}

Result<model::Node> kept_value(const model::Source& source, const std::string& key) {
  const auto question = TRY(question_of(source));
  const wire::Value stored = question.root().find("stored");
  const auto value_of = [&](const model::Node& map) {
    const model::Node* value = map.find(key);
    return value != nullptr ? *value : model::Node();
  };
  if (!stored.valid() || !stored.is_map()) return value_of(source.config);
  const wire::Value node = stored.find("node");
  if (!node.valid() || node.is_nil()) return model::Node();
  return value_of(TRY(plugins::node_of(node)));
}

Result<model::Source> with_ref(const model::Source& source, const Found& found) {
  model::Source changed = source;
  const auto question = TRY(question_of(source));
  const wire::Value stored = question.root().find("stored");
  const bool elsewhere = stored.valid() && stored.is_map();
  std::string& out = changed.plugin.question;
  out.clear();
  wire::Writer writer(out);
  writer.map(question.root().size());
  for (const auto [key, value] : question.root().entries()) {
    std::string_view name;
    key.get_string(name);
    writer.string(name);
    if (name == "config" && !elsewhere) {
      writer.raw(TRY(with_values(value, found.writes)));
    } else if (name == "stored" && elsewhere) {
      writer.map(2);
      writer.string("clear");
      writer.raw(value.find("clear").packed());
      writer.string("node");
      writer.raw(TRY(with_values(value.find("node"), found.writes)));
    } else {
      writer.raw(value.packed());
    }
  }
  for (const auto& [key, value] : found.writes) {
    if (value.kind == model::Node::Kind::kNull) {
      std::erase_if(changed.config.map, [&](const auto& entry) { return entry.first == key; });
    } else {
      changed.config.set(key, value);
    }
  }
  return changed;
}

}  // namespace sluice::sources::plugin
