// The one mapping between structs and MessagePack.
//
// A message type declares its fields once, in a function template found by argument-dependent
// lookup:
//
//   template <typename Coder> void fields(Coder& code, Hello& m) {
//     code("protocol", m.protocol);
//     code.optional("build", m.build);
//   }
//
// and encode() and decode() both run it. A struct is a map with string keys. A field that is
// missing, or of the wrong type, makes decode() fail; one declared optional keeps its default when
// missing, and is always written; one declared sparse isn't written when it is empty, either: for
// messages of which there are a hundred thousand a second. Unknown keys are ignored. A type with
// as_row(const T*) that gives true, of which there may be a hundred thousand in a message, is an
// array of its values in their order instead. Supported: bool, integers, double, std::string, Blob,
// Packed, views of the first two, enumerations (by their texts, where they have some), vectors and
// optionals of those, and nested structs.
//
// Everything here is for bytes from outside: decoding has limits, never throws, and never reads
// beyond its input. Thread-safe (no state).
#pragma once

#include <cstdint>
#include <cstring>
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

// As Blob; decoded it lies in the bytes that it was decoded from. So does a std::string_view.
struct BlobView {
  std::string_view bytes;
  bool operator==(const BlobView&) const = default;
};

// A value that is packed already: spliced in when encoding, kept packed (as the exact bytes) when
// decoding. This is how context sections that did not change cost nothing, and how a process passes
// on what it doesn't understand. Empty is written as nil.
struct Packed {
  std::string bytes;
  bool operator==(const Packed&) const = default;
};

// What decode() accepts at most. The defaults are those of every link.
struct Limits {
  std::size_t bytes = 64u << 20;
  std::size_t depth = 64;
  std::size_t items = 4u << 20;    // entries of one array or map
  std::size_t string = 64u << 20;  // bytes of one string or bin
  // How many values there may be in all: what becomes of a value takes more memory than its bytes,
  // of which there may be just one.
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

// A value, read where it lies: a view into bytes that a Document has checked, valid as long as they
// are.
class Value {
 public:
  template <std::size_t kValues>
  class Sequence;
  using Items = Sequence<1>;
  using Entries = Sequence<2>;

  Value() = default;
  bool valid() const { return at_ != nullptr; }

  bool is_nil() const { return first() == 0xc0; }
  bool is_map() const { return (first() & 0xf0) == 0x80 || (first() & 0xfe) == 0xde; }
  bool is_array() const { return (first() & 0xf0) == 0x90 || (first() & 0xfe) == 0xdc; }
  bool is_string() const {
    return (first() & 0xe0) == 0xa0 || (first() >= 0xd9 && first() <= 0xdb);
  }
  // Read the value into `out`. False when it is of another type or out of range; `out` is unchanged
  // then.
  bool get(bool& out) const;
  bool get(std::uint64_t& out) const { return get_small(out) || get_natural(out); }
  bool get(std::int64_t& out) const { return get_small(out) || get_whole(out); }
  bool get(double& out) const;  // integers too
  bool get_string(std::string_view& out) const {
    if ((first() & 0xe0) != 0xa0) return get_long_string(out);
    out = {at_ + 1, first() & 31u};
    return true;
  }
  bool get_binary(std::string_view& out) const;

  // Entries of an array or a map; 0 for others.
  std::size_t size() const { return is_short() ? first() & 15u : size_of_any(); }
  Items items() const;      // of an array, in order; none of others
  Entries entries() const;  // of a map, as pairs of key and value
  // The value under a map's key; keys that aren't strings are skipped, and of a key that is there
  // twice the first counts.
  Value find(std::string_view key) const;

  // The value's bytes, as they are.
  std::string_view packed() const { return {at_, static_cast<std::size_t>(after() - at_)}; }

 private:
  friend class Document;
  friend class MapReader;
  friend class detail::Decoder;
  explicit Value(const char* at) : at_(at) {}
  unsigned char first() const { return static_cast<unsigned char>(*at_); }
  [[gnu::always_inline]] bool is_key(std::string_view key) const {
    // Nearly all are short, and differ in their first byte already, which has the length.
    if (key.size() > 31) return has_text(key);
    return first() == (0xa0 | key.size()) && std::memcmp(at_ + 1, key.data(), key.size()) == 0;
  }
  bool has_text(std::string_view key) const;
  template <typename T>
  bool get_small(T& out) const {
    if (first() > 0x7f) return false;
    out = first();
    return true;
  }
  bool get_natural(std::uint64_t& out) const;
  bool get_whole(std::int64_t& out) const;
  bool get_long_string(std::string_view& out) const;
  // Behind it.
  const char* after() const {
    if (first() <= 0x7f || first() >= 0xe0) return at_ + 1;
    return (first() & 0xe0) == 0xa0 ? at_ + 1 + (first() & 31) : after_any();
  }
  const char* after_any() const;
  // Behind its own bytes, where what it holds begins.
  const char* inside() const { return is_short() ? at_ + 1 : inside_any(); }
  // a map or an array of 15 entries at most
  bool is_short() const { return (first() & 0xe0) == 0x80; }
  std::size_t size_of_any() const;
  const char* inside_any() const;

  const char* at_ = nullptr;
};

template <std::size_t kValues>
class Value::Sequence {
 public:
  class Iterator {
   public:
    Iterator(const char* at, std::size_t left) : at_(at), left_(left) {}
    auto operator*() const {
      if constexpr (kValues == 1) {
        return Value(at_);
      } else {
        return std::pair(Value(at_), Value(Value(at_).after()));
      }
    }
    Iterator& operator++() {
      for (std::size_t i = 0; i < kValues; ++i) at_ = Value(at_).after();
      --left_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return left_ != other.left_; }

   private:
    const char* at_;
    std::size_t left_;
  };
  Sequence(const char* first, std::size_t count) : first_(first), count_(count) {}
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

// Finds the values of a map by their keys, in whatever order they come.
class MapReader {
 public:
  explicit MapReader(Value map);

  // The value under `key`; not valid when there is none. Of a key that is there twice, either is
  // taken.
  Value find(std::string_view key);
  // Where the map ends: behind the last entry.
  const char* end() const { return end_; }

 private:
  static constexpr std::size_t kNotes = 32;

  std::size_t count_ = 0;
  std::size_t noted_ = 0;
  std::size_t turn_ = 0;  // the note that was used last
  // Where the first entries have their keys and values, and the others begin.
  struct Note {
    Value key;
    Value value;
  };
  Note notes_[kNotes];
  std::uint64_t present_ = 0;  // a bit for each key there is, of which keys have some in common
  const char* rest_ = nullptr;
  const char* end_ = nullptr;
};

namespace detail {

// Whether it is as it was made: nothing, "", 0.
template <typename T>
bool is_empty(const T& value) {
  if constexpr (requires { value.has_value(); }) {
    return !value.has_value();
  } else if constexpr (requires { value.data(); }) {
    return value.empty();
  } else {
    return value == T{};
  }
}

struct CountFields {
  std::size_t count = 0;
  template <typename T>
  void operator()(std::string_view, T&) {
    ++count;
  }
  template <typename T>
  void optional(std::string_view, T&) {
    ++count;
  }
  template <typename T>
  void sparse(std::string_view, T& value) {
    if (!is_empty(value)) ++count;
  }
};

constexpr bool as_row(const void*) { return false; }

// An enumeration that is written as text (model/actions.h).
template <typename T>
concept HasTexts = requires {
  texts_of(static_cast<const T*>(nullptr));
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
  void optional(std::string_view name, T& value) {
    (*this)(name, value);
  }
  template <typename T>
  void sparse(std::string_view name, T& value) {
    if (!is_empty(value)) (*this)(name, value);
  }

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
  void write(std::string_view value) { writer_.string(value); }
  void write(Blob& value) { writer_.binary(value.bytes); }
  void write(BlobView& value) { writer_.binary(value.bytes); }
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
  void write(T& value) {
    if constexpr (HasTexts<T>) {
      writer_.string(texts_of(static_cast<const T*>(nullptr))[static_cast<std::size_t>(value)]);
    } else {
      writer_.unsigned_integer(static_cast<std::uint64_t>(value));
    }
  }
  template <typename T>
  requires(std::is_class_v<T>) void write(T& value) {
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
    void operator()(std::string_view, T& value) {
      encoder.write(value);
    }
    template <typename T>
    void optional(std::string_view, T& value) {
      encoder.write(value);
    }
  };

  Writer writer_;
};

class Decoder {
 public:
  Decoder() = default;
  // Decodes a map. Its entries are taken to come in the order of the fields, and nothing else
  // between them: then none is looked for, and nothing gone over twice. Where that isn't so
  // in_order() is false, and it has to be read once more, by a MapReader.
  explicit Decoder(Value map) : at_(map.inside()), left_(map.size()) {}
  explicit Decoder(MapReader& map) : map_(&map) {}
  bool in_order() const { return in_order_ && left_ == 0; }
  // Empty while all is well, else the path of the field that is wrong.
  const std::string& wrong() const { return wrong_; }

  // Inlined, so that each name is compared as a number or two instead of by a call.
  template <typename T>
  [[gnu::always_inline]] void operator()(std::string_view name, T& out) {
    if (is_next(name)) {
      take(behind(name), out);
    } else {
      look_for(name, out, true);
    }
  }
  template <typename T>
  [[gnu::always_inline]] void optional(std::string_view name, T& out) {
    if (is_next(name)) {
      take(behind(name), out);
    } else {
      look_for(name, out, false);
    }
  }
  template <typename T>
  [[gnu::always_inline]] void sparse(std::string_view name, T& out) {
    optional(name, out);
  }

  // Each read() gives where the value ends; nullptr when it is of another shape.
  const char* read(Value value, bool& out) { return value.get(out) ? value.after() : nullptr; }
  template <Integer T>
  const char* read(Value value, T& out) {
    if constexpr (std::is_signed_v<T>) {
      std::int64_t wide = 0;
      if (!value.get(wide) || wide < std::numeric_limits<T>::min() ||
          wide > std::numeric_limits<T>::max())
        return nullptr;
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
  const char* read(Value value, BlobView& out) {
    if (!value.get_binary(out.bytes)) return nullptr;
    return out.bytes.data() + out.bytes.size();
  }
  const char* read(Value value, std::string_view& out) {
    if (!value.get_string(out)) return nullptr;
    return out.data() + out.size();
  }
  const char* read(Value value, Packed& out) {
    const std::string_view bytes = value.packed();
    out.bytes = value.is_nil() ? std::string_view() : bytes;
    return bytes.data() + bytes.size();
  }
  template <typename T>
  const char* read(Value value, std::vector<T>& out) {
    return read_list(value, out, [this](Value item, std::vector<T>& list) {
      return read(item, list.emplace_back());
    });
  }
  // Each half of a pair is made by itself: clang 14 finds no default constructor for the pairs of a
  // type that contains a vector of them.
  template <typename A, typename B>
  const char* read(Value value, std::vector<std::pair<A, B>>& out) {
    return read_list(value, out,
                     [this](Value item, std::vector<std::pair<A, B>>& list) -> const char* {
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
  const char* read(Value value, std::pair<A, B>& out) {
    return read_pair(value, out.first, out.second);
  }
  template <typename T>
  requires std::is_enum_v<T>
  const char* read(Value value, T& out) {
    if constexpr (HasTexts<T>) {
      std::string_view text;
      if (!value.get_string(text)) return nullptr;
      const auto texts = texts_of(static_cast<const T*>(nullptr));
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if (texts[i] != text) continue;
        out = static_cast<T>(i);
        return value.after();
      }
      const std::optional<T> other = otherwise(static_cast<const T*>(nullptr));
      if (!other) return nullptr;
      out = *other;
      return value.after();
    }
    std::uint64_t number = 0;
    if (!value.get(number) || number > 255) return nullptr;
    out = static_cast<T>(number);
    return value.after();
  }
  template <typename T>
  requires(std::is_class_v<T>) const char* read(Value value, T& out) {
    if constexpr (as_row(static_cast<const T*>(nullptr))) {
      CountFields counter;
      fields(counter, out);
      if (!value.is_array() || value.size() != counter.count) return nullptr;
      Row row{*this, value.inside()};
      fields(row, out);
      return row.at;
    } else {
      if (!value.is_map()) return nullptr;
      // Once an order was wrong none is expected of what is inside: else each level would be read
      // twice as often as the one around it.
      if (map_ == nullptr) {
        Decoder inner(value);
        fields(inner, out);
        if (inner.in_order()) return inner.at_;
        out = T{};
      }
      return read_in_any_order(value, out);
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
    void optional(std::string_view name, T& out) {
      (*this)(name, out);
    }
  };

  void add_wrong(std::string_view name) {
    wrong_ = wrong_.empty() ? std::string(name) : std::string(name) + "." + wrong_;
  }

  [[gnu::always_inline]] bool is_next(std::string_view name) const {
    return left_ > 0 && Value(at_).is_key(name);
  }

  // The value of the next entry, whose key is `name`.
  [[gnu::always_inline]] Value behind(std::string_view name) const {
    return name.size() > 31 ? Value(Value(at_).after()) : Value(at_ + 1 + name.size());
  }

  template <typename T>
  void take(Value value, T& out) {
    at_ = read(value, out);
    --left_;
    in_order_ = at_ != nullptr;
    if (!in_order_) left_ = 0;
  }

  template <typename T>
  [[gnu::noinline]] void look_for(std::string_view name, T& out, bool required) {
    if (map_ != nullptr) {
      find_field(name, out, required);
    } else if (required) {
      in_order_ = false;
      left_ = 0;
    }
  }

  template <typename T>
  void find_field(std::string_view name, T& out, bool required) {
    if (!wrong_.empty()) return;
    const Value found = map_->find(name);
    if (found.valid() ? read(found, out) == nullptr : required) add_wrong(name);
  }

  template <typename T>
  [[gnu::noinline]] const char* read_in_any_order(Value value, T& out) {
    MapReader map(value);
    Decoder inner(map);
    fields(inner, out);
    wrong_ = std::move(inner.wrong_);
    return wrong_.empty() ? map.end() : nullptr;
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

  const char* at_ = nullptr;  // the key of the entry in turn
  std::size_t left_ = 0;
  bool in_order_ = true;
  MapReader* map_ = nullptr;
  std::string wrong_;
};

tl::unexpected<Error> wrong_field(std::string_view type, const std::string& field);

}  // namespace detail

// `reserve`: how many bytes it may well have.
template <typename T>
std::string encode(const T& message, std::size_t reserve = 0) {
  std::string out;
  out.reserve(reserve);
  detail::Encoder encoder(out);
  // fields() is written once for both directions, hence takes a mutable reference.
  encoder.write(const_cast<T&>(message));
  return out;
}

// Error: domain "wire", reason "malformed" (not MessagePack, or over a limit) or "wrong-field" (the
// message names it).
template <typename T>
Result<T> decode(std::string_view bytes, const Limits& limits = {}) {
  auto document = Document::parse(bytes, limits);
  if (!document) return forward(document);
  // Decoded where it is returned: an event is large.
  Result<T> out(tl::in_place);
  detail::Decoder decoder;
  if (decoder.read(document->root(), *out) == nullptr)
    out = detail::wrong_field("message", decoder.wrong());
  return out;
}

// The two coders of a message that many files use are compiled once, as making them is much of what
// a file takes: SLUICE_CODERS(extern, Hello); beside the message, SLUICE_CODERS(, Hello); in one
// file.
#define SLUICE_CODERS(where, Message)                             \
  where template std::string encode(const Message&, std::size_t); \
  where template Result<Message> decode(std::string_view, const Limits&)

// The map of several packed maps joined, in order: {a..} {b..} -> {a.. b..}. What isn't a map is
// skipped. Keys are not checked for doubles.
std::string join_maps(const std::vector<std::string_view>& packed_maps);

// The entries of a packed map whose keys are all strings, as views into it: each key's text and its
// value still packed. nullopt when `packed` is anything else.
class MapWalk {
 public:
  explicit MapWalk(std::string_view packed, std::size_t depth = 64);
  // False behind the last entry and where it can't go on.
  bool next(std::string_view& key, std::string_view& value);
  // Whether it was such a map, to its end, and nothing follows.
  bool whole() const { return left_ == 0 && good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  std::uint64_t left_ = 0;
  std::size_t depth_;
  bool good_ = false;
};
// The entries of a packed map, without what says how many they are.
std::string_view map_body(std::string_view packed);
using MapEntries = std::vector<std::pair<std::string_view, std::string_view>>;
std::optional<MapEntries> map_entries(std::string_view packed, std::size_t depth = 64);

// Skips one MessagePack value; the rest after it, or nullopt when malformed.
std::optional<std::string_view> skip_value(std::string_view bytes, std::size_t depth = 64);

}  // namespace sluice::wire
