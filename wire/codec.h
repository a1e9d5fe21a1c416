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
// are ignored. A type with as_row(const T*) that gives true, of which there may be a
// hundred thousand in a message, is an array of its values in their order instead. Supported: bool, integers, double, std::string, Blob, Packed,
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
  // In all: what becomes of a value takes more memory than its bytes, of which there may be just one.
  std::size_t values = 8u << 20;
};

namespace detail {
class Decoder;
}

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

// A value, read where it lies: a view into bytes that a Document has checked, valid as long as they are.
class Value {
 public:
  class Items;
  class Entries;

  Value() = default;
  bool valid() const { return at_ != nullptr; }

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
  Items items() const;       // of an array, in order; none of others
  Entries entries() const;   // of a map, as pairs of key and value
  // A map's; keys that aren't strings are skipped. Of a key that is there twice, the first.
  Value find(std::string_view key) const;

  // Its bytes, as they are.
  std::string_view packed() const { return {at_, static_cast<std::size_t>(after() - at_)}; }

 private:
  friend class Document;
  friend class MapReader;
  friend class detail::Decoder;
  explicit Value(const char* at) : at_(at) {}
  const char* after() const;   // behind it
  const char* inside() const;  // behind its own bytes, where what it holds begins

  const char* at_ = nullptr;
};

class Value::Items {
 public:
  class Iterator {
   public:
    Iterator(const char* at, std::size_t left) : at_(at), left_(left) {}
    Value operator*() const { return Value(at_); }
    Iterator& operator++() {
      at_ = Value(at_).after();
      --left_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return left_ != other.left_; }

   private:
    const char* at_;
    std::size_t left_;
  };
  Items(const char* first, std::size_t count) : first_(first), count_(count) {}
  Iterator begin() const { return {first_, count_}; }
  Iterator end() const { return {nullptr, 0}; }

 private:
  const char* first_;
  std::size_t count_;
};

class Value::Entries {
 public:
  class Iterator {
   public:
    Iterator(const char* at, std::size_t left) : at_(at), left_(left) {}
    std::pair<Value, Value> operator*() const { return {Value(at_), Value(Value(at_).after())}; }
    Iterator& operator++() {
      at_ = Value(Value(at_).after()).after();
      --left_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return left_ != other.left_; }

   private:
    const char* at_;
    std::size_t left_;
  };
  Entries(const char* first, std::size_t count) : first_(first), count_(count) {}
  Iterator begin() const { return {first_, count_}; }
  Iterator end() const { return {nullptr, 0}; }

 private:
  const char* first_;
  std::size_t count_;
};

// One MessagePack value, checked whole: all that is in it lies within `bytes` and within the
// limits. Copies nothing: `bytes` must outlive it.
class Document {
 public:
  static Result<Document> parse(std::string_view bytes, const Limits& limits = {});
  Value root() const { return Value(at_); }

 private:
  explicit Document(const char* at) : at_(at) {}
  const char* at_;
};

// Finds the values of a map by their keys. They are mostly asked for in the order in which they
// were written: then nothing is gone over twice.
class MapReader {
 public:
  MapReader() = default;
  explicit MapReader(Value map) : at_(map.inside()), count_(map.size()), first_(at_) {}

  // Not valid when there is none. Of a key that is there twice, either is taken.
  Value find(std::string_view key);
  // What find() gave last ends here; whoever has read it knows.
  void passed(const char* end) {
    if (noted_) return;
    at_ = end;
    ++turn_;
  }
  // Behind the last entry.
  const char* end();

 private:
  static constexpr std::size_t kNotes = 32;
  void note();

  const char* at_ = nullptr;  // the key of the entry in turn
  std::size_t count_ = 0;
  const char* first_ = nullptr;
  std::size_t turn_ = 0;  // entries behind; once noted_: the place of the note that was used last
  // Since a key wasn't the one in turn: where the first entries have their keys and values, and the others begin.
  bool noted_ = false;
  struct Note {
    const char* key;
    const char* value;
  };
  Note notes_[kNotes];
  std::uint64_t present_ = 0;  // a bit for each key there is, of which keys have some in common
  const char* rest_ = nullptr;
};

namespace detail {

struct CountFields {
  std::size_t count = 0;
  template <typename T>
  void operator()(std::string_view, T&) { ++count; }
  template <typename T>
  void optional(std::string_view, T&) { ++count; }
};

constexpr bool as_row(const void*) { return false; }

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
    if constexpr (as_row(static_cast<const T*>(nullptr))) {
      writer_.array(counter.count);
      Row row{*this};
      fields(row, value);
    } else {
      writer_.map(counter.count);
      fields(*this, value);
    }
  }

 private:
  struct Row {
    Encoder& encoder;
    template <typename T>
    void operator()(std::string_view, T& value) { encoder.write(value); }
    template <typename T>
    void optional(std::string_view, T& value) { encoder.write(value); }
  };

  Writer writer_;
};

class Decoder {
 public:
  Decoder() = default;
  explicit Decoder(Value map) : map_(map) {}
  // Empty while all is well, else the path of the field that is wrong.
  const std::string& wrong() const { return wrong_; }

  template <typename T>
  void operator()(std::string_view name, T& out) { field(name, out, true); }
  template <typename T>
  void optional(std::string_view name, T& out) { field(name, out, false); }

  // Each gives where the value ends; nullptr when it is of another shape.
  const char* read(Value value, bool& out) { return value.get(out) ? value.after() : nullptr; }
  template <Integer T>
  const char* read(Value value, T& out) {
    if constexpr (std::is_signed_v<T>) {
      std::int64_t wide = 0;
      if (!value.get(wide) || wide < std::numeric_limits<T>::min() || wide > std::numeric_limits<T>::max()) return nullptr;
      out = static_cast<T>(wide);
    } else {
      std::uint64_t wide = 0;
      if (!value.get(wide) || wide > std::numeric_limits<T>::max()) return nullptr;
      out = static_cast<T>(wide);
    }
    return value.after();
  }
  const char* read(Value value, double& out) { return value.get(out) ? value.after() : nullptr; }
  const char* read(Value value, std::string& out) {
    std::string_view text;
    if (!value.get_string(text)) return nullptr;
    out = text;
    return text.data() + text.size();
  }
  const char* read(Value value, Blob& out) {
    std::string_view bytes;
    if (!value.get_binary(bytes)) return nullptr;
    out.bytes = bytes;
    return bytes.data() + bytes.size();
  }
  const char* read(Value value, Packed& out) {
    const std::string_view bytes = value.packed();
    out.bytes = value.is_nil() ? std::string_view() : bytes;
    return bytes.data() + bytes.size();
  }
  template <typename T>
  const char* read(Value value, std::vector<T>& out) {
    return read_list(value, out, [this](Value item, std::vector<T>& list) { return read(item, list.emplace_back()); });
  }
  // Each half made by itself: clang 14 finds no default constructor for the pairs
  // of a type that contains a vector of them.
  template <typename A, typename B>
  const char* read(Value value, std::vector<std::pair<A, B>>& out) {
    return read_list(value, out, [this](Value item, std::vector<std::pair<A, B>>& list) -> const char* {
      A first{};
      B second{};
      const char* end = read_pair(item, first, second);
      if (end != nullptr) list.emplace_back(std::move(first), std::move(second));
      return end;
    });
  }
  template <typename T>
  const char* read(Value value, std::optional<T>& out) {
    out.reset();
    return value.is_nil() ? value.after() : read(value, out.emplace());
  }
  template <typename A, typename B>
  const char* read(Value value, std::pair<A, B>& out) { return read_pair(value, out.first, out.second); }
  template <typename T>
    requires std::is_enum_v<T>
  const char* read(Value value, T& out) {
    std::uint64_t number = 0;
    if (!value.get(number) || number > 255) return nullptr;
    out = static_cast<T>(number);
    return value.after();
  }
  template <typename T>
    requires(std::is_class_v<T>)
  const char* read(Value value, T& out) {
    if constexpr (as_row(static_cast<const T*>(nullptr))) {
      CountFields counter;
      fields(counter, out);
      if (!value.is_array() || value.size() != counter.count) return nullptr;
      Row row{*this, value.inside()};
      fields(row, out);
      return row.at;
    } else {
      if (!value.is_map()) return nullptr;
      Decoder inner(value);
      fields(inner, out);
      wrong_ = std::move(inner.wrong_);
      return wrong_.empty() ? inner.map_.end() : nullptr;
    }
  }

 private:
  // Room is made for as many as claimed, but not for more than what a message may well hold: an
  // item may be a byte here and much more in memory.
  static constexpr std::size_t kReserved = 4096;

  struct Row {
    Decoder& decoder;
    const char* at;  // the next value; nullptr when one was wrong
    template <typename T>
    void operator()(std::string_view name, T& out) {
      if (at == nullptr) return;
      at = decoder.read(Value(at), out);
      if (at == nullptr) decoder.add_wrong(name);
    }
    template <typename T>
    void optional(std::string_view name, T& out) { (*this)(name, out); }
  };

  void add_wrong(std::string_view name) { wrong_ = wrong_.empty() ? std::string(name) : std::string(name) + "." + wrong_; }

  template <typename T>
  void field(std::string_view name, T& out, bool required) {
    if (!wrong_.empty()) return;
    const Value found = map_.find(name);
    const char* end = nullptr;
    if (found.valid()) {
      end = read(found, out);
    } else if (!required) {
      return;
    }
    if (end == nullptr) {
      add_wrong(name);
    } else {
      map_.passed(end);
    }
  }

  template <typename List, typename ReadOne>
  const char* read_list(Value value, List& out, const ReadOne& read_one) {
    if (!value.is_array()) return nullptr;
    out.clear();
    const std::size_t count = value.size();
    out.reserve(count < kReserved ? count : kReserved);
    const char* at = value.inside();
    for (std::size_t i = 0; i < count && at != nullptr; ++i) at = read_one(Value(at), out);
    return at;
  }

  template <typename A, typename B>
  const char* read_pair(Value value, A& first, B& second) {
    if (!value.is_array() || value.size() != 2) return nullptr;
    const char* middle = read(Value(value.inside()), first);
    return middle == nullptr ? nullptr : read(Value(middle), second);
  }

  MapReader map_;
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
  detail::Decoder decoder;
  if (decoder.read(document->root(), out) == nullptr) return detail::wrong_field("message", decoder.wrong());
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
