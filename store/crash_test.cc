// Processes that write to one store and are killed at any instant.
#include <chrono>
#include <csignal>
#include <random>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "store/artifact.h"
#include "store/capture.h"
#include "store/check.h"
#include "store/quota.h"
#include "store/realise.h"
#include "store/sources.h"
#include "store/test_store.h"
#include "store/tree.h"

namespace sluice::store {
namespace {

using test::must;
using test::Place;

// Does what a runner does, over and over: capture, commit, realise, keep sources.
[[noreturn]] void write_for_ever(const std::string& cachedir, const std::string& tree,
                                 unsigned seed) {
  auto cas = Cas::open(cachedir);
  if (!cas) ::_exit(10);
  auto realiser = Realiser::open(*cas, {.max_layers = 2});
  if (!realiser) ::_exit(11);
  Artifacts artifacts(*cas);
  SourceRefs sources(*cas);
  for (unsigned i = 0;; ++i) {
    const std::string name = fmt::format("{}-{}", seed, i);
    auto files = import_tree(*cas, tree);
    auto own = cas->add(std::string(5000, 'x') + name);
    if (!files || !own) ::_exit(12);
    auto composed = Tree::open(*cas, *files);
    if (!composed || !composed->put_file("bin/own", *own, true)) ::_exit(13);
    auto root = composed->store(*cas);
    if (!root) ::_exit(14);
    ArtifactInfo info;
    info.build_success = true;
    info.files = *root;
    info.strong_key = info.strict_key = digest_of(name).hash;
    info.weak_key = digest_of("weak").hash;
    ArtifactMeta meta;
    meta.variables = {{"name", name}};
    if (!write_meta(*cas, meta, info) || !artifacts.commit("p", "e.bst", info)) ::_exit(15);
    if (!sources.store_element(digest_of("s" + name).hash, *files)) ::_exit(16);
    if (!realiser->realise(*root)) ::_exit(17);
  }
}

// Waits until the writers have committed `more` artifacts since `before`, then a little longer:
// they get somewhere however slow the machine is, and die at any instant.
std::size_t let_them_write(const Cas& cas, std::size_t before, std::size_t more,
                           unsigned extra_us) {
  Cas looking = must(Cas::open(cas.cachedir(), {.keep_access_times = true}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::size_t now = before;
  while (now < before + more) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    ::usleep(500);
    now = must(Artifacts(looking).list()).size();
  }
  ::usleep(extra_us);
  return now;
}

TEST_CASE("SIGKILL at any instant leaves no half of an object, a ref or a root") {
  Place place;
  for (int i = 0; i < 12; ++i)
    place.file(fmt::format("t/bin/{}", i), std::string(static_cast<std::size_t>(i) * 3000, 'a'),
               0755);
  Cas cas = place.open();
  std::mt19937 random(20261122);
  std::size_t most = 0;
  for (unsigned round = 0; round < 12; ++round) {
    pid_t children[2];
    for (unsigned c = 0; c < 2; ++c) {
      children[c] = ::fork();
      REQUIRE(children[c] >= 0);
      if (children[c] == 0) write_for_ever(place / "cache", place / "t", round * 2 + c);
    }
    let_them_write(cas, must(Artifacts(cas).list()).size(), 1 + random() % 4, random() % 20'000);
    for (const pid_t child : children) REQUIRE(::kill(child, SIGKILL) == 0);
    for (const pid_t child : children) {
      int how = 0;
      REQUIRE(::waitpid(child, &how, 0) == child);
      CHECK(WIFSIGNALED(how));  // no writer ended by an error of its own
    }
    const auto report = must(verify_all(cas));
    for (const auto& what : report.corrupt) FAIL_CHECK(what);
    for (const auto& what : report.incomplete) FAIL_CHECK(what);
    most = std::max(most, static_cast<std::size_t>(report.refs));
    static_cast<void>(must(cas.sweep_temporary()));
    CHECK(must(cas.sweep_temporary()) == 0);
  }
  CHECK(most > 2 * 12);  // refs of artifacts and sources

  // Every root that is there is whole.
  Realiser realiser = must(Realiser::open(cas, {.max_layers = 2}));
  Artifacts artifacts(cas);
  unsigned realised = 0;
  for (const std::string& ref : must(artifacts.list())) {
    const auto info = must(artifacts.lookup_ref(ref));
    REQUIRE(info);
    if (!realiser.is_realised(info->files)) continue;
    ++realised;
    const RealisedRoot root = must(realiser.realise(info->files));
    CHECK(root.reused);
    Digest shown = must(capture(cas, root.layers[0]));
    for (std::size_t i = 1; i < root.layers.size(); ++i)
      shown = must(capture_overlay(cas, shown, root.layers[i]));
    CHECK(shown == info->files);
  }
  CHECK(realised > 0);
}

TEST_CASE("SIGKILL of an expiry leaves refs only to what is there") {
  Place place;
  for (int i = 0; i < 12; ++i)
    place.file(fmt::format("t/bin/{}", i), std::string(static_cast<std::size_t>(i) * 3000, 'a'),
               0755);
  Cas cas = place.open();
  std::mt19937 random(7);
  for (unsigned round = 0; round < 8; ++round) {
    const pid_t writer = ::fork();
    REQUIRE(writer >= 0);
    if (writer == 0) write_for_ever(place / "cache", place / "t", 1000 + round);
    let_them_write(cas, must(Artifacts(cas).list()).size(), 3, random() % 5'000);
    REQUIRE(::kill(writer, SIGKILL) == 0);
    int how = 0;
    REQUIRE(::waitpid(writer, &how, 0) == writer);
    const std::uint64_t total = must(used(cas.cachedir())).total();
    const pid_t expirer = ::fork();
    REQUIRE(expirer >= 0);
    if (expirer == 0) {
      auto own = Cas::open(place / "cache");
      ::_exit(own && expire_to(*own, total / 3) ? 0 : 1);
    }
    ::usleep(random() % 8000);
    ::kill(expirer, SIGKILL);
    REQUIRE(::waitpid(expirer, &how, 0) == expirer);
    const auto report = must(verify_all(cas));
    for (const auto& what : report.corrupt) FAIL_CHECK(what);
    for (const auto& what : report.incomplete) FAIL_CHECK(what);
  }
}

}  // namespace
}  // namespace sluice::store
