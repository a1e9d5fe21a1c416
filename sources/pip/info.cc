#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::pip {

// The info of each line "package==version" of the ref.
Infos info(const model::Source& source) {
  std::vector<Info> infos;
  std::string_view rest = source.ref_text();
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const std::size_t equals = line.find("==");
    if (equals == std::string_view::npos) continue;
    const std::string version(line.substr(equals + 2));
    infos.push_back(
        {source.url,
         "pypi",
         "indexed-version",
         version,
         version,
         {{"package-name", model::Node::make_scalar(std::string(line.substr(0, equals)))}}});
    infos.back().purl = python_package_url(line.substr(0, equals), version);
  }
  return infos;
}

}  // namespace sluice::sources::pip
