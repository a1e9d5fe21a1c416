// A tar archive, unpacked (buildstream/plugins/sources/tar.py).
#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/try.h"
#include "sources/works.h"
#include "store/directory.h"
#include "wire/helper.h"

namespace sluice::sources::tar {

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  auto archive = TRY(ensure_download(source, surroundings));
  auto directory = TRY(surroundings.directory("unpacked"));
  const std::string shown = without_credentials(source.url);
  const std::string url_name = shown.substr(shown.rfind('/') + 1);
  auto done = wire::run_helper({find_program("sluice-unpack"), archive, url_name, directory,
                                source.config.get_string("base-dir", "*")},
                               surroundings.stop());
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

}  // namespace sluice::sources::tar
