// Archives, unpacked by sluice-unpack, become trees of the store.
#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/try.h"
#include "sources/work.h"
#include "store/directory.h"
#include "wire/helper.h"

namespace sluice::sources {

Result<model::Digest> stage_unpacked(const model::Source& source, Surroundings& surroundings,
                                     std::vector<std::string> words, const std::string& directory,
                                     std::string_view input) {
  words.insert(words.begin(), find_program("sluice-unpack"));
  auto done = wire::run_helper(words, surroundings.stop(), input);
  if (!done) {
    if (done.error().domain == "source") {
      done.error().message =
          fmt::format("{}Error staging source: {}", where(source), done.error().message);
      done.error().provenance = source.provenance;
    }
    return forward(done);
  }
  store::ImportOptions options;
  options.consume = true;
  return store::import_tree(surroundings.cas(), directory, options);
}

Result<model::Digest> stage_archive(const model::Source& source, Surroundings& surroundings,
                                    std::vector<std::string> words) {
  const std::string archive = TRY(ensure_download(source, surroundings));
  const std::string directory = TRY(surroundings.directory("unpacked"));
  const std::string shown = without_credentials(source.url);
  for (const std::string& word : {archive, shown.substr(shown.rfind('/') + 1), directory,
                                  source.config.get_string("base-dir", "*")})
    words.push_back(word);
  return stage_unpacked(source, surroundings, std::move(words), directory, {});
}

}  // namespace sluice::sources
