// Snapshots as bytes (spec/snapshot.md): one header map with everything but the bodies, then the
// bodies, back to back, so that the scheduler reads the front and nobody parses a body that isn't
// asked for.
//
//   "SLSNAP1\n" | u32 header length | header (MessagePack) | bodies
//
// The header holds the offset and length of each element's body, and the SHA-256 of the bodies;
// `id` is the SHA-256 of header and bodies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "wire/job_messages.h"

namespace sluice::wire {

// Fills snapshot.id too. Each Element::body is written as it is.
std::string pack_snapshot(model::Snapshot& snapshot);

// Packs a snapshot with its elements one by one, so that they needn't all be there at a time.
class SnapshotPacker {
 public:
  // Elements in their order; from the start again with `index` 0.
  void add(std::size_t index, model::Element element);
  std::size_t size() const { return body_sizes_.size(); }
  // All of the snapshot but its elements is taken from `snapshot`, whose id is filled.
  std::string finish(model::Snapshot& snapshot);

 private:
  // Bytes in pieces: a large snapshot isn't moved about while it grows, and its pieces go one by
  // one as it is put together.
  class Pieces {
   public:
    // Where to add what comes next.
    std::string& end();
    std::size_t size() const;
    std::string sha256() const;
    void move_to(std::string& out);

   private:
    std::vector<std::string> pieces_;
  };

  Pieces elements_;
  Pieces bodies_;
  std::vector<std::uint32_t> body_sizes_;
};

// `with_bodies` false leaves Element::body empty.
Result<model::Snapshot> unpack_snapshot(std::string_view bytes, bool with_bodies);

// Atomically to a file of mode 0600, and back (checked against `id` when that isn't empty).
Status write_snapshot(const std::string& path, model::Snapshot& snapshot);
Result<model::Snapshot> read_snapshot(const std::string& path, bool with_bodies);

std::string pack_body(const model::ElementBody& body);
Result<model::ElementBody> unpack_body(std::string_view bytes);
// The packed SourceList (messages.h) of a packed body.
Result<std::string> pack_sources(std::string_view body);
Result<SourceList> unpack_sources(std::string_view bytes);
std::string pack_settings(const model::Settings& settings);
Result<model::Settings> unpack_settings(std::string_view bytes);

}  // namespace sluice::wire
