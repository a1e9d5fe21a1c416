#include "store/downloads.h"

#include <fmt/format.h>

namespace sluice::store {

namespace {

std::string url_directory_name(std::string_view url) {
  std::string name;
  for (const char c : url) {
    const bool kept =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%';
    if (kept) {
      name += c;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      name += '_';
    }
  }
  return name;
}

}  // namespace

std::string mirror_directory(const model::Settings& settings, std::string_view kind,
                             std::string_view url) {
  return fmt::format("{}/{}/{}", settings.sourcedir, kind, url_directory_name(url));
}

std::string download_directory(const model::Settings& settings, const model::Source& source) {
  if (source.original_url.empty()) return "";
  return mirror_directory(settings, source.kind, source.original_url);
}

std::string download_path(const model::Settings& settings, const model::Source& source) {
  const std::string directory = download_directory(settings, source);
  return directory.empty() || source.ref_text().empty() ? "" : directory + "/" + source.ref_text();
}

}  // namespace sluice::store
