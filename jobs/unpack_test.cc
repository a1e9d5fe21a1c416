// Unpacking archives as they should be, and as they should not: every error names the archive and
// the member, and nothing is ever written outside of the directory.
#include "jobs/unpack.h"

#include <cstring>
#include <functional>

#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "base/process.h"
#include "jobs/test_support.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

struct Member {
  std::string name;
  char type = 'f';      // f file, d directory, l symbolic link, h hard link, c b p devices and FIFO
  std::string content;  // a file's, or the link's target
  unsigned mode = 0644;
};

// Writes an old-style header by hand, so that it can hold what no archiver writes.
std::string header(const Member& member, std::uint64_t size) {
  char block[512] = {};
  std::memcpy(block, member.name.data(), std::min<std::size_t>(member.name.size(), 100));
  std::snprintf(block + 100, 8, "%07o", member.mode);
  std::snprintf(block + 108, 8, "%07o", 0);
  std::snprintf(block + 116, 8, "%07o", 0);
  std::snprintf(block + 124, 12, "%011llo", static_cast<unsigned long long>(size));
  std::snprintf(block + 136, 12, "%011o", 0);
  const std::string kinds = "fdlhcbp", flags = "0521346";
  block[156] = flags[kinds.find(member.type)];
  if (member.type == 'l' || member.type == 'h')
    std::memcpy(block + 157, member.content.data(),
                std::min<std::size_t>(member.content.size(), 100));
  std::memcpy(block + 257, "ustar\00000", 8);
  std::memset(block + 148, ' ', 8);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(block + 148, 7, "%06o", sum);
  block[155] = ' ';
  return {block, sizeof block};
}

std::string tar(const std::vector<Member>& members) {
  std::string out;
  for (const Member& member : members) {
    const bool file = member.type == 'f';
    out += header(member, file ? member.content.size() : 0);
    if (!file) continue;
    out += member.content;
    out.append((512 - member.content.size() % 512) % 512, '\0');
  }
  out.append(1024, '\0');
  return out;
}

struct Place {
  TestDirectory directory{0755};
  std::string target = directory / "inner/target";
  std::string archive = directory / "archive.tar";
  Place() {
    REQUIRE(make_directories(target));
    write_text(directory / "outside", "untouched");
    write_text(directory / "inner/outside", "untouched");
  }
  // Unpacks; gives "" or the error.
  std::string unpack(const std::string& bytes, const std::string& base = "",
                     std::uint64_t limit = 1u << 20) {
    write_text(archive, bytes);
    UnpackOptions options;
    options.shown = "archive.tar";
    options.base_dir = base;
    options.max_bytes = limit;
    options.max_members = 1000;
    auto done = unpack_tar(archive, target, options);
    CHECK(read_text(directory / "outside") == "untouched");
    CHECK(read_text(directory / "inner/outside") == "untouched");
    return done ? "" : done.error().reason + ": " + done.error().message;
  }
  std::string file(const std::string& name) const { return read_text(target + "/" + name); }
  bool there(const std::string& name) const {
    struct stat info {};
    return ::lstat((target + "/" + name).c_str(), &info) == 0;
  }
  unsigned mode(const std::string& name) const {
    struct stat info {};
    return ::stat((target + "/" + name).c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
};

}  // namespace

TEST_CASE("Names, modes and links are staged as BuildStream stages them") {
  Place place;
  CHECK(place.unpack(tar({{"./pkg-1/", 'd', "", 0700},
                          {"./pkg-1/plain", 'f', "p", 0600},
                          {"./pkg-1/run", 'f', "r", 06755},
                          {"./pkg-1/sub/deep", 'f', "d", 0000},
                          {"./pkg-1/absolute", 'l', "/etc/passwd"},
                          {"./pkg-1/up", 'l', "../../.."},
                          {"./pkg-1/hard", 'h', "./pkg-1/plain"},
                          {"./pkg-1/null", 'c'},
                          {"./pkg-1/pipe", 'p'},
                          {"./other/file", 'f', "x"}}),
                     "*") == "");
  // The first directory by name is "other", as with BuildStream.
  CHECK(place.file("file") == "x");
  CHECK_FALSE(place.there("plain"));

  Place again;
  CHECK(again.unpack(read_text(place.archive), "pkg*") == "");
  CHECK(again.file("plain") == "p");
  CHECK(again.mode("plain") == 0644);
  CHECK(again.mode("run") == 0755);
  CHECK(again.mode("sub/deep") == 0644);
  CHECK(again.file("hard") == "p");
  CHECK(again.there("absolute"));
  CHECK(again.there("up"));
  CHECK_FALSE(again.there("null"));
  CHECK_FALSE(again.there("pipe"));
}

TEST_CASE("The base directory: missing, implied, deeper, none") {
  Place place;
  CHECK(place.unpack(tar({{"file", 'f', "x"}}), "*") ==
        "no-base-dir: archive.tar: Could not find base directory matching pattern: *");
  CHECK(place.unpack(tar({{"implied/file", 'f', "x"}}), "*") == "");
  CHECK(place.file("file") == "x");
  Place deeper;
  CHECK(deeper.unpack(tar({{"a/b/file", 'f', "x"}, {"a/other", 'f', "y"}}), "a/b") == "");
  CHECK(deeper.file("file") == "x");
  CHECK_FALSE(deeper.there("other"));
  Place whole;
  CHECK(whole.unpack(tar({{"a/file", 'f', "x"}, {"/rooted", 'f', "y"}}), "") == "");
  CHECK(whole.file("a/file") == "x");
  CHECK(whole.file("rooted") == "y");  // the slash in front is dropped
  // An archive of "." is taken whole, also with the default pattern.
  Place dot;
  CHECK(dot.unpack(tar({{"./", 'd'}, {"./a/", 'd'}, {"./a/file", 'f', "x"}}), "*") == "");
  CHECK(dot.file("a/file") == "x");
}

TEST_CASE("A hard link to a file that is not extracted gets its content") {
  Place place;
  CHECK(place.unpack(tar({{"shared/original", 'f', "content", 0755},
                          {"pkg/link", 'h', "shared/original", 0755},
                          {"pkg/second", 'h', "shared/original", 0755}}),
                     "pkg") == "");
  CHECK(place.file("link") == "content");
  CHECK(place.file("second") == "content");
  CHECK(place.mode("link") == 0755);
  Place missing;
  const std::string error = missing.unpack(tar({{"pkg/link", 'h', "nowhere"}}), "pkg");
  CHECK(has(error, "bad-archive: archive.tar: member 'pkg/link'"));
  CHECK(has(error, "'nowhere'"));
}

TEST_CASE("A hard link's own header says whether the file is executable") {
  Place place;
  CHECK(place.unpack(tar({{"a", 'f', "a", 0755},
                          {"to-a", 'h', "a", 0644},
                          {"b", 'f', "b", 0644},
                          {"to-b", 'h', "b", 0755}})) == "");
  CHECK(place.mode("a") == 0644);
  CHECK(place.mode("to-a") == 0644);
  CHECK(place.mode("b") == 0755);
  CHECK(place.mode("to-b") == 0755);
}

TEST_CASE("A member is written through a link that stays inside") {
  Place place;
  CHECK(place.unpack(tar({{"usr/lib/", 'd'},
                          {"lib", 'l', "usr/lib"},
                          {"lib/a", 'f', "x"},
                          {"usr/up", 'l', "../usr"},
                          {"usr/up/b", 'f', "y"}})) == "");
  CHECK(place.file("usr/lib/a") == "x");
  CHECK(place.file("usr/b") == "y");
}

TEST_CASE("What leads out of the directory is refused") {
  const std::vector<std::pair<std::vector<Member>, std::string>> cases = {
      {{{"../outside", 'f', "evil"}}, "../outside"},
      {{{"a/../../outside", 'f', "evil"}}, "a/../../outside"},
      {{{"a/../../../outside", 'd'}}, "a/../../../outside"},
      {{{"a/..", 'f', "evil"}}, "a/.."},
      {{{"out", 'l', ".."}, {"out/outside", 'f', "evil"}}, "out/outside"},
      {{{"out", 'l', "/tmp"}, {"out/sluice-evil", 'f', "evil"}}, "out/sluice-evil"},
      {{{"out", 'l', "../.."}, {"out/outside", 'l', "x"}}, "out/outside"},
      {{{"out", 'l', ".."}, {"out/made", 'd'}}, "out/made"},
      {{{"a", 'l', "b"}, {"b", 'l', ".."}, {"a/outside", 'f', "evil"}}, "a/outside"},
      {{{"a", 'l', "a"}, {"a/x", 'f', "evil"}}, "a/x"},
      {{{"hard", 'h', "../outside"}, {"hard", 'f', "evil"}}, "hard"},
      {{{"hard", 'h', "/etc/passwd"}}, "hard"},
      {{{"out", 'l', ".."}, {"hard", 'h', "out/outside"}}, "hard"},
      {{{"out", 'l', "/etc"}, {"hard", 'h', "out/passwd"}}, "hard"},
      {{{"d/", 'd'}, {"hard", 'h', "d"}}, "hard"},
      {{{"d/x", 'f', "x"}, {"d", 'f', "evil"}}, "d"},
      {{{"f", 'f', "x"}, {"f/below", 'f', "evil"}}, "f/below"},
  };
  for (const auto& [members, name] : cases) {
    Place place;
    const std::string error = place.unpack(tar(members));
    INFO(name << " -> " << error);
    CHECK(error.substr(0, 14) == "unsafe-member:");
    CHECK(has(error, fmt::format("archive.tar: member '{}'", name)));
    CHECK_FALSE(path_exists(place.directory / "inner/made"));
    CHECK_FALSE(path_exists("/tmp/sluice-evil"));
  }
}

TEST_CASE("A link that is later a file's name is replaced, not followed") {
  Place place;
  CHECK(place.unpack(tar({{"f", 'l', "../outside"}, {"f", 'f', "inside"}})) == "");
  CHECK(place.file("f") == "inside");
  // Writing through a hard link doesn't change the first file either.
  Place hard;
  CHECK(hard.unpack(tar({{"a", 'f', "one"}, {"b", 'h', "a"}, {"b", 'f', "two"}})) == "");
  CHECK(hard.file("a") == "one");
  CHECK(hard.file("b") == "two");
}

TEST_CASE("Archives that are cut short, damaged or no archives") {
  const std::string good =
      tar({{"a/one", 'f', std::string(2000, 'x')}, {"a/two", 'f', std::string(2000, 'y')}});
  for (const std::size_t size : {600u, 1500u, 3000u, 3500u, 5000u}) {
    Place place;
    const std::string error = place.unpack(good.substr(0, size));
    INFO(size << " -> " << error);
    CHECK(has(error, "bad-archive: archive.tar: member 'a/"));
  }
  Place empty;
  CHECK(has(empty.unpack(""), "bad-archive: archive.tar: it is no tar archive"));
  Place text;
  CHECK(has(text.unpack("This is no archive at all, but a page that says so.\n"),
            "bad-archive: archive.tar: "));
  Place sum;
  std::string damaged = good;
  damaged[5] ^= 1;
  CHECK(has(sum.unpack(damaged), "bad-archive: archive.tar"));
  Place second;
  damaged = good;
  damaged[512 + 2048 + 5] ^= 1;
  CHECK(has(second.unpack(damaged), "bad-archive: archive.tar"));
}

TEST_CASE("Sizes that lie, and bombs") {
  Place lie;
  // The header promises a terabyte.
  CHECK(has(lie.unpack(header({"big", 'f'}, std::uint64_t{1} << 32) + std::string(1024, 'x')),
            "too-large: archive.tar: member 'big'"));
  Place many;
  std::vector<Member> members;
  for (int i = 0; i < 1001; ++i) members.push_back({fmt::format("f{}", i), 'f', ""});
  CHECK(has(many.unpack(tar(members)), "too-large: archive.tar: it has more than 1000 members"));
  Place sum;
  CHECK(has(sum.unpack(tar({{"a", 'f', std::string(600, 'x')}, {"b", 'f', std::string(600, 'x')}}),
                       "", 1000),
            "too-large: archive.tar: member 'b'"));
  Place deep;
  std::string name;
  for (int i = 0; i < 45; ++i) name += "d/";
  std::vector<Member> chain;
  CHECK(deep.unpack(tar({{name + "f", 'f', "x"}})) == "");
}

TEST_CASE("Every compression, and what is cut out of it") {
  const std::string plain = tar({{"a/one", 'f', std::string(100000, 'x')}});
  Place place;
  write_text(place.directory / "plain.tar", plain);
  for (const char* program : {"gzip", "bzip2", "xz", "zstd", "lzip"}) {
    const std::string command =
        fmt::format("command -v {0} >/dev/null && {0} -c < {1} > {2} 2>/dev/null", program,
                    place.directory / "plain.tar", place.directory / "packed");
    std::string packed;
    if (std::system(command.c_str()) == 0) {
      packed = read_text(place.directory / "packed");
    } else {
      // The compressor is not on this machine: libarchive's own writes the same formats.
      struct archive* writer = archive_write_new();
      archive_write_set_format_raw(writer);
      REQUIRE(archive_write_add_filter_by_name(writer, program) == ARCHIVE_OK);
      REQUIRE(archive_write_open_filename(writer, (place.directory / "packed").c_str()) ==
              ARCHIVE_OK);
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, "x");
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_write_header(writer, entry);
      archive_write_data(writer, plain.data(), plain.size());
      archive_entry_free(entry);
      archive_write_close(writer);
      archive_write_free(writer);
      packed = read_text(place.directory / "packed");
    }
    INFO(program);
    REQUIRE_FALSE(packed.empty());
    Place whole;
    CHECK(whole.unpack(packed) == "");
    CHECK(whole.file("a/one") == std::string(100000, 'x'));
    Place cut;
    CHECK(has(cut.unpack(packed.substr(0, packed.size() * 2 / 3)), "bad-archive: archive.tar"));
  }
}

namespace {

// Lays layers over each other; gives "" or the error.
std::string lay(Place& place, const std::vector<std::string>& layers,
                std::uint64_t max_bytes = 1u << 20, std::uint64_t max_members = 10000) {
  std::vector<std::string> archives;
  for (const std::string& layer : layers) {
    archives.push_back(place.directory / fmt::format("layer-{}", archives.size() + 1));
    write_text(archives.back(), layer);
  }
  UnpackOptions options;
  options.shown = "app";
  options.max_bytes = max_bytes;
  options.max_members = max_members;
  REQUIRE(make_directories(place.directory / "apart"));
  auto done = unpack_layers(archives, place.target, place.directory / "apart", options);
  CHECK(read_text(place.directory / "outside") == "untouched");
  return done ? "" : done.error().reason + ": " + done.error().message;
}

}  // namespace

TEST_CASE("Layers lie over each other, and take away by name what those before them have") {
  Place place;
  CHECK(lay(place, {tar({{"a", 'f', "1"}, {"b", 'f', "1"}, {"d/x", 'f', "1"}, {"d/y", 'f', "1"}}),
                    tar({{".wh.a"}, {"d/.wh..wh..opq"}, {"d/z", 'f', "2", 0755}}),
                    tar({{"b", 'f', "3", 0755}, {"dev/null", 'c'}, {"dev/x", 'f', "3"}})}) == "");
  CHECK_FALSE(place.there("a"));
  CHECK_FALSE(place.there("d/x"));
  CHECK_FALSE(place.there("dev/x"));
  CHECK(place.file("b") == "3");
  CHECK(place.mode("b") == 0755);
  CHECK(place.file("d/z") == "2");
  Place none;
  CHECK(lay(none, {}) == "");
  CHECK(lay(none, {tar({})}) == "");
}

TEST_CASE("Layers that clash, are too large or damaged fail by image and layer") {
  Place clash;
  CHECK(lay(clash, {tar({{"lib", 'l', "usr/lib"}, {"usr/lib/x", 'f', "1"}}),
                    tar({{"lib/y", 'f', "2"}})}) ==
        "layers-clash: app, layer layer-2: Destination is a symlink, not a directory: /lib");
  Place large;  // together, though neither is alone
  CHECK(
      has(lay(large,
              {tar({{"a", 'f', std::string(600, 'x')}}), tar({{"b", 'f', std::string(600, 'x')}})},
              1000),
          "too-large: app, layer layer-2: member 'b'"));
  Place many;
  CHECK(has(lay(many, {tar({{"a"}, {"b"}, {"c"}})}, 1000, 2),
            "too-large: app, layer layer-1: it has more than 2 members"));
  Place damaged;
  CHECK(has(lay(damaged, {tar({{"a"}}), "no archive at all, but a page that says so"}),
            "bad-archive: app, layer layer-2"));
  Place out;
  CHECK(has(lay(out, {tar({{"l", 'l', ".."}, {"l/outside", 'f', "evil"}})}),
            "unsafe-member: app, layer layer-1: member 'l/outside'"));
}

TEST_CASE("Directories that several layers have become one at any depth") {
  std::string name;
  while (name.size() < 98) name += "d/";
  Place place;
  std::vector<Member> members = {{name + "f", 'f', "1"}};
  CHECK(lay(place, {tar(members), tar({{name + "g", 'f', "2"}}), tar({{name + "f", 'f', "3"}})}) ==
        "");
  CHECK(place.file(name + "f") == "3");
  CHECK(place.file(name + "g") == "2");
}

TEST_CASE("A zip archive that says it holds less than it does is refused") {
  // One member of 4 bytes, stored; the directory at the end says that it has `size`.
  const auto zip = [](unsigned char size) {
    const std::string common("\x14\0\0\0\0\0\0\0\0\0\0\0\0\0", 14);
    const std::string sizes{'\4', 0, 0, 0, static_cast<char>(size), 0, 0, 0, 1, 0, 0, 0};
    const std::string local = "PK\3\4" + common + sizes + "a" + "text";
    const std::string entry = std::string("PK\1\2\x14\3", 6) + common + sizes +
                              std::string(6, '\0') + std::string("\0\0\xa4\x81\0\0\0\0", 8) + "a";
    std::string end("PK\5\6\0\0\0\0\1\0\1\0", 12);
    end += static_cast<char>(entry.size());
    end += std::string(3, '\0');
    end += static_cast<char>(local.size());
    end += std::string(5, '\0');
    return local + entry + end;
  };
  for (const unsigned char size : {4, 3, 200}) {
    INFO(int{size});
    Place place;
    write_text(place.archive, zip(size));
    UnpackOptions options;
    options.shown = "archive.zip";
    const auto done = unpack_zip(place.archive, place.target, options);
    // The checksum in it is wrong in any case.
    REQUIRE_FALSE(done);
    CHECK(done.error().reason == "bad-archive");
    CHECK(has(done.error().message, "archive.zip: member 'a'"));
  }
}

TEST_CASE("sluice-unpack tells its errors to whoever started it") {
  Place place;
  write_text(place.archive, tar({{"../outside", 'f', "evil"}}));
  int pipes[2];
  REQUIRE(::pipe(pipes) == 0);
  UniqueFd read_end(pipes[0]), write_end(pipes[1]);
  SpawnOptions options;
  options.argv = {find_program("sluice-unpack"), place.archive, "shown.tar", place.target, ""};
  options.standard_output = write_end.get();
  auto process = spawn(options);
  REQUIRE(process);
  write_end.reset();
  auto output = read_all(read_end.get());
  CHECK(wait_for(*process).code == 1);
  auto error = wire::decode<wire::ErrorBody>(*output);
  REQUIRE(error);
  CHECK(error->domain == "source");
  CHECK(has(error->message, "shown.tar: member '../outside'"));
}
