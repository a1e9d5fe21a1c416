#include "cli/sbom.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/try.h"
#include "model/element_kinds.h"
#include "model/source_kinds.h"
#include "sources/purl.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

using model::ElementIndex;

std::string single_line(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::string out(text);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return valid_utf8(out);
}

// A URL for everybody: without its user and password, which stand as "***" elsewhere.
std::string public_url(const std::string& url) {
  std::string out = without_credentials(url);
  if (const auto user = out.find("://***@"); user != std::string::npos) out.erase(user + 3, 4);
  return valid_utf8(out);
}

// "cpe:2.3:a:VENDOR:PRODUCT:VERSION:*..." of what the convention of freedesktop-sdk, a map `cpe` in
// public data, says of the element; "" when it says no product, or what can't be written so.
std::string cpe_of(const model::Node& public_data, const std::string& version) {
  const model::Node* cpe = public_data.find("cpe");
  if (cpe == nullptr || !cpe->is_map()) return {};
  const auto part = [](const std::string& text) -> std::optional<std::string> {
    if (text.empty() || text == "*") return "*";
    std::string out;
    for (const char c : text) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      if (!plain &&
          std::string_view("\\*?!\"#$%&'()+,/:;<=>@[]^`{|}~").find(c) == std::string_view::npos)
        return std::nullopt;
      out += (plain ? "" : "\\") + std::string(1, c);
    }
    return out;
  };
  const std::string product = cpe->get_string("product");
  if (product.empty()) return {};
  const auto vendor = part(cpe->get_string("vendor"));
  const auto name = part(product);
  const auto number = part(cpe->get_string("version", version));
  if (!vendor || !name || !number) return {};
  return fmt::format("cpe:2.3:a:{}:{}:{}:*:*:*:*:*:*:*", *vendor, *name, *number);
}

class Collector {
 public:
  Collector(const LoadedProject& loaded,
            const std::function<sources::Infos(const model::Element&, const model::Source&)>& ask)
      : snapshot_(loaded.snapshot), selection_(loaded.selection), ask_(ask) {}

  Result<Bom> collect() {
    bom_.project = snapshot_.projects.front().name;
    std::map<ElementIndex, std::size_t> places;
    for (std::size_t i = 0; i < selection_.size(); ++i) places[selection_[i]] = i;
    for (const ElementIndex index : selection_) CHECK(add(index, places));
    for (const ElementIndex target : snapshot_.targets) {
      const auto found = places.find(target);
      if (found == places.end()) continue;  // --deps build
      bom_.targets.push_back(found->second);
      come_along(found->second);
    }
    for (const std::size_t target : bom_.targets) bom_.elements[target].role = BomRole::kTarget;
    for (const BomElement& element : bom_.elements) {
      for (const std::size_t source : element.sources)
        bom_.sources[source].build_only =
            bom_.sources[source].build_only && element.role == BomRole::kBuild;
    }
    bom_.digest = sha256_hex(said_);
    return std::move(bom_);
  }

  // By kind: how many sources don't tell, and why the first doesn't.
  const std::map<std::string, std::pair<std::size_t, std::string>>& silent() const {
    return silent_;
  }

 private:
  Status add(ElementIndex index, const std::map<ElementIndex, std::size_t>& places) {
    const model::Element& element = snapshot_.elements[index];
    const auto body = TRY(wire::unpack_body(element.body));
    BomElement out;
    out.name = element.full_name;
    out.project = snapshot_.projects[element.project].name;
    out.kind = element.kind;
    out.description = single_line(body.description);
    out.key = element.keys.full;
    for (const auto& dependency : element.dependencies) {
      const auto found = places.find(dependency.element);
      if (found == places.end()) continue;
      out.dependencies.push_back(
          {found->second, dependency.build, dependency.runtime,
           dependency.build && model::element_traits(element.kind).composes});
    }
    for (const model::Source& source : body.sources) add_source(element, source, out);
    for (const std::size_t source : out.sources) {
      const BomSource& from = bom_.sources[source];
      if (out.version.empty() && !from.patch) out.version = from.version;
    }
    out.cpe = cpe_of(body.public_data, out.version);
    said_ += fmt::format("{} {} {} {}\n", out.name, out.key, out.cpe, out.description);
    for (const BomDependency& dependency : out.dependencies)
      said_ += fmt::format("{}{}{} ", dependency.element, dependency.build ? "b" : "",
                           dependency.runtime ? "r" : "");
    bom_.elements.push_back(std::move(out));
    return {};
  }

  void add_source(const model::Element& element, const model::Source& source, BomElement& of) {
    const auto ask = [&](const model::Source& one) { return ask_(element, one); };
    auto infos = sources::infos_of(source, ask);
    // Python's patterns may say what ours can't: then no version is guessed, and all else is known.
    if (!infos && infos.error().reason == "bad-pattern") {
      model::Source plain = source;
      plain.config.set("version-guess-pattern", model::Node::make_scalar("(?!)"));
      if (auto others = sources::infos_of(plain, ask)) infos = std::move(others);
    }
    // Community's patch_queue, and plugins without collect_source_info(), tell nothing at all.
    if (!infos || infos->empty()) {
      BomSource out = begun(source);
      out.url = public_url(source.url);
      out.name = name_of(source, out, {});
      out.unknown =
          infos ? fmt::format("Sources of kind '{}' don't say where they come from", source.kind)
                : without_credentials(valid_utf8(infos.error().message));
      auto& [count, why] = silent_[source.kind];
      if (count++ == 0) why = out.unknown;
      put(std::move(out), of);
      return;
    }
    for (const sources::Info& info : *infos) {
      BomSource out = begun(source);
      out.medium = info.medium;
      // Some kinds tell the URL as the element has it, with its alias.
      const bool aliased = info.url == source.config.get_string("url") && !source.url.empty();
      const std::string url = aliased ? source.url : info.url;
      // Where a workspace lies is nobody else's business.
      if (!model::traits(source).is_workspace) out.url = public_url(url);
      out.version_type = info.version_type;
      if (info.version == "None" || info.version.empty()) {
        out.unknown = "It has no ref: what will be used isn't known";
      } else {
        out.reference = info.version;
      }
      out.version = info.guess;
      if (!out.patch && out.medium != "local") out.purl = sources::package_url_of(info, out.url);
      out.name = name_of(source, out, info);
      add_provenance(source, info, out);
      put(std::move(out), of);
    }
  }

  static BomSource begun(const model::Source& source) {
    BomSource out;
    out.kind = source.kind;
    out.patch = model::traits(source).changes_previous && model::traits(source).reads_project;
    return out;
  }

  static std::string name_of(const model::Source& source, const BomSource& out,
                             const sources::Info& info) {
    for (const auto& [key, value] : info.extra) {
      if (key == "package-name" || key == "crate-name" || key == "image-name") return value.scalar;
    }
    std::string name = sources::last_part(out.url);
    if (name.empty()) name = sources::last_part(source.config.get_string("path"));
    return name.empty() ? source.kind : name;
  }

  static void add_provenance(const model::Source& source, const sources::Info& info,
                             BomSource& out) {
    const model::Node* provenance =
        info.provenance.is_map() ? &info.provenance : source.config.find("provenance");
    if (provenance == nullptr || !provenance->is_map()) return;
    for (const auto& [name, value] : provenance->map) {
      if (!value.is_scalar()) continue;
      const std::string text = public_url(value.scalar);
      if (name == "homepage") {
        out.homepage = text;
      } else if (name == "issue-tracker") {
        out.issue_tracker = text;
      } else if (name == "license" || name == "licence") {
        out.license = text;
      } else {
        out.attributes.emplace_back(valid_utf8(name), text);
      }
    }
  }

  // What several elements come from is one.
  void put(BomSource source, BomElement& of) {
    std::string said = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n", source.kind,
                                   source.name, source.version, source.medium, source.version_type,
                                   source.reference, source.url, source.purl, source.homepage,
                                   source.issue_tracker, source.license, source.unknown);
    for (const auto& [name, value] : source.attributes) said += name + "=" + value + "\n";
    // What nobody knows anything of is what its element's source is.
    if (source.reference.empty()) said += of.name;
    source.id = sha256_hex(said).substr(0, 20);
    said_ += source.id + "\n";
    const auto [place, is_new] = known_.try_emplace(source.id, bom_.sources.size());
    if (is_new) bom_.sources.push_back(std::move(source));
    if (std::find(of.sources.begin(), of.sources.end(), place->second) == of.sources.end())
      of.sources.push_back(place->second);
  }

  // Marks what comes with an element's artifact.
  void come_along(std::size_t first) {
    std::vector<std::size_t> work{first};
    while (!work.empty()) {
      const std::size_t at = work.back();
      work.pop_back();
      if (!along_.insert(at).second) continue;
      bom_.elements[at].role = BomRole::kRuntime;
      for (const BomDependency& dependency : bom_.elements[at].dependencies) {
        if (dependency.runtime || dependency.composed) work.push_back(dependency.element);
      }
    }
  }

  const model::Snapshot& snapshot_;
  const std::vector<ElementIndex>& selection_;
  const std::function<sources::Infos(const model::Element&, const model::Source&)>& ask_;
  Bom bom_;
  std::string said_;
  std::map<std::string, std::size_t> known_;
  std::set<std::size_t> along_;
  std::map<std::string, std::pair<std::size_t, std::string>> silent_;
};

Result<std::optional<std::int64_t>> time_of_environment() {
  const char* given = std::getenv("SOURCE_DATE_EPOCH");
  if (given == nullptr || *given == '\0') return std::optional<std::int64_t>();
  constexpr std::int64_t kLastSecond = 253402300799;  // of the year 9999
  const std::string_view text = given;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0 ||
      seconds > kLastSecond)
    return fail("app", "bad-time",
                fmt::format("SOURCE_DATE_EPOCH is '{}', which is no number of seconds", text));
  return std::optional(seconds);
}

}  // namespace

std::string_view text_of(BomRole role) {
  switch (role) {
    case BomRole::kTarget: return "target";
    case BomRole::kRuntime: return "runtime";
    case BomRole::kBuild: break;
  }
  return "build";
}

std::string BomSource::location() const {
  if (medium == "git") return sources::commit_location(url, reference);
  if (medium == "bzr" && url.find("://") != std::string::npos)
    return fmt::format("bzr+{}{}{}", url, reference.empty() ? "" : "@", reference);
  return (medium == "remote-file" || medium.empty()) && url.find("://") != std::string::npos
             ? url
             : std::string();
}

std::string BomSource::sha256() const {
  return version_type == "sha256" && reference.size() == 64 ? lower(reference) : std::string();
}

Result<Bom> collect_bom(
    const LoadedProject& loaded,
    const std::function<sources::Infos(const model::Element&, const model::Source&)>& ask,
    const std::function<void(const std::string&)>& warn) {
  const auto time = TRY(time_of_environment());
  Collector collector(loaded, ask);
  Bom bom = TRY(collector.collect());
  bom.time = time;
  for (const auto& [kind, silent] : collector.silent())
    warn(fmt::format("{} of kind '{}' without where they come from: {}",
                     silent.first == 1 ? "A source" : fmt::format("{} sources", silent.first), kind,
                     silent.second));
  return bom;
}

}  // namespace sluice::cli
