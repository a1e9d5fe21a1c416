#include "wire/codec.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "wire/messages.h"

using namespace sluice::wire;
using namespace std::string_literals;

namespace {

std::string packed(const std::function<void(Writer&)>& write) {
  std::string bytes;
  Writer writer(bytes);
  write(writer);
  return bytes;
}

}  // namespace

TEST_CASE("bombs are refused before anything is allocated for them") {
  // Arrays and maps that claim 2^32 - 1 entries.
  CHECK_FALSE(Document::parse("\xdd\xff\xff\xff\xff"s).has_value());
  CHECK_FALSE(Document::parse("\xdf\xff\xff\xff\xff\x01\x02"s).has_value());
  CHECK_FALSE(Document::parse("\xdd\xff\xff\xff\xff"s + std::string(1000, '\x01')).has_value());
  // Strings, bins and extensions.
  for (const char tag : {'\xdb', '\xc6', '\xc9'}) {
    CHECK_FALSE(Document::parse(std::string(1, tag) + "\xff\xff\xff\xffxyz").has_value());
  }
  // Each level claims what is there, the levels together do not.
  std::string nested;
  for (int i = 0; i < 60; ++i) nested += "\xdc\x00\x30"s;
  CHECK_FALSE(Document::parse(nested + std::string(48, '\x01')).has_value());
  // Nothing but depth.
  CHECK(Document::parse(std::string(64, '\x91') + "\x01").has_value());
  CHECK_FALSE(Document::parse(std::string(65, '\x91') + "\x01").has_value());
  CHECK_FALSE(Document::parse(std::string(10'000'000, '\x91')).has_value());
  CHECK_FALSE(Document::parse(std::string(1'000'000, '\x81')).has_value());
}

TEST_CASE("limits are what they say") {
  Limits limits;
  limits.bytes = 100;
  CHECK(Document::parse(packed([](Writer& w) { w.string(std::string(98, 'x')); }), limits)
            .has_value());
  CHECK_FALSE(Document::parse(packed([](Writer& w) { w.string(std::string(99, 'x')); }), limits)
                  .has_value());
  limits = {};
  limits.string = 10;
  CHECK(Document::parse(packed([](Writer& w) { w.binary(std::string(10, 'x')); }), limits)
            .has_value());
  CHECK_FALSE(Document::parse(packed([](Writer& w) { w.binary(std::string(11, 'x')); }), limits)
                  .has_value());
  CHECK(Document::parse(packed([](Writer& w) { w.string(std::string(10, 'x')); }), limits)
            .has_value());
  CHECK_FALSE(Document::parse(packed([](Writer& w) { w.string(std::string(11, 'x')); }), limits)
                  .has_value());
  limits = {};
  limits.items = 10;
  CHECK(Document::parse("\x9a"s + std::string(10, '\x01'), limits).has_value());
  CHECK_FALSE(Document::parse("\x9b"s + std::string(11, '\x01'), limits).has_value());
  limits = {};
  limits.values = 10;
  CHECK(Document::parse("\x92\x94\x01\x01\x01\x01\x94\x01\x01\x01\x01"s, limits).has_value());
  CHECK_FALSE(
      Document::parse("\x92\x94\x01\x01\x01\x01\x95\x01\x01\x01\x01\x01"s, limits).has_value());
}

TEST_CASE("bytes that are no value, or more than one, are refused") {
  for (const auto& bytes : {""s, "\xc1"s, "\x01\x01"s, "\x92\x01"s, "\xa5hell"s, "\x81\x01"s,
                            "\xcf\x00"s, "\xd8\x01"s}) {
    CAPTURE(bytes);
    CHECK_FALSE(Document::parse(bytes).has_value());
  }
}

TEST_CASE("skip_value goes over every kind of value as the parser does") {
  const std::vector<std::string> values{"\x00"s,
                                        "\x7f"s,
                                        "\xe0"s,
                                        "\xff"s,
                                        "\xc0"s,
                                        "\xc2"s,
                                        "\xc3"s,
                                        "\xcc\x01"s,
                                        "\xcd\x01\x02"s,
                                        "\xce\x01\x02\x03\x04"s,
                                        "\xcf\x01\x02\x03\x04\x05\x06\x07\x08"s,
                                        "\xd0\x01"s,
                                        "\xd1\x01\x02"s,
                                        "\xd2\x01\x02\x03\x04"s,
                                        "\xd3\x01\x02\x03\x04\x05\x06\x07\x08"s,
                                        "\xca\x01\x02\x03\x04"s,
                                        "\xcb\x01\x02\x03\x04\x05\x06\x07\x08"s,
                                        "\xa0"s,
                                        "\xa3"
                                        "abc"s,
                                        "\xd9\x02"
                                        "ab"s,
                                        "\xda\x00\x02"
                                        "ab"s,
                                        "\xdb\x00\x00\x00\x02"
                                        "ab"s,
                                        "\xc4\x02"
                                        "ab"s,
                                        "\xc5\x00\x02"
                                        "ab"s,
                                        "\xc6\x00\x00\x00\x02"
                                        "ab"s,
                                        "\xd4\x01x"s,
                                        "\xd5\x01xx"s,
                                        "\xd6\x01xxxx"s,
                                        "\xd7\x01xxxxxxxx"s,
                                        "\xd8\x01xxxxxxxxxxxxxxxx"s,
                                        "\xc7\x02\x01xx"s,
                                        "\xc8\x00\x02\x01xx"s,
                                        "\xc9\x00\x00\x00\x02\x01xx"s,
                                        "\x90"s,
                                        "\x92\x01\x02"s,
                                        "\xdc\x00\x01\x01"s,
                                        "\xdd\x00\x00\x00\x01\x01"s,
                                        "\x80"s,
                                        "\x81\xa1x\x92\x01\x02"s,
                                        "\xde\x00\x01\x01\x02"s,
                                        "\xdf\x00\x00\x00\x01\x01\x02"s};
  for (const auto& value : values) {
    CAPTURE(value);
    const std::string followed = value + "rest";
    const auto rest = skip_value(followed);
    REQUIRE(rest.has_value());
    CHECK(*rest == "rest");
    CHECK(Document::parse(value).has_value());
    for (std::size_t size = 0; size < value.size(); ++size)
      CHECK_FALSE(skip_value(std::string(value, 0, size)).has_value());
  }
  CHECK_FALSE(skip_value("\xc1").has_value());
}

TEST_CASE("maps are joined in order, of any size") {
  std::vector<std::string> maps;
  for (int i = 0; i < 40; ++i)
    maps.push_back(
        packed([&](Writer& w) { w.map(1), w.string("k" + std::to_string(i)), w.integer(i); }));
  maps.push_back(packed([](Writer& w) { w.map(0); }));
  const std::string array = packed([](Writer& w) { w.array(1), w.nil(); });
  std::vector<std::string_view> views(maps.begin(), maps.end());
  views.insert(views.begin() + 3, array);
  views.insert(views.begin() + 5, std::string_view());
  const std::string joined = join_maps(views);
  const auto document = Document::parse(joined);
  REQUIRE(document.has_value());
  REQUIRE(document->root().size() == 40);
  for (int i = 0; i < 40; ++i) {
    std::int64_t value = -1;
    CHECK(document->root().find("k" + std::to_string(i)).get(value));
    CHECK(value == i);
  }
  CHECK(join_maps({}) == "\x80");
}

TEST_CASE("map_entries gives keys and packed values, and nothing for what is no such map") {
  const std::string map = packed([](Writer& w) {
    w.map(3), w.string("a"), w.array(2), w.nil(), w.boolean(true), w.string(std::string(300, 'k')),
        w.integer(-1), w.string(""), w.map(0);
  });
  const auto entries = map_entries(map);
  REQUIRE(entries.has_value());
  REQUIRE(entries->size() == 3);
  CHECK((*entries)[0] == std::pair<std::string_view, std::string_view>("a", "\x92\xc0\xc3"));
  CHECK((*entries)[1].first.size() == 300);
  CHECK((*entries)[2] == std::pair<std::string_view, std::string_view>("", "\x80"));
  for (std::size_t size = 0; size < map.size(); ++size)
    CHECK_FALSE(map_entries(std::string(map, 0, size)).has_value());
  for (const auto& bytes :
       {""s, "\x90"s, "\xa1x"s, "\x81\x01\x02"s, "\x80\x80"s, "\xdf\xff\xff\xff\xff\xa1x\xc0"s}) {
    CAPTURE(bytes);
    CHECK_FALSE(map_entries(bytes).has_value());
  }
  // The long forms of a short key.
  CHECK(map_entries("\x81\xdb\x00\x00\x00\x03src\xc0"s)->front().first == "src");
  CHECK(map_entries("\x81\xda\x00\x03src\xc0"s)->front().first == "src");
}

namespace {

struct Inner {
  std::int32_t a = 0;
  std::string b;
};
template <typename C>
void fields(C& c, Inner& m) {
  c("a", m.a);
  c.optional("b", m.b);
}

struct Outer {
  Inner one;
  std::vector<Inner> many;
  std::optional<Inner> maybe;
  Packed rest;
  std::uint64_t last = 0;
};
template <typename C>
void fields(C& c, Outer& m) {
  c("one", m.one);
  c("many", m.many);
  c.optional("maybe", m.maybe);
  c.optional("rest", m.rest);
  c("last", m.last);
}

struct Thin {
  std::uint64_t id = 0, count = 0;
  std::string text;
  std::vector<Inner> list;
  std::optional<bool> maybe;
  Blob bytes;
  std::uint64_t last = 0;
};
template <typename C>
void fields(C& c, Thin& m) {
  c("id", m.id);
  c.sparse("count", m.count);
  c.sparse("text", m.text);
  c.sparse("list", m.list);
  c.sparse("maybe", m.maybe);
  c.sparse("bytes", m.bytes);
  c.optional("last", m.last);
}

}  // namespace

TEST_CASE("sparse fields are written only when there is something in them") {
  Thin thin;
  CHECK(encode(thin) == packed([](Writer& w) {
          w.map(2), w.string("id"), w.unsigned_integer(0), w.string("last"), w.unsigned_integer(0);
        }));
  thin.maybe = false;
  thin.text = "t";
  CHECK(encode(thin) == packed([](Writer& w) {
          w.map(4), w.string("id"), w.unsigned_integer(0), w.string("text"), w.string("t");
          w.string("maybe"), w.boolean(false), w.string("last"), w.unsigned_integer(0);
        }));
  thin.list.emplace_back();
  thin.bytes.bytes = "b";
  thin.last = 3;
  const auto back = decode<Thin>(encode(thin));
  REQUIRE(back);
  CHECK(back->count == 0);
  CHECK(back->text == "t");
  CHECK(back->list.size() == 1);
  CHECK(back->maybe == false);
  CHECK(back->bytes.bytes == "b");
  CHECK(back->last == 3);
}

TEST_CASE("fields are found in any order, among others, however many") {
  const auto write_inner = [](Writer& w, int a) {
    w.map(3), w.string("unknown"), w.array(2), w.map(1), w.string("a"), w.integer(9), w.nil();
    w.string("b"), w.string("text"), w.string("a"), w.integer(a);
  };
  std::vector<std::string> entries{
      packed([&](Writer& w) { w.string("one"), write_inner(w, 1); }),
      packed([&](Writer& w) {
        w.string("many"), w.array(3), write_inner(w, 2), write_inner(w, 3), write_inner(w, 4);
      }),
      packed([&](Writer& w) { w.string("rest"), w.array(1), w.real(0.5); }),
      packed([](Writer& w) { w.integer(7), w.string("last"); }),
      packed([](Writer& w) { w.string("last"), w.unsigned_integer(5); }),
  };
  for (int others : {0, 1, 26, 27, 28, 40, 200}) {
    std::vector<std::string> shuffled = entries;
    for (int i = 0; i < others; ++i)
      shuffled.insert(shuffled.begin() + (i * 7) % static_cast<int>(shuffled.size()),
                      packed([&](Writer& w) {
                        w.string("x" + std::to_string(i)), w.map(1), w.nil(), w.nil();
                      }));
    for (std::size_t turn = 0; turn < shuffled.size(); ++turn) {
      std::rotate(shuffled.begin(), shuffled.begin() + 1, shuffled.end());
      std::string bytes;
      Writer(bytes).map(shuffled.size());
      for (const auto& entry : shuffled) bytes += entry;
      CAPTURE(others, turn);
      // In an array, so that where it ends matters.
      std::string list = "\x92" + bytes + bytes;
      const auto document = Document::parse(list);
      REQUIRE(document);
      std::vector<Outer> both;
      REQUIRE(detail::Decoder().read(document->root(), both) == list.data() + list.size());
      for (const Outer& outer : both) {
        CHECK(outer.one.a == 1);
        REQUIRE(outer.many.size() == 3);
        CHECK(outer.many[2].a == 4);
        CHECK(outer.many[2].b == "text");
        CHECK_FALSE(outer.maybe);
        CHECK(outer.rest.bytes == packed([](Writer& w) { w.array(1), w.real(0.5); }));
        CHECK(outer.last == 5);
      }
    }
  }
  const auto wrong = decode<Outer>(packed([&](Writer& w) {
    w.map(2), w.string("one"), write_inner(w, 1), w.string("many"), w.array(1), w.map(1),
        w.string("a"), w.string("no number");
  }));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("'many.a'") != std::string::npos);
}

TEST_CASE("an order that is wrong on each level is no more work than the levels are") {
  std::string node = packed([](Writer& w) {
    w.map(1);
    w.string("k");
    w.unsigned_integer(0);
  });
  for (int i = 0; i < 60; ++i) {
    node = packed([&](Writer& w) {
      w.map(3);
      w.string("k");
      w.unsigned_integer(2);
      w.string("l");
      w.array(1);
      w.raw(node);
      w.string("unknown");
      w.nil();
    });
  }
  Limits limits;
  limits.depth = 127;
  // Were each level read twice, its last would be read 2^60 times.
  const auto decoded = decode<sluice::model::Node>(node, limits);
  REQUIRE(decoded.has_value());
  int depth = 0;
  for (const auto* at = &*decoded; !at->list.empty(); at = &at->list.front()) ++depth;
  CHECK(depth == 60);
}

TEST_CASE("a list makes no room for what it only claims") {
  // Of a message with four million of the smallest items, each of which would be large in memory.
  const std::string bytes = "\xdd\x00\x3f\xff\xff"s + std::string(0x3fffff, '\xc0');
  const auto document = Document::parse(bytes);
  REQUIRE(document);
  std::vector<Outer> out;
  CHECK(detail::Decoder().read(document->root(), out) == nullptr);
  CHECK(out.capacity() < 10'000);
}

TEST_CASE("integers keep their range") {
  const auto as = [](auto out, const std::string& bytes) {
    const auto document = Document::parse(bytes);
    detail::Decoder decoder;
    return decoder.read(document->root(), out) != nullptr;
  };
  const std::string minus = packed([](Writer& w) { w.integer(-1); });
  const std::string large = packed([](Writer& w) { w.unsigned_integer(UINT64_MAX); });
  const std::string middle = packed([](Writer& w) { w.unsigned_integer(1u << 31); });
  CHECK_FALSE(as(std::uint64_t{}, minus));
  CHECK(as(std::int32_t{}, minus));
  CHECK(as(std::uint64_t{}, large));
  CHECK_FALSE(as(std::int64_t{}, large));
  CHECK_FALSE(as(std::int32_t{}, middle));
  CHECK(as(std::uint32_t{}, middle));
  // Written as signed though there was no need.
  CHECK(as(std::uint64_t{}, "\xd0\x05"));
  CHECK(as(std::uint64_t{}, "\xd3\x00\x00\x00\x00\x00\x00\x00\x05"s));
  CHECK_FALSE(as(std::uint64_t{}, "\xd1\xff\xff"));
  CHECK(as(double{}, "\xca\x3f\x00\x00\x00"s));
  CHECK_FALSE(as(bool{}, "\x01"));
  CHECK_FALSE(as(std::string{}, "\xc4\x01x"));
  CHECK_FALSE(as(Blob{}, "\xa1x"));
}
