// URLs at mirrors that are plugins: what such a mirror makes of a source's URL only its Python
// knows, which is asked when the URL is tried (plugin/plugin.h, address_of()). Until then the URL
// is "plugin-mirror:NUMBER:ALIAS:REST": what a kind appends to the URL of a source is appended to
// REST, so that the plugin is asked for the whole.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::sources {

struct MirrorUrl {
  std::size_t mirror = 0;  // its place among the `mirrors` of model::Plugin::project
  std::string_view alias, rest;
};

std::string mirror_url(const MirrorUrl& url);
// nullopt for any other URL.
std::optional<MirrorUrl> parse_mirror_url(std::string_view url);
// A URL for people: as the source has it where it is one at a mirror.
std::string shown_url(std::string_view url);

}  // namespace sluice::sources
