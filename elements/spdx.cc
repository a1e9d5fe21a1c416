#include "elements/spdx.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "base/try.h"
#include "base/utc.h"

namespace sluice::elements {

namespace {

using Json = nlohmann::ordered_json;
using Warn = std::function<Status(const std::string& text)>;

Json json_of(const model::Node* scalar) {
  if (scalar == nullptr || !scalar->is_scalar()) return nullptr;
  return scalar->scalar;
}

std::string last_name(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

// A text as Python shows it.
std::string python_text(std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  std::string out(1, double_quotes ? '"' : '\'');
  for (const char c : text) {
    if (c == '\\' || (c == '\'' && !double_quotes)) out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + out.front();
}

// A map as Python shows it.
std::string python_map(const model::Node& map) {
  std::string out = "{";
  for (const auto& [key, value] : map.map) {
    if (out.size() > 1) out += ", ";
    out += python_text(key) + ": ";
    out += value.is_map()      ? python_map(value)
           : value.is_scalar() ? python_text(value.scalar)
                               : "None";
  }
  return out + "}";
}

// The name of an archive without its version and what follows: that of "jq-1.7.tar.gz" is "jq".
std::string package_of(const std::string& file) {
  std::size_t end = file.size();
  for (const char* suffix : {".tar", ".tgz", ".tbz", ".zip", ".crate"})
    end = std::min(end, file.find(suffix));
  for (std::size_t i = 0; i + 1 < end; ++i) {
    if ((file[i] == '-' || file[i] == '_') && std::isdigit(static_cast<unsigned char>(file[i + 1])))
      return file.substr(0, i);
  }
  return file.substr(0, end);
}

// "" where nothing tells it.
Result<std::string> package_name(const model::Node& source, const Warn& warn) {
  const std::string name = last_name(source.get_string("url"));
  if (const model::Node* extra = source.find("extra-data"); extra != nullptr) {
    if (const model::Node* crate = extra->find("crate-name")) return crate->scalar;
  }
  const std::string medium = source.get_string("medium");
  if (medium == "git") return name.ends_with(".git") ? name.substr(0, name.size() - 4) : name;
  if (medium == "remote-file" || medium == "archive") return package_of(name);
  if (medium == "local") return source.get_string("kind").starts_with("patch") ? "" : name;
  CHECK(warn("Can't extract a package name from source info " + python_map(source)));
  return "";
}

Status add_module(std::vector<Json>& packages, const model::Node& module, const Warn& warn) {
  const std::string name = module.get_string("name");
  std::string id = name;
  std::replace(id.begin(), id.end(), '/', '-');
  const model::Node* cpe = module.find("x-cpe");
  const model::Node* sources = module.find("sources");
  if (cpe == nullptr || !cpe->is_map() || sources == nullptr || !sources->is_list())
    return fail("load", "invalid-data", fmt::format("The manifest's entry of {} is none", name));
  for (std::size_t i = 0; i < sources->list.size(); ++i) {
    const model::Node& source = sources->list[i];
    if (!source.is_map()) {
      return fail("load", "invalid-data",
                  fmt::format("The manifest's entry of {} doesn't say what source {} is", name, i));
    }
    std::string package;
    const model::Node* url = source.find("url");
    if (url != nullptr) {
      model::Node described = model::Node::make_map({{"url", *url}});
      if (const model::Node* type = source.find("type")) described.set("medium", *type);
      package = TRY(package_name(described, warn));
    }
    Json json = {{"SPDXID", fmt::format("SPDXRef-{}-{}", id, i)},
                 {"comment", "Product: " + cpe->get_string("product")},
                 {"filesAnalyzed", false},
                 {"name", url == nullptr || package.empty() ? name : package}};
    if (url != nullptr) json["downloadLocation"] = json_of(url);
    if (const model::Node* version = cpe->find("version")) json["versionInfo"] = json_of(version);
    if (const model::Node* type = source.find("type")) json["sourceInfo"] = json_of(type);
    packages.push_back(std::move(json));
  }
  return {};
}

Status add_element(std::vector<Json>& packages, const model::Node& element, const Warn& warn) {
  const std::string name = element.get_string("name");
  const model::Node* sources = element.find("source-infos");
  if (sources == nullptr || !sources->is_list())
    return fail("load", "invalid-data", fmt::format("The source info of {} is none", name));
  for (std::size_t i = 0; i < sources->list.size(); ++i) {
    const model::Node& source = sources->list[i];
    const std::string package = TRY(package_name(source, warn));
    const model::Node* guess = source.find("version-guess");
    packages.push_back(
        {{"SPDXID", fmt::format("SPDXRef-{}-{}-{}", element.get_string("project-name"), name, i)},
         {"filesAnalyzed", false},
         {"name", package.empty() ? name : package},
         {"downloadLocation", json_of(source.find("url"))},
         {"versionInfo", json_of(guess != nullptr ? guess : source.find("version"))},
         {"sourceInfo", json_of(source.find("kind"))}});
  }
  return {};
}

// Seconds since 1970 as SPDX writes a time.
Result<std::string> time_text(const std::string& seconds) {
  std::string text = utc_text(std::strtoll(seconds.c_str(), nullptr, 10));
  if (text.empty()) {
    return fail("load", "invalid-data",
                fmt::format("spdx-info: 'created' is {}, which is no time", seconds));
  }
  return text;
}

}  // namespace

Result<nlohmann::ordered_json> spdx_document(const model::Node& config,
                                             const model::NodeList& modules,
                                             const model::NodeList& infos, const Warn& warn) {
  std::vector<Json> packages;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (infos[i].is_map()) {
      CHECK(add_element(packages, infos[i], warn));
    } else {
      CHECK(add_module(packages, modules[i], warn));
    }
  }
  const auto by_id = [](const Json& one, const Json& other) {
    return one["SPDXID"].get_ref<const std::string&>() <
           other["SPDXID"].get_ref<const std::string&>();
  };
  std::stable_sort(packages.begin(), packages.end(), by_id);
  Json document = {{"SPDXID", "SPDXRef-DOCUMENT"}, {"spdxVersion", "SPDX-2.3"}};
  Json relationships = Json::array();
  for (const Json& package : packages) {
    relationships.push_back({{"spdxElementId", "SPDXRef-DOCUMENT"},
                             {"relationshipType", "DESCRIBES"},
                             {"relatedSpdxElement", package["SPDXID"]}});
  }
  document["packages"] = std::move(packages);
  document["relationships"] = std::move(relationships);
  Json& creation = document["creationInfo"] = Json::object();
  const model::Node nothing = model::Node::make_map();
  const model::Node* given = config.find("spdx-info");
  const model::Node& info = given != nullptr ? *given : nothing;
  if (const auto creators = info.get_strings("creators"); !creators.empty())
    creation["creators"] = creators;
  if (const std::string created = info.get_string("created");
      std::strtoll(created.c_str(), nullptr, 10) != 0)
    creation["created"] = TRY(time_text(created));
  for (const auto& [key, name] : {std::pair{"doc-namespace", "documentNamespace"},
                                  {"data-license", "dataLicense"},
                                  {"name", "name"}}) {
    if (std::string text = info.get_string(key); !text.empty()) document[name] = std::move(text);
  }
  return document;
}

}  // namespace sluice::elements
