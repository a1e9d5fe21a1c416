#include "store/measure.h"

#include <vector>

#include "store/complete.h"
#include "store/directory.h"
#include "store/realise.h"
#include "store/test_store.h"
#include "store/tree.h"

using namespace sluice;
using namespace sluice::store;
using namespace sluice::store::test;

namespace {

// Makes `levels` messages, each of which has the one below it twice, and a file at the bottom.
Digest folded(Cas& cas, unsigned levels) {
  Digest below =
      must(cas.add(encode_directory({{{"f", must(cas.add("x")), false, {}}}, {}, {}, {}, {}})));
  for (unsigned i = 0; i < levels; ++i)
    below = must(cas.add(encode_directory({{}, {{"a", below}, {"b", below}}, {}, {}, {}})));
  return below;
}

}  // namespace

TEST_CASE("A tree's size is what it would be on disk, found in the time that its messages take") {
  Place place;
  Cas cas = place.open();
  const TreeSize small = must(measure_tree(cas, folded(cas, 3)));
  CHECK(small.directories == 15);
  CHECK(small.files == 8);
  CHECK(small.bytes == 8);
  CHECK(small.entries == 14 + 8);
  CHECK(small.distinct_entries == 3 * 2 + 1);
  // The tree unfolds to 2^401 directories.
  const TreeSize huge = must(measure_tree(cas, folded(cas, 400)));
  CHECK(huge.entries == std::uint64_t{1} << 62);
  CHECK(huge.distinct_entries == 801);
}

TEST_CASE("Each blob of a tree is visited once, however often it occurs") {
  Place place;
  Cas cas = place.open();
  std::vector<std::string> seen;
  must(for_each_blob(cas, folded(cas, 400), [&](const BlobUse& use) {
    seen.push_back(use.digest.hash);
    return Status{};
  }));
  CHECK(seen.size() == 402);
  // An empty file and an empty directory have one digest, and are two things.
  const Digest both = must(cas.add(encode_directory(
      {{{"f", must(cas.add("")), false, {}}}, {{"d", empty_digest()}}, {}, {}, {}})));
  unsigned files = 0, directories = 0;
  must(for_each_blob(cas, both, [&](const BlobUse& use) {
    ++(use.directory ? directories : files);
    return Status{};
  }));
  CHECK(files == 1);
  CHECK(directories == 2);
}

TEST_CASE("A tree of 3 KB that would be a million directories is neither whole nor written") {
  Place place;
  Cas cas = place.open();
  const Digest hostile = folded(cas, 20);
  CHECK(reason(check_unfolded(cas, hostile)) == "virtual-fs/unfolds-too-far");
  CHECK(reason(checkout(cas, hostile, place / "out")) == "virtual-fs/unfolds-too-far");
  CHECK(reason(copy_out(cas, hostile, place / "copy")) == "virtual-fs/unfolds-too-far");
  CHECK(reason(must(Realiser::open(cas)).realise(hostile)) == "virtual-fs/unfolds-too-far");
  CHECK_FALSE(tree_is_whole(cas, hostile));
  Completeness complete(cas);
  CHECK_FALSE(complete.tree(hostile));
  CHECK_FALSE(complete.tree(hostile));
  // A directory that a real system has many times is no such tree.
  const Digest usual = folded(cas, 10);
  CHECK(check_unfolded(cas, usual));
  CHECK(complete.tree(usual));
  CHECK(tree_is_whole(cas, usual));
  CHECK(checkout(cas, usual, place / "usual"));
}
