#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/credentials.h"
#include "base/suggest.h"
#include "base/try.h"
#include "cli/elements.h"
#include "cli/json.h"
#include "model/source_kinds.h"
#include "model/states.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::ordered_json;
using model::Element;
using model::ElementIndex;

struct Field {
  std::string_view name;
  bool body;
};

constexpr std::array kFields = {
    Field{"name", false},       Field{"kind", false},        Field{"project", false},
    Field{"junction", false},   Field{"key", false},         Field{"keys", false},
    Field{"state", true},       Field{"unsupported", false}, Field{"dependencies", false},
    Field{"description", true}, Field{"vars", true},         Field{"env", true},
    Field{"config", true},      Field{"public", true},       Field{"sandbox", true},
    Field{"sources", true},     Field{"workspace", true},    Field{"artifact", false},
    Field{"provenance", true},
};

// A node as JSON, without credentials that stand in a URL.
Json json_of(const model::Node& node) { return cli::json_of<Json>(node, without_credentials); }

Json json_of(const model::StringMap& map) {
  Json object = Json::object();
  for (const auto& [key, value] : map) object[key] = value;
  return object;
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json json_of(const Provenance& provenance) {
  return {
      {"file", or_null(provenance.file)}, {"line", provenance.line}, {"column", provenance.column}};
}

// The ref of a source; where that may be said by several keys, and is by one, what that one says.
const model::Node& ref_of(const model::Source& source) {
  const model::Node* alone = source.ref.map.size() == 1 ? source.ref.find("ref") : nullptr;
  return alone != nullptr ? *alone : source.ref;
}

Json json_of(const model::Source& source) {
  Json json = {{"kind", source.kind},
               {"directory", source.directory},
               {"ref", json_of(ref_of(source))},
               {"key", or_null(source.key)}};
  if (!source.url.empty()) {
    json["url"] = without_credentials(source.url);
    json["original-url"] = without_credentials(source.original_url);
    std::vector<std::string> urls =
        source.urls.empty() ? std::vector<std::string>{source.url} : source.urls;
    for (std::string& url : urls) url = without_credentials(url);
    json["urls"] = std::move(urls);
  }
  if (!source.path.empty()) json["path"] = source.path;
  if (!source.local_digest.empty())
    json["digest"] = fmt::format("{}/{}", source.local_digest.hash, source.local_digest.size);
  json["config"] = json_of(source.config);
  json["provenance"] = json_of(source.provenance);
  return json;
}

}  // namespace

Result<JsonFields> JsonFields::parse(std::string_view list) {
  JsonFields fields;
  if (list == "all") {
    fields.chosen_ = ~0U;
    return fields;
  }
  while (true) {
    const std::string_view name = list.substr(0, list.find(','));
    const auto found = std::find_if(kFields.begin(), kFields.end(),
                                    [&](const Field& field) { return field.name == name; });
    if (found == kFields.end()) {
      std::vector<std::string> known;
      for (const Field& field : kFields) known.emplace_back(field.name);
      const std::string meant = did_you_mean(nearest(name, known));
      return fail("app", "invalid-fields", fmt::format("There is no field '{}'", name), {},
                  fmt::format("Fields are: {}; or all{}{}", fmt::join(known, ", "),
                              meant.empty() ? "" : "\n", meant));
    }
    fields.chosen_ |= 1U << (found - kFields.begin());
    if (name.size() == list.size()) return fields;
    list.remove_prefix(name.size() + 1);
  }
}

bool JsonFields::has(std::string_view name) const {
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    if (kFields[i].name == name) return (chosen_ >> i & 1U) != 0;
  }
  return false;
}

bool JsonFields::needs_body() const {
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    if (kFields[i].body && (chosen_ >> i & 1U) != 0) return true;
  }
  return false;
}

Result<std::string> elements_as_json(const LoadedProject& loaded, const JsonFields& fields,
                                     States* states) {
  const model::Snapshot& snapshot = loaded.snapshot;
  const auto dump = [](const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  std::string out = fmt::format("{{\"format\":\"sluice-elements/1\",\"project\":{},\"elements\":[",
                                dump(snapshot.projects.front().name));
  bool first = true;
  for (const ElementIndex index : loaded.selection) {
    const Element& element = snapshot.elements[index];
    const model::Project& project = snapshot.projects[element.project];
    model::ElementBody body;
    if (fields.needs_body()) {
      body = TRY(wire::unpack_body(element.body));
    }
    Json json = Json::object();
    const auto put = [&](const char* name, auto&& value) {
      if (fields.has(name)) json[name] = value();
    };
    put("name", [&] { return Json(element.full_name); });
    put("kind", [&] { return Json(element.kind); });
    put("project", [&] { return Json(project.name); });
    put("junction", [&] { return or_null(project.junction); });
    put("key", [&] { return or_null(element.keys.full); });
    put("keys", [&] {
      return Json{{"weak", or_null(element.keys.weak)},
                  {"strict", or_null(element.keys.strict)},
                  {"full", or_null(element.keys.full)}};
    });
    if (fields.has("state")) {
      auto state = TRY(states->state(index));
      json["state"] = text_of(state);
    }
    put("unsupported", [&] {
      return element.unsupported_by == 0 ? Json(nullptr)
                                         : Json(snapshot.elements[element.unsupported_by - 1]
                                                    .obstacle(model::Obstacle::To::kKey)
                                                    ->str());
    });
    put("dependencies", [&] {
      Json list = Json::array();
      for (const auto& dependency : element.dependencies) {
        list.push_back({{"name", snapshot.elements[dependency.element].full_name},
                        {"build", dependency.build},
                        {"runtime", dependency.runtime},
                        {"strict", dependency.strict}});
      }
      return list;
    });
    put("description", [&] { return Json(body.description); });
    put("vars", [&] { return json_of(body.variables); });
    put("env", [&] { return json_of(model::environment_node(body)); });
    put("config", [&] { return json_of(body.config); });
    put("public", [&] { return json_of(body.public_data); });
    put("sandbox", [&] {
      return Json{{"build-os", body.sandbox.build_os},
                  {"build-arch", body.sandbox.build_arch},
                  {"build-uid", body.sandbox.build_uid},
                  {"build-gid", body.sandbox.build_gid}};
    });
    put("sources", [&] {
      Json list = Json::array();
      for (const auto& source : body.sources) list.push_back(json_of(source));
      return list;
    });
    put("workspace", [&] {
      const bool workspaced = model::has_workspace(body);
      return workspaced ? Json(body.sources[0].path) : Json(nullptr);
    });
    if (fields.has("artifact")) {
      auto artifact = TRY(states->artifact(index));
      json["artifact"] = nullptr;
      if (const store::ArtifactInfo* info = artifact) {
        json["artifact"] = {
            {"key", info->strong_key},
            {"success", info->build_success},
            {"error", info->build_success ? Json(nullptr) : Json(info->build_error)},
            {"files", info->files.empty()
                          ? Json(nullptr)
                          : Json(fmt::format("{}/{}", info->files.hash, info->files.size))}};
      }
    }
    put("provenance", [&] { return json_of(body.provenance); });
    out += first ? "\n" : ",\n";
    first = false;
    out += dump(json);
  }
  return out + (first ? "]}\n" : "\n]}\n");
}

}  // namespace sluice::cli
