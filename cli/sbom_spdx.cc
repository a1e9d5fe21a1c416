// SPDX 2.3 as JSON (spdx.github.io/spdx-spec/v2.3).
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/utc.h"
#include "cli/sbom.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNobodySays = "NOASSERTION";

// A document must say when it was made. Where nobody says it, it is the time that BuildStream gives
// to all files, so that the same is made of the same.
constexpr std::int64_t kFixedTime = 1321009871;

// Letters, digits, '.' and '-' alone, and another one for each name.
std::string element_id(const std::string& name) {
  std::string plain;
  for (const char c : name) {
    const bool as_it_is = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '.' || c == '-';
    plain += as_it_is ? c : '-';
  }
  return fmt::format("SPDXRef-element-{}-{}", plain, sha256_hex(name).substr(0, 8));
}

std::string source_id(const BomSource& source) { return "SPDXRef-source-" + source.id; }

// Whether a text can be a licence expression; what else is said goes into a comment.
bool is_expression(const std::string& text) {
  return !text.empty() &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             "-.+() ") == std::string::npos &&
         (text.find(' ') == std::string::npos || text.find(" AND ") != std::string::npos ||
          text.find(" OR ") != std::string::npos || text.find(" WITH ") != std::string::npos);
}

class Writer {
 public:
  explicit Writer(const Bom& bom)
      : bom_(bom), time_(utc_text(bom.time.value_or(kFixedTime))),
        tool_(fmt::format("Tool: sluice-{}", SLUICE_VERSION)) {}

  std::string text() {
    Json packages = Json::array();
    for (const BomElement& element : bom_.elements) packages.push_back(package(element));
    for (const BomSource& source : bom_.sources) packages.push_back(package(source));
    for (const std::size_t element : described())
      relate("SPDXRef-DOCUMENT", "DESCRIBES", id(element));
    for (std::size_t i = 0; i < bom_.elements.size(); ++i) relate_element(i);
    const Json document = {
        {"spdxVersion", "SPDX-2.3"},
        {"dataLicense", "CC0-1.0"},
        {"SPDXID", "SPDXRef-DOCUMENT"},
        {"name", bom_.project},
        {"documentNamespace", fmt::format("https://spdx.org/spdxdocs/sluice-{}-{}",
                                          element_id(bom_.project).substr(16), bom_.digest)},
        {"creationInfo", {{"created", time_}, {"creators", Json::array({tool_})}}},
        {"packages", std::move(packages)},
        {"relationships", std::move(relationships_)}};
    return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }

 private:
  std::string id(std::size_t element) const { return element_id(bom_.elements[element].name); }

  // The targets. Where none of them is in the bill (--deps build), what nobody in it needs.
  std::vector<std::size_t> described() const {
    if (!bom_.targets.empty()) return bom_.targets;
    std::vector<bool> needed(bom_.elements.size(), false);
    for (const BomElement& element : bom_.elements) {
      for (const BomDependency& dependency : element.dependencies)
        needed[dependency.element] = true;
    }
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < needed.size(); ++i) {
      if (!needed[i]) out.push_back(i);
    }
    return out;
  }

  void relate(std::string from, std::string_view how, std::string to) {
    relationships_.push_back({{"spdxElementId", std::move(from)},
                              {"relationshipType", how},
                              {"relatedSpdxElement", std::move(to)}});
  }

  void relate_element(std::size_t index) {
    const BomElement& element = bom_.elements[index];
    for (const BomDependency& dependency : element.dependencies) {
      if (dependency.build) relate(id(dependency.element), "BUILD_DEPENDENCY_OF", id(index));
      if (dependency.runtime) relate(id(index), "DEPENDS_ON", id(dependency.element));
      if (dependency.composed) relate(id(index), "CONTAINS", id(dependency.element));
    }
    for (const std::size_t source : element.sources) {
      const BomSource& from = bom_.sources[source];
      if (from.patch) {
        relate(source_id(from), "PATCH_FOR", id(index));
      } else {
        relate(id(index), "GENERATED_FROM", source_id(from));
      }
    }
  }

  Json annotation(std::string comment) const {
    return {{"annotationDate", time_},
            {"annotationType", "OTHER"},
            {"annotator", tool_},
            {"comment", std::move(comment)}};
  }

  static Json reference(const char* category, const char* type, const std::string& locator) {
    return {
        {"referenceCategory", category}, {"referenceType", type}, {"referenceLocator", locator}};
  }

  // What all packages say of licences: nothing but what the project says.
  static void add_licenses(Json& json, const std::string& license) {
    json["licenseConcluded"] = kNobodySays;
    json["licenseDeclared"] = is_expression(license) ? license : kNobodySays;
    if (!license.empty() && !is_expression(license)) json["licenseComments"] = license;
    json["copyrightText"] = kNobodySays;
  }

  Json package(const BomElement& element) const {
    Json json = {{"SPDXID", element_id(element.name)}, {"name", element.name}};
    if (!element.version.empty()) json["versionInfo"] = element.version;
    json["downloadLocation"] = kNobodySays;
    json["filesAnalyzed"] = false;
    add_licenses(json, "");
    if (!element.description.empty()) json["description"] = element.description;
    Json references = Json::array();
    if (!element.key.empty())
      references.push_back(reference("OTHER", "sluice-cache-key", element.key));
    if (!element.cpe.empty()) references.push_back(reference("SECURITY", "cpe23Type", element.cpe));
    if (!references.empty()) json["externalRefs"] = std::move(references);
    json["annotations"] = Json::array(
        {annotation(fmt::format("Element of kind '{}' of project '{}'; role: {}", element.kind,
                                element.project, text_of(element.role)))});
    return json;
  }

  Json package(const BomSource& source) const {
    Json json = {{"SPDXID", source_id(source)}, {"name", source.name}};
    if (!source.version.empty()) {
      json["versionInfo"] = source.version;
    } else if (source.version_type == "commit" && !source.reference.empty()) {
      json["versionInfo"] = source.reference;
    }
    const std::string location = source.location();
    json["downloadLocation"] = location.empty() ? kNobodySays : location;
    json["filesAnalyzed"] = false;
    if (const std::string sha256 = source.sha256(); !sha256.empty())
      json["checksums"] = Json::array({Json{{"algorithm", "SHA256"}, {"checksumValue", sha256}}});
    if (source.homepage.find("://") != std::string::npos) json["homepage"] = source.homepage;
    add_licenses(json, source.license);
    std::string info = fmt::format("Source of kind '{}'", source.kind);
    if (!source.medium.empty()) info += fmt::format(", {}", source.medium);
    if (location.empty() && !source.url.empty()) info += fmt::format(", {}", source.url);
    if (!source.reference.empty())
      info += fmt::format(", {} {}", source.version_type, source.reference);
    json["sourceInfo"] = info;
    json["primaryPackagePurpose"] = source.medium == "oci-image" ? "CONTAINER" : "SOURCE";
    if (!source.purl.empty())
      json["externalRefs"] = Json::array({reference("PACKAGE-MANAGER", "purl", source.purl)});
    Json annotations = Json::array();
    if (!source.unknown.empty()) annotations.push_back(annotation(source.unknown));
    if (!source.issue_tracker.empty())
      annotations.push_back(annotation("issue-tracker: " + source.issue_tracker));
    for (const auto& [name, value] : source.attributes)
      annotations.push_back(annotation(name + ": " + value));
    if (!annotations.empty()) json["annotations"] = std::move(annotations);
    return json;
  }

  const Bom& bom_;
  const std::string time_, tool_;
  Json relationships_ = Json::array();
};

}  // namespace

std::string spdx_text(const Bom& bom) { return Writer(bom).text(); }

}  // namespace sluice::cli
