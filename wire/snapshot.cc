#include "wire/snapshot.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"
#include "wire/codec.h"
#include "wire/model_fields.h"

namespace sluice::wire {

namespace {

constexpr std::string_view kMagic = "SLSNAP1\n";
// One takes another element or body when so much is left of it; a larger one makes it grow.
constexpr std::size_t kPiece = std::size_t{256} << 10;
constexpr std::size_t kPieceSpare = std::size_t{8} << 10;

constexpr Limits kBodyLimits = {.depth = 127};  // each level of a user's YAML takes two

struct Header {
  std::uint32_t version = model::kSnapshotVersion;
  std::vector<model::Project> projects;
  std::vector<model::Element> elements;
  std::vector<std::uint32_t> body_sizes;
  std::string bodies_sha256;
  std::vector<model::ElementIndex> targets;
  model::Settings settings;
  std::vector<std::string> warnings;
};

template <typename C>
void fields(C& c, Header& m) {
  c("version", m.version);
  c("projects", m.projects);
  c("elements", m.elements);
  c("body_sizes", m.body_sizes);
  c("bodies_sha256", m.bodies_sha256);
  c("targets", m.targets);
  c("settings", m.settings);
  c("warnings", m.warnings);
}

tl::unexpected<Error> damaged(std::string_view why) {
  return fail("wire", "bad-snapshot",
              fmt::format("this is no snapshot that Sluice wrote: {}", why));
}

// A snapshot comes from a file that another process wrote: its indices are checked here once, so
// that nobody who uses it has to.
Status check_indices(const model::Snapshot& snapshot) {
  const std::size_t count = snapshot.elements.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto& element = snapshot.elements[i];
    if (element.project >= snapshot.projects.size())
      return damaged("an element's project is out of range");
    if (element.unsupported_by > i + 1)
      return damaged("what stands in an element's way comes after it");
    if (element.unsupported_by != 0 && snapshot.elements[element.unsupported_by - 1].obstacle(
                                           model::Obstacle::To::kKey) == nullptr) {
      return damaged("what stands in an element's way isn't there");
    }
    for (const auto& dependency : element.dependencies) {
      if (dependency.element >= i) return damaged("an element comes before its dependency");
    }
  }
  for (const auto target : snapshot.targets) {
    if (target >= count) return damaged("a target is out of range");
  }
  return {};
}

}  // namespace

void SnapshotPacker::add(std::size_t index, model::Element element) {
  if (index == 0) *this = {};
  const std::string body = std::move(element.body);
  element.body.clear();
  detail::Encoder(elements_.end()).write(element);
  body_sizes_.push_back(static_cast<std::uint32_t>(body.size()));
  bodies_.end() += body;
}

std::string& SnapshotPacker::Pieces::end() {
  if (pieces_.empty() || pieces_.back().size() + kPieceSpare > kPiece) {
    pieces_.emplace_back();
    pieces_.back().reserve(kPiece);
  }
  return pieces_.back();
}

std::size_t SnapshotPacker::Pieces::size() const {
  std::size_t size = 0;
  for (const auto& piece : pieces_) size += piece.size();
  return size;
}

std::string SnapshotPacker::Pieces::sha256() const {
  Sha256 hash;
  for (const auto& piece : pieces_) hash.update(piece);
  return hash.hex();
}

void SnapshotPacker::Pieces::move_to(std::string& out) {
  for (auto& piece : pieces_) {
    out += piece;
    std::string().swap(piece);
  }
  pieces_.clear();
}

std::string SnapshotPacker::finish(model::Snapshot& snapshot) {
  std::string out(kMagic);
  out.reserve(elements_.size() + bodies_.size() + body_sizes_.size() * 5 + 64 * 1024);
  const std::size_t size_at = out.size();
  out.append(4, '\0');
  const std::size_t start = out.size();
  // The fields come in the order that fields() of Header has.
  Writer writer(out);
  detail::Encoder code(out);
  std::string bodies_sha256 = bodies_.sha256();
  writer.map(8);
  code("version", snapshot.version);
  code("projects", snapshot.projects);
  writer.string("elements");
  writer.array(body_sizes_.size());
  elements_.move_to(out);
  code("body_sizes", body_sizes_);
  code("bodies_sha256", bodies_sha256);
  code("targets", snapshot.targets);
  code("settings", snapshot.settings);
  code("warnings", snapshot.warnings);
  const auto size = static_cast<std::uint32_t>(out.size() - start);
  for (std::size_t i = 0; i < 4; ++i) out[size_at + i] = static_cast<char>(size >> (8 * i));
  snapshot.id = sha256_hex(std::string_view(out).substr(start));
  bodies_.move_to(out);
  *this = {};
  return out;
}

std::string pack_snapshot(model::Snapshot& snapshot) {
  SnapshotPacker packer;
  for (std::size_t i = 0; i < snapshot.elements.size(); ++i) packer.add(i, snapshot.elements[i]);
  return packer.finish(snapshot);
}

Result<model::Snapshot> unpack_snapshot(std::string_view bytes, bool with_bodies) {
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < kMagic.size() + 4)
    return damaged("wrong first bytes");
  bytes.remove_prefix(kMagic.size());
  std::uint32_t size = 0;
  for (int i = 3; i >= 0; --i)
    size = (size << 8) | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  bytes.remove_prefix(4);
  if (bytes.size() < size) return damaged("it is cut off");
  Limits limits;
  limits.bytes = limits.string = std::size_t{2} << 30;
  limits.values = limits.bytes;
  const std::string_view packed = bytes.substr(0, size);
  auto header = TRY(decode<Header>(packed, limits));
  bytes.remove_prefix(size);
  model::Snapshot snapshot;
  snapshot.version = header.version;
  if (snapshot.version != model::kSnapshotVersion)
    return damaged(fmt::format("version {}", snapshot.version));
  snapshot.id = sha256_hex(packed);
  snapshot.projects = std::move(header.projects);
  snapshot.elements = std::move(header.elements);
  snapshot.targets = std::move(header.targets);
  snapshot.settings = std::move(header.settings);
  snapshot.warnings = std::move(header.warnings);
  if (header.body_sizes.size() != snapshot.elements.size())
    return damaged("bodies and elements differ in number");
  CHECK(check_indices(snapshot));
  if (with_bodies) {
    if (sha256_hex(bytes) != header.bodies_sha256) return damaged("the bodies fail their checksum");
    for (std::size_t i = 0; i < snapshot.elements.size(); ++i) {
      if (header.body_sizes[i] > bytes.size()) return damaged("a body is cut off");
      snapshot.elements[i].body = bytes.substr(0, header.body_sizes[i]);
      bytes.remove_prefix(header.body_sizes[i]);
    }
  }
  return snapshot;
}

Status write_snapshot(const std::string& path, model::Snapshot& snapshot) {
  return write_file_atomic(path, pack_snapshot(snapshot), 0600);
}

Result<model::Snapshot> read_snapshot(const std::string& path, bool with_bodies) {
  auto bytes = TRY(read_file(path));
  auto snapshot = unpack_snapshot(bytes, with_bodies);
  if (!snapshot) snapshot.error().message = path + ": " + snapshot.error().message;
  return snapshot;
}

std::string pack_body(const model::ElementBody& body) { return encode(body); }
Result<model::ElementBody> unpack_body(std::string_view bytes) {
  return decode<model::ElementBody>(bytes, kBodyLimits);
}
Result<std::string> pack_sources(std::string_view body) {
  return encode(TRY(unpack_sources(body)));
}
Result<SourceList> unpack_sources(std::string_view bytes) {
  return decode<SourceList>(bytes, kBodyLimits);
}
std::string pack_settings(const model::Settings& settings) { return encode(settings); }
Result<model::Settings> unpack_settings(std::string_view bytes) {
  return decode<model::Settings>(bytes);
}

}  // namespace sluice::wire
