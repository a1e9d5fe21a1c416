// The decoder of everything that comes from outside, for libFuzzer (preset `fuzz`)
// and for replay_main.cc. The first byte of the input chooses the type.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/support/wire_samples.h"
#include "wire/snapshot.h"

using namespace sluice;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// A value that was decoded can be encoded, and decodes to the same.
template <typename T>
void try_message(std::string_view bytes) {
  const auto message = wire::decode<T>(bytes);
  if (!message) return;
  const std::string written = wire::encode(*message);
  const auto again = wire::decode<T>(written);
  check(again.has_value());
  check(wire::encode(*again) == written);
}

void try_codec(std::string_view bytes) {
  const auto rest = wire::skip_value(bytes);
  check(!rest || rest->size() < bytes.size());
  const auto document = wire::Document::parse(bytes);
  check(!document || (rest && rest->empty()));
  const auto entries = wire::map_entries(bytes);
  // A map of the walker's is one of the parser's, unless a limit or the parser's
  // dislike of some value is in between.
  if (entries && document) {
    check(document->root().is_map() && document->root().size() == entries->size());
    const std::string joined = wire::join_maps({bytes, bytes});
    const auto twice = wire::map_entries(joined);
    check(twice && twice->size() == 2 * entries->size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The input is copied, so that a sanitizer sees a read past its end.
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned chosen = data[0];
  if (chosen == 0xff) {
    try_codec(bytes);
  } else if (chosen == 0xfe) {
    auto snapshot = wire::unpack_snapshot(bytes, true);
    if (snapshot) check(wire::unpack_snapshot(wire::pack_snapshot(*snapshot), true).has_value());
  } else {
    unsigned number = 0;
    testing::for_each_message([&]<typename T>(const char*) {
      if (number++ == chosen) try_message<T>(bytes);
    });
  }
  return 0;
}
