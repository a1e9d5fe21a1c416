#include "elements/integration_cache.h"

#include <cstdlib>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"
#include "store/artifact.h"

namespace sluice::elements {

namespace {

void add(Sha256& hash, std::string_view text) {
  hash.update(fmt::format("{}:", text.size()));
  hash.update(text);
}

std::optional<model::Digest> parse_digest(const std::string& text, std::size_t& at) {
  const auto space = text.find(' ', at);
  const auto newline = text.find('\n', at);
  if (space == std::string::npos || newline == std::string::npos || newline < space)
    return std::nullopt;
  model::Digest digest{text.substr(at, space - at), std::atoll(text.c_str() + space + 1)};
  at = newline + 1;
  if (!store::valid_digest(digest)) return std::nullopt;
  return digest;
}

}  // namespace

IntegrationCache::IntegrationCache(store::Cas& cas, const model::Digest& input,
                                   const sandbox::ShellScript& script,
                                   const model::Sandbox& sandbox, bool trust)
    : cas_(cas), trust_(trust) {
  Sha256 hash;
  add(hash, "integrated-1");
  add(hash, input.hash);
  add(hash, script.text());
  add(hash, script.directory());
  for (const auto& [name, value] : script.environment()) {
    add(hash, name);
    add(hash, value);
  }
  add(hash, fmt::format("{} {} {}", sandbox.build_arch, sandbox.build_uid, sandbox.build_gid));
  path_ = cas.cachedir() + "/sluice/integrated/" + hash.hex();
}

Result<std::optional<IntegrationCache::Entry>> IntegrationCache::lookup() const {
  if (!trust_ || !path_exists(path_)) return std::nullopt;
  auto text = TRY(read_file(path_));
  std::size_t at = 0;
  const auto root = parse_digest(text, at);
  const auto output = root ? parse_digest(text, at) : std::nullopt;
  if (!output) return std::nullopt;
  auto log = cas_.read(*output);
  if (!log) return std::nullopt;
  return Entry{*root, std::move(*log)};
}

Status IntegrationCache::remember(const model::Digest& root, const std::string& output) {
  auto log = TRY(cas_.add(output));
  CHECK(make_directories(path_.substr(0, path_.rfind('/'))));
  return write_file_atomic(path_,
                           fmt::format("{} {}\n{} {}\n", root.hash, root.size, log.hash, log.size));
}

Result<model::StringMap> environment_of(store::Cas& cas, const model::ArtifactRef& artifact) {
  model::Digest meta = artifact.low_diversity_meta;
  if (meta.empty()) {
    store::Artifacts artifacts(cas);
    auto info = TRY(artifacts.read(artifact.project, artifact.element, artifact.key));
    if (info) meta = info->low_diversity_meta;
  }
  if (meta.empty()) {
    return fail("artifact", "missing-artifact",
                fmt::format("The environment of {} is not in the cache", artifact.full_name));
  }
  auto data = TRY(store::read_public_data(cas, meta));
  model::StringMap environment;
  if (const model::Node* map = data.find("environment")) {
    for (const auto& [name, value] : map->map) environment.emplace_back(name, value.scalar);
  }
  return environment;
}

}  // namespace sluice::elements
