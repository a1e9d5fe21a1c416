#include "sources/go_module/import_meta.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>
#include <vector>

namespace sluice::sources::go_module {

namespace {

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

// Reads the attributes of a tag, to its '>'; gives where that is.
std::size_t read_attributes(std::string_view page, std::size_t at,
                            std::map<std::string, std::string>& attributes) {
  for (;;) {
    at = skip_space(page, at);
    if (at >= page.size() || page[at] == '>') return at;
    if (page[at] == '/') {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < page.size() && !is_space(page[at]) && page[at] != '=' && page[at] != '>' &&
           page[at] != '/')
      ++at;
    const std::string name = lower(page.substr(begin, at - begin));
    const std::size_t equals = skip_space(page, at);
    if (equals >= page.size() || page[equals] != '=') {
      attributes.emplace(name, "");
      at = std::max(at, begin + 1);
      continue;
    }
    at = skip_space(page, equals + 1);
    std::string_view value;
    if (at < page.size() && (page[at] == '"' || page[at] == '\'')) {
      const std::size_t end = std::min(page.find(page[at], at + 1), page.size());
      value = page.substr(at + 1, end - at - 1);
      at = std::min(end + 1, page.size());
    } else {
      const std::size_t from = at;
      while (at < page.size() && !is_space(page[at]) && page[at] != '>') ++at;
      value = page.substr(from, at - from);
    }
    attributes.emplace(name, value);
  }
}

}  // namespace

std::optional<ImportMeta> import_meta(std::string_view page, std::string_view module) {
  std::optional<ImportMeta> found;
  for (std::size_t at = page.find('<'); at != std::string_view::npos; at = page.find('<', at)) {
    if (page.substr(at, 4) == "<!--") {
      at = page.find("-->", at);
      if (at == std::string_view::npos) break;
      continue;
    }
    ++at;
    if (lower(page.substr(at, 4)) != "meta" || at + 4 >= page.size() ||
        (!is_space(page[at + 4]) && page[at + 4] != '/'))
      continue;
    std::map<std::string, std::string> attributes;
    at = read_attributes(page, at + 4, attributes);
    if (attributes["name"] != "go-import") continue;
    std::istringstream content(attributes["content"]);
    std::vector<std::string> words;
    for (std::string word; content >> word;) words.push_back(word);
    if (words.size() != 3 && words.size() != 4) continue;
    const std::string& prefix = words[0];
    if (!module.starts_with(prefix) ||
        (module.size() > prefix.size() && module[prefix.size()] != '/'))
      continue;
    found = ImportMeta{prefix, words.size() == 4 ? words[3] : ""};
  }
  return found;
}

}  // namespace sluice::sources::go_module
