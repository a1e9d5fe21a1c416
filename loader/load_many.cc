// loader_many <REQUESTS: loads one project after another, for tests of many small ones. A request
// is a line of JSON: {"directory", "config", "target", "mirror"}, the last for --default-mirror.
// The answer is a line, too: {"error": "DOMAIN REASON"}, or {"sources": [{"urls", "more",
// "track"}]} with where the sources of the target are to be had from, in the order to try.
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "loader/loader.h"

namespace sluice::loader {
namespace {

using Json = nlohmann::json;

Json sources_of(const LoadedSnapshot& loaded) {
  Json sources = Json::array();
  for (const model::Source& source : loaded.bodies.at(loaded.snapshot.targets.at(0)).sources) {
    Json more = Json::array();
    for (const model::SourceUrl& url : source.more_urls) more.push_back(url.urls);
    sources.push_back({{"urls", source.urls.empty() ? std::vector{source.url} : source.urls},
                       {"more", std::move(more)},
                       {"track", source.track_urls}});
  }
  return sources;
}

Json answer_to(const Json& asked) {
  LoadRequest request;
  request.directory = asked.at("directory");
  request.config = asked.at("config");
  request.targets = {asked.at("target")};
  request.bodies.ref_places = true;
  if (asked.contains("mirror")) request.overrides.default_mirror = asked.at("mirror");
  LoadHooks hooks;
  hooks.digest_local = [](const std::string&) -> Result<model::Digest> {
    return model::Digest{std::string(64, '0'), 0};
  };
  const auto answer = load(request, hooks);
  if (!answer) {
    const Error& error = answer.error();
    return {{"error", error.domain + " " + (error.reason.empty() ? "-" : error.reason)},
            {"message", error.str()}};
  }
  const auto* loaded = std::get_if<LoadedSnapshot>(&*answer);
  if (loaded == nullptr) return {{"error", "needs a junction"}};
  return {{"sources", sources_of(*loaded)}};
}

}  // namespace
}  // namespace sluice::loader

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    // Each line is flushed: the next request may come in the place of this one's project.
    std::cout << sluice::loader::answer_to(nlohmann::json::parse(line)).dump() << std::endl;
  }
}
