// The work of kind cpan, a distribution of CPAN (buildstream-plugins-community, cpan). Tracking
// looks the module up in modules/02packages.details.txt.gz of the index.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <libdeflate.h>

#include "base/credentials.h"
#include "base/try.h"
#include "sources/indexed_file.h"
#include "sources/mirror_url.h"
#include "sources/works.h"

namespace sluice::sources::cpan {

namespace {

constexpr std::string_view kPackages = "modules/02packages.details.txt.gz";
constexpr std::string_view kByAuthor = "authors/id/";

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const {
    libdeflate_free_decompressor(decompressor);
  }
};

// The content of a file of gzip, which has one member or several; std::nullopt for one that isn't
// such a file, or holds more than an index may have.
std::optional<std::string> gunzip(std::string_view packed) {
  const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  std::string text;
  while (!packed.empty()) {
    std::size_t room = std::min(packed.size() * 8 + 4096, kMaxIndex);
    std::size_t read = 0, written = 0;
    const std::size_t begin = text.size();
    libdeflate_result result = LIBDEFLATE_INSUFFICIENT_SPACE;
    while (result == LIBDEFLATE_INSUFFICIENT_SPACE && begin + room <= kMaxIndex) {
      text.resize(begin + room);
      result = libdeflate_gzip_decompress_ex(decompressor.get(), packed.data(), packed.size(),
                                             text.data() + begin, room, &read, &written);
      room *= 2;
    }
    if (result != LIBDEFLATE_SUCCESS) return std::nullopt;
    text.resize(begin + written);
    packed.remove_prefix(read);
  }
  return text;
}

std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  while (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kSpace = " \t\v\f";
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  const std::string name = source.config.get_string("name");
  std::vector<std::string> urls;
  for (const std::string& base :
       source.track_urls.empty() ? std::vector{source.url} : source.track_urls)
    urls.push_back(fmt::format("{}{}", base, kPackages));
  const std::string shown = without_credentials(shown_url(urls.front()));
  const auto text = gunzip(TRY(read_index(source, surroundings, urls)));
  if (!text) {
    return source_error(source, "bad-index",
                        fmt::format("{}{} can't be unpacked", where(source), shown));
  }
  std::string_view rest = *text;
  std::size_t number = 1;
  // What describes the list ends with an empty line.
  while (!rest.empty() && !take_line(rest).empty()) ++number;
  std::string suffix;
  while (!rest.empty() && suffix.empty()) {
    std::string_view line = take_line(rest);
    ++number;
    const std::string_view package = take_word(line);
    take_word(line);
    const std::string_view file = take_word(line);
    if (file.empty() || !take_word(line).empty()) {
      return source_error(source, "bad-index",
                          fmt::format("{}{} line {} tells no module, version and file",
                                      where(source), shown, number));
    }
    if (package == name) suffix = fmt::format("{}{}", kByAuthor, file);
  }
  if (suffix.empty()) {
    return source_error(source, "",
                        fmt::format("{}\"{}\" not found in {}", where(source), name,
                                    without_credentials(source.url)));
  }
  const std::string sum = TRY(track_indexed_file(source, surroundings, suffix));
  return std::optional(found_map({{"suffix", model::Node::make_scalar(suffix)},
                                  {"sha256sum", model::Node::make_scalar(sum)}}));
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return has_indexed_file(source, surroundings);
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return fetch_indexed_file(source, surroundings);
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  return stage_indexed_file(source, surroundings);
}

}  // namespace sluice::sources::cpan
