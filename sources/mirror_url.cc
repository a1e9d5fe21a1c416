#include "sources/mirror_url.h"

#include <charconv>

#include <fmt/format.h>

namespace sluice::sources {

namespace {

constexpr std::string_view kScheme = "plugin-mirror:";

}  // namespace

std::string mirror_url(const MirrorUrl& url) {
  return fmt::format("{}{}:{}:{}", kScheme, url.mirror, url.alias, url.rest);
}

std::optional<MirrorUrl> parse_mirror_url(std::string_view url) {
  if (!url.starts_with(kScheme)) return std::nullopt;
  url.remove_prefix(kScheme.size());
  MirrorUrl parsed;
  const std::size_t first = url.find(':');
  const std::size_t second = first == std::string_view::npos ? first : url.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto [end, error] = std::from_chars(url.data(), url.data() + first, parsed.mirror);
  if (error != std::errc() || end != url.data() + first) return std::nullopt;
  parsed.alias = url.substr(first + 1, second - first - 1);
  parsed.rest = url.substr(second + 1);
  return parsed;
}

std::string shown_url(std::string_view url) {
  const auto there = parse_mirror_url(url);
  return there ? fmt::format("{}:{}", there->alias, there->rest) : std::string(url);
}

}  // namespace sluice::sources
