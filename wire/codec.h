// The one mapping between structs and MessagePack.
//
// A message type declares its fields once, in a function template found by
// argument-dependent lookup:
//
//   template <typename Coder> void fields(Coder& code, Hello& m) {
//     code("protocol", m.protocol);
//     code.optional("build", m.build);
//   }
//
// and encode() and decode() both run it. A struct is a map with string keys. A
// field that is missing, or of the wrong type, makes decode() fail; one declared
// optional keeps its default when missing, and is always written. Unknown keys
// are ignored. Supported: bool, integers, double, std::string, Blob, Packed,
// vectors and optionals of those, and nested structs.
//
// Everything here is for bytes from outside: decoding has limits, never throws,
// and never reads beyond its input. Thread-safe (no state).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::wire {

// Raw bytes, MessagePack's bin type.
struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

// A value that is packed already: spliced in when encoding, kept packed (as the
// exact bytes) when decoding. This is how context sections that did not change
// cost nothing, and how a process passes on what it doesn't understand. Empty
// is written as nil.
struct Packed {
  std::string bytes;
  bool operator==(const Packed&) const = default;
};

// What decode() accepts at most. The defaults are those of every link.
struct Limits {
  std::size_t bytes = 64u << 20;
  std::size_t depth = 64;
  std::size_t items = 4u << 20;   // entries of one array or map
  std::size_t string = 64u << 20; // bytes of one string or bin
  // In all: a parsed value takes some 24 bytes where a byte of input may do for it.
  std::size_t values = 8u << 20;
};

// Writes MessagePack to the end of a string.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void nil();
  void boolean(bool value);
  void unsigned_integer(std::uint64_t value);
  void integer(std::int64_t value);
  void real(double value);
  void string(std::string_view value);
  void binary(std::string_view value);
  void array(std::size_t count);
  void map(std::size_t count);
  void raw(std::string_view packed) { out_.append(packed); }

 private:
  std::string& out_;
};

// A parsed value; a view into a Document, valid as long as it.
class Value {
 public:
  Value() = default;
  explicit Value(const void* object) : object_(object) {}
  bool valid() const { return object_ != nullptr; }

  bool is_nil() const;
  bool is_map() const;
  bool is_array() const;
  bool is_string() const;
  // False when of another type or out of range; `out` is unchanged then.
  bool get(bool& out) const;
  bool get(std::uint64_t& out) const;
  bool get(std::int64_t& out) const;
  bool get(double& out) const;  // integers too
  bool get_string(std::string_view& out) const;
  bool get_binary(std::string_view& out) const;

  std::size_t size() const;  // entries of an array or a map; 0 for others
  Value at(std::size_t index) const;  // an array's
  // A map's; keys that aren't strings are skipped by find().
  Value find(std::string_view key) const;
  // The same, looking at entry `next` first: fields are mostly read in the order in which they were written.
  // `next` is then the one after what was found. Of a key that is there twice, either is taken.
  Value find(std::string_view key, std::size_t& next) const;
  Value key_at(std::size_t index) const;
  Value value_at(std::size_t index) const;

  // Packs the value again.
  void repack(Writer& writer) const;

 private:
  const void* object_ = nullptr;
};

// One MessagePack value, parsed whole. Copies nothing: `bytes` must outlive it.
class Document {
 public:
  static Result<Document> parse(std::string_view bytes, const Limits& limits = {});
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();
  Value root() const;

 private:
  struct Parsed;
  explicit Document(Parsed* parsed) : parsed_(parsed) {}
  Parsed* parsed_;
};

namespace detail {

struct CountFields {
  std::size_t count = 0;
  template <typename T>
  void operator()(std::string_view, T&) { ++count; }
  template <typename T>
  void optional(std::string_view, T&) { ++count; }
};

template <typename T>
concept Integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

class Encoder {
 public:
  explicit Encoder(std::string& out) : writer_(out) {}

  template <typename T>
  void operator()(std::string_view name, T& value) {
    writer_.string(name);
    write(value);
  }
  template <typename T>
  void optional(std::string_view name, T& value) { (*this)(name, value); }

  void write(bool& value) { writer_.boolean(value); }
  template <Integer T>
  void write(T& value) {
    if constexpr (std::is_signed_v<T>) {
      writer_.integer(value);
    } else {
      writer_.unsigned_integer(value);
    }
  }
  void write(double& value) { writer_.real(value); }
  void write(std::string& value) { writer_.string(value); }
  void write(Blob& value) { writer_.binary(value.bytes); }
  void write(Packed& value) {
    if (value.bytes.empty()) {
      writer_.nil();
    } else {
      writer_.raw(value.bytes);
    }
  }
  template <typename T>
  void write(std::vector<T>& values) {
    writer_.array(values.size());
    for (auto& value : values) write(value);
  }
  template <typename T>
  void write(std::optional<T>& value) {
    if (value) {
      write(*value);
    } else {
      writer_.nil();
    }
  }
  template <typename A, typename B>
  void write(std::pair<A, B>& pair) {
    writer_.array(2);
    write(pair.first);
    write(pair.second);
  }
  template <typename T>
    requires std::is_enum_v<T>
  void write(T& value) { writer_.unsigned_integer(static_cast<std::uint64_t>(value)); }
  template <typename T>
    requires(std::is_class_v<T>)
  void write(T& value) {
    CountFields counter;
    fields(counter, value);
    writer_.map(counter.count);
    fields(*this, value);
  }

 private:
  Writer writer_;
};

class Decoder {
 public:
  explicit Decoder(Value value) : value_(value) {}
  // Empty while all is well, else the path of the field that is wrong.
  const std::string& wrong() const { return wrong_; }

  template <typename T>
  void operator()(std::string_view name, T& out) {
    if (!wrong_.empty()) return;
    const Value field = value_.find(name, next_);
    if (!field.valid() || !read(field, out)) {
      wrong_ = wrong_.empty() ? std::string(name) : std::string(name) + "." + wrong_;
    }
  }
  template <typename T>
  void optional(std::string_view name, T& out) {
    if (!wrong_.empty()) return;
    const Value field = value_.find(name, next_);
    if (field.valid() && !read(field, out)) {
      wrong_ = wrong_.empty() ? std::string(name) : std::string(name) + "." + wrong_;
    }
  }

  bool read(Value value, bool& out) { return value.get(out); }
  template <Integer T>
  bool read(Value value, T& out) {
    if constexpr (std::is_signed_v<T>) {
      std::int64_t wide = 0;
      if (!value.get(wide) || wide < std::numeric_limits<T>::min() || wide > std::numeric_limits<T>::max()) return false;
      out = static_cast<T>(wide);
    } else {
      std::uint64_t wide = 0;
      if (!value.get(wide) || wide > std::numeric_limits<T>::max()) return false;
      out = static_cast<T>(wide);
    }
    return true;
  }
  bool read(Value value, double& out) { return value.get(out); }
  bool read(Value value, std::string& out) {
    std::string_view text;
    if (!value.get_string(text)) return false;
    out = text;
    return true;
  }
  bool read(Value value, Blob& out) {
    std::string_view bytes;
    if (!value.get_binary(bytes)) return false;
    out.bytes = bytes;
    return true;
  }
  bool read(Value value, Packed& out) {
    out.bytes.clear();
    if (value.is_nil()) return true;
    Writer writer(out.bytes);
    value.repack(writer);
    return true;
  }
  template <typename T>
  bool read(Value value, std::vector<T>& out) {
    if (!value.is_array()) return false;
    out.clear();
    out.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!read(value.at(i), out.emplace_back())) return false;
    }
    return true;
  }
  // Each half made by itself: clang 14 finds no default constructor for the pairs
  // of a type that contains a vector of them.
  template <typename A, typename B>
  bool read(Value value, std::vector<std::pair<A, B>>& out) {
    if (!value.is_array()) return false;
    out.clear();
    out.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      const Value entry = value.at(i);
      A first{};
      B second{};
      if (!entry.is_array() || entry.size() != 2 || !read(entry.at(0), first) || !read(entry.at(1), second)) return false;
      out.emplace_back(std::move(first), std::move(second));
    }
    return true;
  }
  template <typename T>
  bool read(Value value, std::optional<T>& out) {
    out.reset();
    return value.is_nil() || read(value, out.emplace());
  }
  template <typename A, typename B>
  bool read(Value value, std::pair<A, B>& out) {
    return value.is_array() && value.size() == 2 && read(value.at(0), out.first) && read(value.at(1), out.second);
  }
  template <typename T>
    requires std::is_enum_v<T>
  bool read(Value value, T& out) {
    std::uint64_t number = 0;
    if (!value.get(number) || number > 255) return false;
    out = static_cast<T>(number);
    return true;
  }
  template <typename T>
    requires(std::is_class_v<T>)
  bool read(Value value, T& out) {
    if (!value.is_map()) return false;
    Decoder inner(value);
    fields(inner, out);
    wrong_ = inner.wrong();
    return wrong_.empty();
  }

 private:
  Value value_;
  std::size_t next_ = 0;
  std::string wrong_;
};

tl::unexpected<Error> wrong_field(std::string_view type, const std::string& field);

}  // namespace detail

template <typename T>
std::string encode(const T& message) {
  std::string out;
  detail::Encoder encoder(out);
  // fields() is written once for both directions, hence takes a mutable reference.
  encoder.write(const_cast<T&>(message));
  return out;
}

// Error: domain "wire", reason "malformed" (not MessagePack, or over a limit) or
// "wrong-field" (the message names it).
template <typename T>
Result<T> decode(std::string_view bytes, const Limits& limits = {}) {
  auto document = Document::parse(bytes, limits);
  if (!document) return forward(document);
  T out{};
  detail::Decoder decoder(Value{});
  if (!decoder.read(document->root(), out)) return detail::wrong_field("message", decoder.wrong());
  return out;
}

// The map of several packed maps joined, in order: {a..} {b..} -> {a.. b..}.
// What isn't a map is skipped. Keys are not checked for doubles.
std::string join_maps(const std::vector<std::string_view>& packed_maps);

// The entries of a packed map whose keys are all strings, as views into it: each
// key's text and its value still packed. nullopt when `packed` is anything else.
using MapEntries = std::vector<std::pair<std::string_view, std::string_view>>;
std::optional<MapEntries> map_entries(std::string_view packed, std::size_t depth = 64);

// Skips one MessagePack value; the rest after it, or nullopt when malformed.
std::optional<std::string_view> skip_value(std::string_view bytes, std::size_t depth = 64);

}  // namespace sluice::wire
