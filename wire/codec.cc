#include "wire/codec.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <msgpack.hpp>

namespace sluice::wire {

namespace {

struct Sink {
  std::string& out;
  void write(const char* bytes, std::size_t count) { out.append(bytes, count); }
};

const msgpack::object& object_of(const void* pointer) { return *static_cast<const msgpack::object*>(pointer); }

bool keep_reference(msgpack::type::object_type, std::size_t, void*) { return true; }

std::uint64_t big_endian(std::string_view bytes, std::size_t offset, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

// The shape of a value from its first bytes: how many bytes it takes itself
// (its string or number included) and how many values follow inside it.
struct Shape {
  std::uint64_t bytes = 0;  // 0: malformed
  std::uint64_t values = 0;
};

Shape shape_of(std::string_view in) {
  if (in.empty()) return {};
  const auto tag = static_cast<unsigned char>(in[0]);
  const auto sized = [&](std::size_t width, std::uint64_t extra) -> Shape {
    if (in.size() < 1 + width) return {};
    return {1 + width + extra + big_endian(in, 1, width), 0};
  };
  const auto counted = [&](std::size_t width, std::uint64_t per_entry) -> Shape {
    if (in.size() < 1 + width) return {};
    return {1 + width, big_endian(in, 1, width) * per_entry};
  };
  if (tag <= 0x7f || tag >= 0xe0) return {1, 0};
  if (tag <= 0x8f) return {1, 2u * (tag & 15u)};
  if (tag <= 0x9f) return {1, tag & 15u};
  if (tag <= 0xbf) return {1u + (tag & 31u), 0};
  switch (tag) {
    case 0xc0: case 0xc2: case 0xc3: return {1, 0};
    case 0xc4: case 0xd9: return sized(1, 0);
    case 0xc5: case 0xda: return sized(2, 0);
    case 0xc6: case 0xdb: return sized(4, 0);
    case 0xc7: return sized(1, 1);
    case 0xc8: return sized(2, 1);
    case 0xc9: return sized(4, 1);
    case 0xcc: case 0xd0: return {2, 0};
    case 0xcd: case 0xd1: return {3, 0};
    case 0xca: case 0xce: case 0xd2: return {5, 0};
    case 0xcb: case 0xcf: case 0xd3: return {9, 0};
    case 0xd4: return {3, 0};
    case 0xd5: return {4, 0};
    case 0xd6: return {6, 0};
    case 0xd7: return {10, 0};
    case 0xd8: return {18, 0};
    case 0xdc: return counted(2, 1);
    case 0xdd: return counted(4, 1);
    case 0xde: return counted(2, 2);
    case 0xdf: return counted(4, 2);
    default: return {};
  }
}

// Walks over one value and allocates nothing. nullopt when it is malformed, too
// deep, or holds more values than `budget`.
std::optional<std::string_view> walk(std::string_view bytes, std::size_t depth, std::uint64_t budget) {
  // Values still to come on each level; a fixed array, since depth is bounded.
  std::uint64_t pending[128];
  if (depth > 127) depth = 127;
  std::size_t level = 0;
  pending[0] = 1;
  for (;;) {
    while (pending[level] == 0) {
      if (level == 0) return bytes;
      --level;
    }
    --pending[level];
    const Shape shape = shape_of(bytes);
    if (shape.bytes == 0 || shape.bytes > bytes.size()) return std::nullopt;
    bytes.remove_prefix(shape.bytes);
    // Each takes a byte at least: a claim beyond that is false.
    if (shape.values > bytes.size() || shape.values > budget) return std::nullopt;
    budget -= shape.values;
    if (shape.values > 0) {
      if (++level > depth) return std::nullopt;
      pending[level] = shape.values;
    }
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

bool Value::is_nil() const { return object_of(object_).type == msgpack::type::NIL; }
bool Value::is_map() const { return object_of(object_).type == msgpack::type::MAP; }
bool Value::is_array() const { return object_of(object_).type == msgpack::type::ARRAY; }
bool Value::is_string() const { return object_of(object_).type == msgpack::type::STR; }

bool Value::get(bool& out) const {
  const auto& object = object_of(object_);
  if (object.type != msgpack::type::BOOLEAN) return false;
  out = object.via.boolean;
  return true;
}

bool Value::get(std::uint64_t& out) const {
  const auto& object = object_of(object_);
  if (object.type != msgpack::type::POSITIVE_INTEGER) return false;
  out = object.via.u64;
  return true;
}

bool Value::get(std::int64_t& out) const {
  const auto& object = object_of(object_);
  if (object.type == msgpack::type::NEGATIVE_INTEGER) {
    out = object.via.i64;
    return true;
  }
  if (object.type != msgpack::type::POSITIVE_INTEGER || object.via.u64 > INT64_MAX) return false;
  out = static_cast<std::int64_t>(object.via.u64);
  return true;
}

bool Value::get(double& out) const {
  const auto& object = object_of(object_);
  if (object.type == msgpack::type::FLOAT32 || object.type == msgpack::type::FLOAT64) {
    out = object.via.f64;
    return true;
  }
  std::int64_t whole = 0;
  if (!get(whole)) return false;
  out = static_cast<double>(whole);
  return true;
}

bool Value::get_string(std::string_view& out) const {
  const auto& object = object_of(object_);
  if (object.type != msgpack::type::STR) return false;
  out = {object.via.str.ptr, object.via.str.size};
  return true;
}

bool Value::get_binary(std::string_view& out) const {
  const auto& object = object_of(object_);
  if (object.type != msgpack::type::BIN) return false;
  out = {object.via.bin.ptr, object.via.bin.size};
  return true;
}

std::size_t Value::size() const {
  const auto& object = object_of(object_);
  if (object.type == msgpack::type::ARRAY) return object.via.array.size;
  if (object.type == msgpack::type::MAP) return object.via.map.size;
  return 0;
}

Value Value::at(std::size_t index) const { return Value(&object_of(object_).via.array.ptr[index]); }
Value Value::key_at(std::size_t index) const { return Value(&object_of(object_).via.map.ptr[index].key); }
Value Value::value_at(std::size_t index) const { return Value(&object_of(object_).via.map.ptr[index].val); }

Value Value::find(std::string_view key) const {
  std::size_t first = 0;
  return find(key, first);
}

Value Value::find(std::string_view key, std::size_t& next) const {
  if (object_ == nullptr || !is_map()) return {};
  const auto& map = object_of(object_).via.map;
  const auto look = [&](std::size_t from, std::size_t to) -> Value {
    for (std::size_t i = from; i < to; ++i) {
      const auto& name = map.ptr[i].key;
      if (name.type != msgpack::type::STR || name.via.str.size != key.size()) continue;
      if (std::memcmp(name.via.str.ptr, key.data(), key.size()) != 0) continue;
      next = i + 1;
      return Value(&map.ptr[i].val);
    }
    return {};
  };
  const std::size_t start = std::min<std::size_t>(next, map.size);
  const Value found = look(start, map.size);
  return found.valid() ? found : look(0, start);
}

void Value::repack(Writer& writer) const {
  std::string bytes;
  Sink sink{bytes};
  msgpack::packer<Sink>(sink).pack(object_of(object_));
  writer.raw(bytes);
}

struct Document::Parsed {
  msgpack::zone zone;
  msgpack::object object;
};

Result<Document> Document::parse(std::string_view bytes, const Limits& limits) {
  if (bytes.size() > limits.bytes) {
    return fail("wire", "malformed", fmt::format("a message of {} bytes is over the limit", bytes.size()));
  }
  // Checked first by a walk that allocates nothing: msgpack-cxx reserves room for
  // as many entries as an array claims to have before it has seen one of them.
  const auto rest = walk(bytes, limits.depth, limits.values);
  if (!rest) return fail("wire", "malformed", "not a MessagePack value, or too large or nested too deeply");
  if (!rest->empty()) return fail("wire", "malformed", "bytes follow the MessagePack value");
  auto* parsed = new Parsed;
  Document document(parsed);
  try {
    bool referenced = false;
    std::size_t offset = 0;
    parsed->object = msgpack::unpack(
        parsed->zone, bytes.data(), bytes.size(), offset, referenced, keep_reference, nullptr,
        msgpack::unpack_limit(limits.items, limits.items, limits.string, limits.string, limits.string, limits.depth + 1));
  } catch (const std::exception& error) {
    return fail("wire", "malformed", fmt::format("not MessagePack that Sluice takes: {}", error.what()));
  }
  return document;
}

Document::Document(Document&& other) noexcept : parsed_(std::exchange(other.parsed_, nullptr)) {}

Document& Document::operator=(Document&& other) noexcept {
  std::swap(parsed_, other.parsed_);
  return *this;
}

Document::~Document() { delete parsed_; }

Value Document::root() const { return Value(&parsed_->object); }

tl::unexpected<Error> detail::wrong_field(std::string_view type, const std::string& field) {
  if (field.empty()) return fail("wire", "wrong-field", fmt::format("the {} has another shape than its type", type));
  return fail("wire", "wrong-field", fmt::format("the {}'s field '{}' is missing or of the wrong type", type, field));
}

std::optional<std::string_view> skip_value(std::string_view bytes, std::size_t depth) {
  return walk(bytes, depth, UINT64_MAX);
}

std::optional<MapEntries> map_entries(std::string_view packed, std::size_t depth) {
  if (packed.empty()) return std::nullopt;
  const auto tag = static_cast<unsigned char>(packed[0]);
  if ((tag & 0xf0) != 0x80 && tag != 0xde && tag != 0xdf) return std::nullopt;
  const Shape map = shape_of(packed);
  if (map.bytes == 0) return std::nullopt;
  std::string_view rest = packed.substr(map.bytes);
  // Each entry takes two bytes at least: a claim beyond that is false.
  if (map.values > rest.size()) return std::nullopt;
  MapEntries entries;
  entries.reserve(map.values / 2);
  for (std::uint64_t i = 0; i < map.values / 2; ++i) {
    if (rest.empty()) return std::nullopt;
    const auto key_tag = static_cast<unsigned char>(rest[0]);
    const std::size_t header = (key_tag & 0xe0) == 0xa0 ? 1 : key_tag == 0xd9 ? 2 : key_tag == 0xda ? 3 : key_tag == 0xdb ? 5 : 0;
    if (header == 0) return std::nullopt;
    const auto after_key = skip_value(rest, depth);
    if (!after_key) return std::nullopt;
    const auto after_value = skip_value(*after_key, depth);
    if (!after_value) return std::nullopt;
    entries.emplace_back(rest.substr(header, rest.size() - after_key->size() - header),
                         after_key->substr(0, after_key->size() - after_value->size()));
    rest = *after_value;
  }
  if (!rest.empty()) return std::nullopt;
  return entries;
}

std::string join_maps(const std::vector<std::string_view>& packed_maps) {
  std::uint64_t entries = 0;
  std::vector<std::string_view> bodies;
  std::size_t total = 5;
  for (const std::string_view packed : packed_maps) {
    if (packed.empty()) continue;
    const auto tag = static_cast<unsigned char>(packed[0]);
    if ((tag & 0xf0) != 0x80 && tag != 0xde && tag != 0xdf) continue;
    const Shape shape = shape_of(packed);
    if (shape.bytes == 0) continue;
    entries += shape.values / 2;
    bodies.push_back(packed.substr(shape.bytes));
    total += packed.size();
  }
  std::string out;
  out.reserve(total);
  Writer writer(out);
  writer.map(entries);
  for (const auto body : bodies) out.append(body);
  return out;
}

}  // namespace sluice::wire
