#include "wire/codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>
#include <msgpack.hpp>

namespace sluice::wire {

namespace {

struct Sink {
  std::string& out;
  void write(const char* bytes, std::size_t count) { out.append(bytes, count); }
};

std::uint64_t big_endian(const char* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i)
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

// What the first byte of a value says.
struct Tag {
  // that it takes in any case, with the first one; 0: there is no such value
  std::uint8_t bytes = 0;
  std::uint8_t width = 0;  // of the length that follows the first byte
  // that follow inside it; when it has a length: for each entry, 0 when it counts bytes
  std::uint8_t values = 0;
};

constexpr std::array<Tag, 256> make_tags() {
  std::array<Tag, 256> tags{};
  const auto set = [&](unsigned tag, unsigned bytes, unsigned width, unsigned values) {
    tags[tag] = {static_cast<std::uint8_t>(bytes), static_cast<std::uint8_t>(width),
                 static_cast<std::uint8_t>(values)};
  };
  for (unsigned tag = 0x00; tag <= 0x7f; ++tag) set(tag, 1, 0, 0);
  for (unsigned tag = 0x80; tag <= 0x8f; ++tag) set(tag, 1, 0, 2 * (tag & 15));
  for (unsigned tag = 0x90; tag <= 0x9f; ++tag) set(tag, 1, 0, tag & 15);
  for (unsigned tag = 0xa0; tag <= 0xbf; ++tag) set(tag, 1 + (tag & 31), 0, 0);
  for (unsigned tag : {0xc0u, 0xc2u, 0xc3u}) set(tag, 1, 0, 0);
  for (unsigned width = 0; width < 3; ++width) {
    set(0xc4 + width, 1 + (1u << width), 1u << width, 0);  // binary
    set(0xc7 + width, 2 + (1u << width), 1u << width, 0);  // extensions, with their type
    set(0xd9 + width, 1 + (1u << width), 1u << width, 0);  // strings
  }
  set(0xca, 5, 0, 0);
  set(0xcb, 9, 0, 0);
  for (unsigned width = 0; width < 4; ++width) {
    set(0xcc + width, 1 + (1u << width), 0, 0);
    set(0xd0 + width, 1 + (1u << width), 0, 0);
  }
  for (unsigned width = 0; width < 5; ++width) set(0xd4 + width, 2 + (1u << width), 0, 0);
  set(0xdc, 3, 2, 1);
  set(0xdd, 5, 4, 1);
  set(0xde, 3, 2, 2);
  set(0xdf, 5, 4, 2);
  for (unsigned tag = 0xe0; tag <= 0xff; ++tag) set(tag, 1, 0, 0);
  return tags;
}

constexpr std::array<Tag, 256> kTags = make_tags();

unsigned char first_of(const char* at) { return static_cast<unsigned char>(*at); }
Tag tag_of(const char* at) { return kTags[first_of(at)]; }
bool is_map(char first) { return (first & 0xf0) == 0x80 || (first & 0xfe) == 0xde; }

bool is_small_integer(unsigned char first) { return first <= 0x7f || first >= 0xe0; }
bool is_short_string(unsigned char first) { return (first & 0xe0) == 0xa0; }

bool is_string_at(const char* at) {
  return is_short_string(first_of(at)) || (first_of(at) >= 0xd9 && first_of(at) <= 0xdb);
}

// How many bytes a value takes itself (its string or number included) and how many values follow
// inside it.
struct Shape {
  std::uint64_t bytes = 0;  // 0: malformed
  std::uint64_t values = 0;
};

// `tag` is of the value at `at`, which has as many bytes as that says.
Shape shape_of(const char* at, Tag tag) {
  if (tag.width == 0) return {tag.bytes, tag.values};
  const std::uint64_t length = big_endian(at + 1, tag.width);
  return tag.values == 0 ? Shape{tag.bytes + length, 0} : Shape{tag.bytes, length * tag.values};
}

Shape shape_of(std::string_view in) {
  if (in.empty()) return {};
  if (is_short_string(first_of(in.data()))) return {1 + (first_of(in.data()) & 31u), 0};
  const Tag tag = tag_of(in.data());
  return tag.bytes > in.size() ? Shape{} : shape_of(in.data(), tag);
}

// The bytes of a string or bin.
std::string_view body_of(const char* at) {
  const Tag tag = tag_of(at);
  return tag.width == 0 ? std::string_view(at + 1, tag.bytes - 1u)
                        : std::string_view(at + tag.bytes, big_endian(at + 1, tag.width));
}

// Walks over one value and allocates nothing. nullopt when it is malformed or over a limit (but
// that of bytes in all).
std::optional<std::string_view> walk(std::string_view bytes, const Limits& limits) {
  // Values still to come on each level; a fixed array, since depth is bounded.
  std::uint64_t pending[128];
  const std::size_t depth = std::min<std::size_t>(limits.depth, 127);
  std::uint64_t budget = limits.values;
  std::size_t level = 0;
  pending[0] = 1;
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  for (;;) {
    while (pending[level] == 0) {
      if (level == 0) return std::string_view(at, static_cast<std::size_t>(end - at));
      --level;
    }
    --pending[level];
    if (at == end) return std::nullopt;
    const char* const first = at;
    const auto left = static_cast<std::size_t>(end - at);
    // Most are of these two, for which no table has to be waited for.
    if (is_small_integer(first_of(at))) {
      ++at;
      continue;
    }
    if (is_short_string(first_of(at))) {
      const std::size_t length = first_of(at) & 31u;
      if (length >= left || length > limits.string) return std::nullopt;
      at += 1 + length;
      continue;
    }
    const Tag tag = tag_of(at);
    if (tag.bytes == 0 || tag.bytes > left) return std::nullopt;
    std::uint64_t values = tag.values;
    if (tag.width == 0) {
      at += tag.bytes;
    } else {
      const Shape shape = shape_of(at, tag);
      if (shape.bytes > left || shape.bytes - tag.bytes > limits.string) return std::nullopt;
      at += shape.bytes;
      values = shape.values;
    }
    if (values == 0) continue;
    // Each value takes a byte at least, so a claim beyond that is false.
    if (values > static_cast<std::size_t>(end - at) || values > budget) return std::nullopt;
    budget -= values;
    if (values / (is_map(*first) ? 2 : 1) > limits.items) return std::nullopt;
    if (++level > depth) return std::nullopt;
    pending[level] = values;
  }
}

}  // namespace

void Writer::nil() { out_.push_back(static_cast<char>(0xc0)); }

void Writer::boolean(bool value) { out_.push_back(static_cast<char>(value ? 0xc3 : 0xc2)); }

void Writer::unsigned_integer(std::uint64_t value) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_uint64(value);
}

void Writer::integer(std::int64_t value) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_int64(value);
}

void Writer::real(double value) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_double(value);
}

void Writer::string(std::string_view value) {
  if (value.size() <= 31) {
    out_.push_back(static_cast<char>(0xa0 | value.size()));
    out_.append(value);
    return;
  }
  Sink sink{out_};
  msgpack::packer<Sink> packer(sink);
  packer.pack_str(static_cast<std::uint32_t>(value.size()));
  packer.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
}

void Writer::binary(std::string_view value) {
  Sink sink{out_};
  msgpack::packer<Sink> packer(sink);
  packer.pack_bin(static_cast<std::uint32_t>(value.size()));
  packer.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
}

void Writer::array(std::size_t count) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_array(static_cast<std::uint32_t>(count));
}

void Writer::map(std::size_t count) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_map(static_cast<std::uint32_t>(count));
}

bool Value::get(bool& out) const {
  const unsigned char first = first_of(at_);
  if (first != 0xc2 && first != 0xc3) return false;
  out = first == 0xc3;
  return true;
}

bool Value::get_natural(std::uint64_t& out) const {
  const unsigned char first = first_of(at_);
  if (first >= 0xcc && first <= 0xcf) {
    out = big_endian(at_ + 1, std::size_t{1} << (first - 0xcc));
    return true;
  }
  // A type for signed integers may hold one that isn't negative.
  std::int64_t whole = 0;
  if (first < 0xd0 || first > 0xd3 || !get(whole) || whole < 0) return false;
  out = static_cast<std::uint64_t>(whole);
  return true;
}

bool Value::get_whole(std::int64_t& out) const {
  const unsigned char first = first_of(at_);
  if (first >= 0xe0) {
    out = static_cast<std::int8_t>(first);
    return true;
  }
  switch (first) {
    case 0xd0: out = static_cast<std::int8_t>(big_endian(at_ + 1, 1)); return true;
    case 0xd1: out = static_cast<std::int16_t>(big_endian(at_ + 1, 2)); return true;
    case 0xd2: out = static_cast<std::int32_t>(big_endian(at_ + 1, 4)); return true;
    case 0xd3: out = static_cast<std::int64_t>(big_endian(at_ + 1, 8)); return true;
    default: break;
  }
  std::uint64_t natural = 0;
  if (!get(natural) || natural > INT64_MAX) return false;
  out = static_cast<std::int64_t>(natural);
  return true;
}

bool Value::get(double& out) const {
  const unsigned char first = first_of(at_);
  if (first == 0xca) {
    out = std::bit_cast<float>(static_cast<std::uint32_t>(big_endian(at_ + 1, 4)));
    return true;
  }
  if (first == 0xcb) {
    out = std::bit_cast<double>(big_endian(at_ + 1, 8));
    return true;
  }
  std::int64_t whole = 0;
  if (!get(whole)) return false;
  out = static_cast<double>(whole);
  return true;
}

bool Value::has_text(std::string_view key) const { return is_string() && body_of(at_) == key; }

bool Value::get_long_string(std::string_view& out) const {
  if (!is_string()) return false;
  out = body_of(at_);
  return true;
}

bool Value::get_binary(std::string_view& out) const {
  const unsigned char first = first_of(at_);
  if (first < 0xc4 || first > 0xc6) return false;
  out = body_of(at_);
  return true;
}

std::size_t Value::size_of_any() const {
  const std::uint64_t values = shape_of(at_, tag_of(at_)).values;
  return is_map() ? values / 2 : values;
}

Value::Items Value::items() const { return {inside(), is_array() ? size() : 0}; }
Value::Entries Value::entries() const { return {inside(), is_map() ? size() : 0}; }

const char* Value::inside_any() const { return at_ + shape_of(at_, tag_of(at_)).bytes; }

const char* Value::after_any() const {
  const char* at = at_;
  std::uint64_t values = 1;
  do {
    const Tag tag = tag_of(at);
    if (tag.width == 0) {
      at += tag.bytes;
      values += tag.values;
    } else {
      const Shape shape = shape_of(at, tag);
      at += shape.bytes;
      values += shape.values;
    }
  } while (--values > 0);
  return at;
}

Value Value::find(std::string_view key) const {
  if (at_ == nullptr) return {};
  for (const auto& [name, value] : entries()) {
    if (name.has_text(key)) return value;
  }
  return {};
}

// The bit, of 64, that stands for a key.
std::uint64_t bit_of(std::string_view key) {
  if (key.empty()) return 1;
  const auto ends =
      static_cast<unsigned char>(key.front()) * 5u + static_cast<unsigned char>(key.back());
  return std::uint64_t{1} << ((key.size() * 7 + ends) % 64);
}

MapReader::MapReader(Value map)
    : count_(map.size()), noted_(std::min(count_, kNotes)), turn_(noted_), rest_(map.inside()) {
  for (std::size_t i = 0; i < noted_; ++i) {
    const Value key(rest_);
    notes_[i] = {key, Value(key.after())};
    present_ |= key.is_string() ? bit_of(body_of(rest_)) : 0;
    rest_ = notes_[i].value.after();
  }
  if (noted_ < count_) present_ = ~std::uint64_t{0};
  end_ = rest_;
  for (std::size_t i = noted_; i < count_; ++i) end_ = Value(Value(end_).after()).after();
}

Value MapReader::find(std::string_view key) {
  if ((present_ & bit_of(key)) == 0) return {};
  for (std::size_t i = 0; i < noted_; ++i) {
    // The one that is asked for next mostly comes next.
    if (++turn_ >= noted_) turn_ = 0;
    if (notes_[turn_].key.has_text(key)) return notes_[turn_].value;
  }
  // A map of so many entries is none of ours.
  const char* at = rest_;
  for (std::size_t i = noted_; i < count_; ++i) {
    const Value value(Value(at).after());
    if (Value(at).has_text(key)) return value;
    at = value.after();
  }
  return {};
}

Result<Document> Document::parse(std::string_view bytes, const Limits& limits) {
  if (bytes.size() > limits.bytes) {
    return fail("wire", "malformed",
                fmt::format("a message of {} bytes is over the limit", bytes.size()));
  }
  const auto rest = walk(bytes, limits);
  if (!rest)
    return fail("wire", "malformed", "not a MessagePack value, or too large or nested too deeply");
  if (!rest->empty()) return fail("wire", "malformed", "bytes follow the MessagePack value");
  return Document(bytes.data());
}

tl::unexpected<Error> detail::wrong_field(std::string_view type, const std::string& field) {
  if (field.empty())
    return fail("wire", "wrong-field", fmt::format("the {} has another shape than its type", type));
  return fail("wire", "wrong-field",
              fmt::format("the {}'s field '{}' is missing or of the wrong type", type, field));
}

std::optional<std::string_view> skip_value(std::string_view bytes, std::size_t depth) {
  const Shape shape = shape_of(bytes);
  if (shape.bytes == 0 || shape.bytes > bytes.size()) return std::nullopt;
  if (shape.values == 0) return bytes.substr(shape.bytes);
  Limits limits;
  limits.depth = depth;
  limits.items = limits.string = limits.values = SIZE_MAX;
  return walk(bytes, limits);
}

MapWalk::MapWalk(std::string_view packed, std::size_t depth) : rest_(packed), depth_(depth) {
  if (packed.empty() || !is_map(packed.front())) return;
  const Shape map = shape_of(packed);
  if (map.bytes == 0) return;
  rest_.remove_prefix(map.bytes);
  left_ = map.values / 2;
  // Each entry takes two bytes at least, so a claim beyond that is false.
  good_ = map.values <= rest_.size();
}

bool MapWalk::next(std::string_view& key, std::string_view& value) {
  if (!good_ || left_ == 0) return false;
  good_ = false;
  if (rest_.empty() || !is_string_at(rest_.data())) return false;
  const Shape name = shape_of(rest_);
  if (name.bytes == 0 || name.bytes > rest_.size()) return false;
  key = body_of(rest_.data());
  rest_.remove_prefix(name.bytes);
  const auto after = skip_value(rest_, depth_);
  if (!after) return false;
  value = rest_.substr(0, rest_.size() - after->size());
  rest_ = *after;
  --left_;
  good_ = true;
  return true;
}

std::optional<MapEntries> map_entries(std::string_view packed, std::size_t depth) {
  MapEntries entries;
  MapWalk walk(packed, depth);
  for (std::string_view key, value; walk.next(key, value);) entries.emplace_back(key, value);
  if (!walk.whole()) return std::nullopt;
  return entries;
}

std::string_view map_body(std::string_view packed) { return packed.substr(shape_of(packed).bytes); }

std::string join_maps(const std::vector<std::string_view>& packed_maps) {
  const auto shape_of_map = [](std::string_view packed) {
    if (packed.empty() || !is_map(packed.front())) return Shape{};
    // Nearly all maps have 15 entries at most.
    const auto first = first_of(packed.data());
    return first <= 0x8f ? Shape{1, 2 * (first & 15u)} : shape_of(packed);
  };
  std::uint64_t entries = 0;
  std::size_t total = 5;
  for (const std::string_view packed : packed_maps) {
    entries += shape_of_map(packed).values / 2;
    total += packed.size();
  }
  std::string out;
  out.reserve(total);
  Writer writer(out);
  writer.map(entries);
  for (const std::string_view packed : packed_maps) {
    if (const Shape shape = shape_of_map(packed); shape.bytes > 0)
      out.append(packed.substr(shape.bytes));
  }
  return out;
}

}  // namespace sluice::wire
