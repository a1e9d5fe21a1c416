// CycloneDX 1.5 as JSON (cyclonedx.org/docs/1.5/json).
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/utc.h"
#include "cli/sbom.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::ordered_json;

// A UUID of the version for what an application makes as it likes (RFC 9562, 8), of a digest.
std::string uuid(std::string digest) {
  digest[12] = '8';
  digest[16] = "89ab"[static_cast<unsigned char>(digest[16]) % 4];
  return fmt::format("urn:uuid:{}-{}-{}-{}-{}", digest.substr(0, 8), digest.substr(8, 4),
                     digest.substr(12, 4), digest.substr(16, 4), digest.substr(20, 12));
}

// Whether others can follow it: what is none goes into a property.
bool is_url(const std::string& text) {
  return text.find("://") != std::string::npos &&
         text.find_first_of(" <>\"{}|\\^`\t\n") == std::string::npos;
}

class Writer {
 public:
  explicit Writer(const Bom& bom) : bom_(bom) {}

  std::string text() {
    // One target is what the bill is of; several are parts of the project.
    const bool alone = bom_.targets.size() == 1;
    Json metadata = Json::object();
    if (bom_.time) metadata["timestamp"] = utc_text(*bom_.time);
    const Json tool = {{"type", "application"}, {"name", "sluice"}, {"version", SLUICE_VERSION}};
    metadata["tools"]["components"] = Json::array({tool});
    metadata["component"] =
        alone ? component(bom_.elements[bom_.targets.front()])
              : Json{{"type", "application"}, {"bom-ref", project_ref()}, {"name", bom_.project}};
    Json components = Json::array();
    for (std::size_t i = 0; i < bom_.elements.size(); ++i) {
      if (!alone || i != bom_.targets.front()) components.push_back(component(bom_.elements[i]));
    }
    for (const BomSource& source : bom_.sources) components.push_back(component(source));
    const Json document = {{"$schema", "http://cyclonedx.org/schema/bom-1.5.schema.json"},
                           {"bomFormat", "CycloneDX"},
                           {"specVersion", "1.5"},
                           {"serialNumber", uuid(bom_.digest)},
                           {"version", 1},
                           {"metadata", std::move(metadata)},
                           {"components", std::move(components)},
                           {"dependencies", dependencies(alone)}};
    return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }

 private:
  std::string project_ref() const { return "project:" + bom_.project; }
  static std::string ref(const BomElement& element) { return "element:" + element.name; }
  static std::string ref(const BomSource& source) { return "source:" + source.id; }

  static Json property(const std::string& name, std::string_view value) {
    return {{"name", "sluice:" + name}, {"value", value}};
  }

  static Json component(const BomElement& element) {
    Json json = {{"type", element.role == BomRole::kTarget ? "application" : "library"},
                 {"bom-ref", ref(element)},
                 {"name", element.name}};
    if (!element.version.empty()) json["version"] = element.version;
    if (!element.description.empty()) json["description"] = element.description;
    json["scope"] = element.role == BomRole::kBuild ? "excluded" : "required";
    if (!element.cpe.empty()) json["cpe"] = element.cpe;
    Json properties =
        Json::array({property("role", text_of(element.role)), property("kind", element.kind),
                     property("project", element.project)});
    if (!element.key.empty()) properties.push_back(property("cache-key", element.key));
    json["properties"] = std::move(properties);
    return json;
  }

  static Json component(const BomSource& source) {
    const bool file = source.patch || source.medium == "local" || source.medium == "workspace";
    Json json = {{"type", source.medium == "oci-image" ? "container"
                          : file                       ? "file"
                                                       : "library"},
                 {"bom-ref", ref(source)},
                 {"name", source.name}};
    if (!source.version.empty()) json["version"] = source.version;
    json["scope"] = source.build_only ? "excluded" : "required";
    const std::string sha256 = source.sha256();
    const Json hashes = Json::array({Json{{"alg", "SHA-256"}, {"content", sha256}}});
    if (!sha256.empty()) json["hashes"] = hashes;
    if (!source.license.empty()) {
      Json license;
      license["license"]["name"] = source.license;
      json["licenses"] = Json::array({std::move(license)});
    }
    if (!source.purl.empty()) json["purl"] = source.purl;
    Json properties = Json::array(
        {property("role", source.patch ? "patch" : "source"), property("kind", source.kind)});
    Json references = Json::array();
    const auto refer = [&](const char* type, const std::string& url, bool hashed = false) {
      if (url.empty()) return;
      if (!is_url(url)) return properties.push_back(property(type, url));
      Json reference = {{"type", type}, {"url", url}};
      if (hashed && !sha256.empty()) reference["hashes"] = hashes;
      references.push_back(std::move(reference));
    };
    refer(source.medium == "git" || source.medium == "bzr" ? "vcs" : "distribution", source.url,
          true);
    refer("website", source.homepage);
    refer("issue-tracker", source.issue_tracker);
    if (!references.empty()) json["externalReferences"] = std::move(references);
    if (!source.medium.empty()) properties.push_back(property("medium", source.medium));
    if (!source.reference.empty())
      properties.push_back(property(source.version_type, source.reference));
    for (const auto& [name, value] : source.attributes)
      properties.push_back(property("provenance:" + name, value));
    if (!source.unknown.empty()) properties.push_back(property("unknown", source.unknown));
    json["properties"] = std::move(properties);
    return json;
  }

  Json dependencies(bool alone) const {
    Json out = Json::array();
    if (!alone) {
      Json on = Json::array();
      for (const std::size_t target : bom_.targets) on.push_back(ref(bom_.elements[target]));
      out.push_back({{"ref", project_ref()}, {"dependsOn", std::move(on)}});
    }
    for (const BomElement& element : bom_.elements) {
      std::set<std::string> on;
      for (const BomDependency& dependency : element.dependencies)
        on.insert(ref(bom_.elements[dependency.element]));
      for (const std::size_t source : element.sources) on.insert(ref(bom_.sources[source]));
      out.push_back({{"ref", ref(element)}, {"dependsOn", on}});
    }
    for (const BomSource& source : bom_.sources) out.push_back({{"ref", ref(source)}});
    return out;
  }

  const Bom& bom_;
};

}  // namespace

std::string cyclonedx_text(const Bom& bom) { return Writer(bom).text(); }

}  // namespace sluice::cli
