// The work of kind git_repo (buildstream-plugins-community, git_repo).
#include "base/try.h"
#include "sources/git_commit.h"
#include "sources/works.h"
#include "store/directory.h"

namespace sluice::sources::git_repo {

namespace {

GitWanted wanted(const model::Source& source) {
  return {source.ref_text(), source.config.get_string("track"),
          source.config.get_strings("exclude"),
          source.config.get_string("ref-format") == "git-describe"};
}

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  if (source.config.get_string("track").empty()) return std::optional<Found>();
  auto ref = TRY(track_commit(source, surroundings, wanted(source)));
  return std::optional(Found{model::Node::make_scalar(ref), ref});
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return has_commit(source, surroundings, wanted(source));
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  return fetch_commit(source, surroundings, wanted(source));
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  const std::string directory = TRY(surroundings.directory("git_repo"));
  CHECK(check_out(source, surroundings, wanted(source), directory, GitCheckout::kDescribed));
  store::ImportOptions options;
  options.consume = true;
  return store::import_tree(surroundings.cas(), directory, options);
}

Status init_workspace(const model::Source& source, Surroundings& surroundings,
                      const std::string& directory) {
  return check_out(source, surroundings, wanted(source), directory, GitCheckout::kWorkspace);
}

}  // namespace sluice::sources::git_repo
