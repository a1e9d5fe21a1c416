#include "loader/kept_request.h"

#include "base/file.h"
#include "base/try.h"
#include "wire/codec.h"

namespace sluice::loader {

namespace {

struct KeptRequest {
  std::string id;  // of the snapshot
  wire::LoadArguments arguments;
};
template <typename C>
void fields(C& c, KeptRequest& m) {
  c("id", m.id);
  c("arguments", m.arguments);
}

std::string file_of(const std::string& snapshot_file) { return snapshot_file + ".request"; }

}  // namespace

Status keep_request(const wire::LoadArguments& arguments, const std::string& id) {
  return write_file_atomic(file_of(arguments.wanted.snapshot_file),
                           wire::encode(KeptRequest{id, arguments}), 0600);
}

Result<wire::LoadArguments> request_again(const wire::ReloadArguments& arguments) {
  const auto none = [&](std::string_view why) {
    return fail("load", "no-request",
                arguments.snapshot_file + ": " + std::string(why) + ": it can't be loaded again");
  };
  const auto packed = read_file(file_of(arguments.snapshot_file));
  if (!packed) return none("no snapshot that a load has written");
  auto kept = wire::decode<KeptRequest>(*packed);
  if (!kept) return none("how it was loaded can't be read");
  if (kept->id != arguments.snapshot_id) return none("another snapshot than the one that is meant");
  wire::LoadArguments again = std::move(kept->arguments);
  again.wanted.track = false;
  again.wanted.accept_needs = false;
  again.wanted.quiet = true;
  again.wanted.snapshot_file = arguments.snapshot_file + ".again";
  return again;
}

}  // namespace sluice::loader
