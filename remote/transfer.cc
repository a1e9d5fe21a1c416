#include "remote/transfer.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <unordered_map>

#include <fmt/format.h>

#include "base/threads.h"
#include "base/try.h"
#include "store/directory.h"
#include "store/measure.h"

namespace sluice::remote {

namespace {

constexpr std::size_t kThreads = 4;
constexpr std::chrono::milliseconds kGlance{200};
// What a digest and its status take in a message, at most.
constexpr std::size_t kOverhead = 128;
constexpr std::size_t kBatchCount = 4096;
constexpr std::size_t kAskCount = 8192;
// A Directory message is held in memory: one of a hundred thousand files is 15 MB.
constexpr std::int64_t kDirectoryLimit = std::int64_t{64} << 20;

// Digests, each once, in their order.
class Distinct {
 public:
  void add(const Digest& digest) {
    if (seen_.insert(digest.hash).second) list_.push_back(digest);
  }
  const std::vector<Digest>& list() const { return list_; }

 private:
  std::unordered_set<std::string> seen_;
  std::vector<Digest> list_;
};

// The store calls it corrupt; who asked needs to know whose fault it is.
Error misbehaved(const Peer& peer, const Error& error) {
  return Error{"remote",
               "misbehaved",
               fmt::format("{} sent something else than what was asked for: {}", peer.spec().url,
                           error.message),
               {},
               {}};
}

}  // namespace

std::vector<Digest> Claims::take(const std::vector<Digest>& wanted, std::vector<Digest>& taken) {
  std::vector<Digest> mine;
  const std::lock_guard guard(lock_);
  for (const Digest& digest : wanted)
    (claimed_.insert(digest.hash).second ? mine : taken).push_back(digest);
  return mine;
}

void Claims::release(const std::vector<Digest>& mine) {
  {
    const std::lock_guard guard(lock_);
    for (const Digest& digest : mine) claimed_.erase(digest.hash);
  }
  changed_.notify_all();
}

void Claims::wait(const std::vector<Digest>& taken, const std::function<bool()>& over) {
  std::unique_lock guard(lock_);
  for (const Digest& digest : taken) {
    while (claimed_.contains(digest.hash)) {
      if (over()) return;
      changed_.wait_for(guard, kGlance);
    }
  }
}

Status Transfer::check_cancelled() const {
  if (cancelled()) return fail("remote", "cancelled", "The transfer was cancelled");
  if (together_.until && std::chrono::steady_clock::now() > *together_.until)
    return fail("remote", "unreachable", fmt::format("{} is too slow", peer_.spec().url));
  return {};
}

Status Transfer::learn_limit() {
  if (limit_ > 0) return {};
  limit_ = TRY(peer_.batch_limit());
  return {};
}

Transfer::Work Transfer::divide(const std::vector<Digest>& digests) const {
  Work work;
  std::vector<Digest> batch;
  std::size_t size = 0;
  for (const Digest& digest : digests) {
    const std::size_t one = static_cast<std::size_t>(digest.size) + kOverhead;
    if (one > limit_) {
      work.push_back({digest});
      continue;
    }
    if (size + one > limit_ || batch.size() == kBatchCount) {
      work.push_back(std::move(batch));
      batch.clear();
      size = 0;
    }
    batch.push_back(digest);
    size += one;
  }
  if (!batch.empty()) work.push_back(std::move(batch));
  return work;
}

// Works in several threads. Returns the first error, after which nothing is begun.
Status Transfer::each(const Work& work,
                      const std::function<Status(const std::vector<Digest>&)>& move) {
  std::atomic<std::size_t> next{0};
  std::mutex lock;
  Status result;
  const auto run = [&] {
    for (;;) {
      const std::size_t index = next++;
      if (index >= work.size()) return;
      auto done = check_cancelled();
      if (done) done = move(work[index]);
      if (done) continue;
      next = work.size();
      const std::lock_guard guard(lock);
      if (result) result = std::move(done);
    }
  };
  Helpers helpers;
  helpers.start(std::min(kThreads, work.size()), run);
  run();
  helpers.join();
  return result;
}

Result<std::vector<Digest>> Transfer::pull(const std::vector<Digest>& roots,
                                           const std::vector<Digest>& blobs) {
  if (!together_.nearer) CHECK(learn_limit());
  std::vector<Digest> missing;
  Distinct files;
  std::unordered_set<std::string> walked;
  Distinct first;
  for (const Digest& root : roots) {
    if (walked.insert(root.hash).second) first.add(root);
  }
  std::vector<Digest> level = first.list();
  for (unsigned depth = 0; !level.empty(); ++depth) {
    if (depth > store::kMaxDepth) {
      return fail("remote", "misbehaved",
                  fmt::format("{} has a tree that is deeper than {} directories", peer_.spec().url,
                              store::kMaxDepth));
    }
    for (const Digest& digest : level) {
      if (digest.size > kDirectoryLimit) {
        return fail(
            "remote", "misbehaved",
            fmt::format("{} has a directory message of {} bytes", peer_.spec().url, digest.size));
      }
    }
    auto lacking = TRY(pull_blobs(level));
    std::unordered_set<std::string> gone;
    for (Digest& digest : lacking) {
      gone.insert(digest.hash);
      missing.push_back(std::move(digest));
    }
    std::vector<Digest> below;
    for (const Digest& digest : level) {
      if (gone.contains(digest.hash)) continue;
      auto directory = store::read_directory(cas_, digest);
      if (!directory) {
        if (directory.error().reason != "bad-directory") return forward(directory);
        return tl::unexpected<Error>(misbehaved(peer_, directory.error()));
      }
      for (const store::FileNode& file : directory->files) files.add(file.digest);
      for (const store::DirectoryNode& sub : directory->directories) {
        if (walked.insert(sub.digest.hash).second) below.push_back(sub.digest);
      }
    }
    level = std::move(below);
  }
  if (!missing.empty()) return missing;
  // Trees that unfold too far are refused before their files come: nothing could be done with them.
  for (const Digest& root : roots) {
    auto bounded = store::check_unfolded(cas_, root);
    if (!bounded) return tl::unexpected<Error>(misbehaved(peer_, bounded.error()));
  }
  for (const Digest& blob : blobs) files.add(blob);
  auto lacking = TRY(pull_blobs(files.list()));
  missing.insert(missing.end(), std::make_move_iterator(lacking.begin()),
                 std::make_move_iterator(lacking.end()));
  return missing;
}

Result<std::vector<Digest>> Transfer::pull_blobs(const std::vector<Digest>& digests) {
  std::vector<Digest> wanted;
  for (const Digest& digest : digests) {
    if (cas_.touch(digest)) continue;
    if (digest == store::empty_digest()) {
      CHECK(cas_.add(""));
      continue;
    }
    wanted.push_back(digest);
  }
  if (together_.claims == nullptr) return pull_absent(wanted);
  std::vector<Digest> missing;
  while (!wanted.empty()) {
    CHECK(check_cancelled());
    std::vector<Digest> taken;
    const std::vector<Digest> mine = together_.claims->take(wanted, taken);
    auto lacking = pull_absent(mine);
    together_.claims->release(mine);
    if (!lacking) return lacking;
    missing.insert(missing.end(), lacking->begin(), lacking->end());
    together_.claims->wait(taken, [this] { return cancelled(); });
    // What somebody else could not fetch is tried here.
    std::erase_if(taken, [this](const Digest& digest) { return cas_.touch(digest); });
    wanted = std::move(taken);
  }
  return missing;
}

Result<std::vector<Digest>> Transfer::pull_absent(const std::vector<Digest>& wanted) {
  const std::vector<Digest> still = together_.nearer ? together_.nearer(wanted) : wanted;
  if (still.empty()) return {};
  CHECK(learn_limit());
  std::mutex lock;
  std::vector<Digest> missing;
  CHECK(each(divide(still), [&](const std::vector<Digest>& batch) -> Status {
    std::vector<Digest> lacking;
    if (batch.size() == 1) {
      auto there = TRY(pull_one(batch.front()));
      if (!there) lacking.push_back(batch.front());
    } else {
      lacking = TRY(pull_batch(batch));
    }
    const std::lock_guard guard(lock);
    missing.insert(missing.end(), lacking.begin(), lacking.end());
    return {};
  }));
  return missing;
}

Result<std::vector<Digest>> Transfer::pull_found(const std::vector<Digest>& wanted) {
  CHECK(learn_limit());
  // One batch says by itself what isn't there; of many, those of single large blobs are saved.
  if (divide(wanted).size() < 2) return pull_absent(wanted);
  std::vector<Digest> missing = TRY(not_there(wanted));
  std::unordered_set<std::string> absent;
  for (const Digest& digest : missing) absent.insert(digest.hash);
  std::vector<Digest> there;
  for (const Digest& digest : wanted) {
    if (!absent.contains(digest.hash)) there.push_back(digest);
  }
  const auto gone = TRY(pull_absent(there));
  missing.insert(missing.end(), gone.begin(), gone.end());
  return missing;
}

Status Transfer::refuse(const Error& error) const {
  if (!together_.on_wrong) return tl::unexpected<Error>(error);
  together_.on_wrong(error);
  return {};
}

Result<std::vector<Digest>> Transfer::pull_batch(const std::vector<Digest>& digests) {
  std::unordered_map<std::string, const Digest*> wanted;
  for (const Digest& digest : digests) wanted.emplace(digest.hash, &digest);
  auto blobs = TRY(peer_.read_batch(digests));
  std::vector<Digest> missing;
  for (PeerBlob& blob : blobs) {
    const auto asked = wanted.find(blob.digest.hash);
    if (asked == wanted.end() || *asked->second != blob.digest) {
      return tl::unexpected<Error>(
          misbehaved(peer_, Error{{}, {}, fmt::format("blob {}", blob.digest.hash), {}, {}}));
    }
    wanted.erase(asked);
    if (blob.error) {
      if (blob.error->reason != "not-found") CHECK(refuse(*blob.error));
      missing.push_back(std::move(blob.digest));
      continue;
    }
    const Digest found = store::digest_of(blob.data);
    if (found != blob.digest) {
      CHECK(refuse(misbehaved(
          peer_, Error{{},
                       {},
                       fmt::format("Blob {} of {} bytes came with the content of {} with {} bytes",
                                   blob.digest.hash, blob.digest.size, found.hash, found.size),
                       {},
                       {}})));
      missing.push_back(std::move(blob.digest));
      continue;
    }
    CHECK(cas_.add(blob.data));
    moved_.bytes += blob.data.size();
    ++moved_.blobs;
  }
  // A server needn't fit all of them into an answer; one by one they come or fail.
  for (const Digest& digest : digests) {
    if (!wanted.contains(digest.hash)) continue;
    auto there = TRY(pull_one(digest));
    if (!there) missing.push_back(digest);
  }
  return missing;
}

Result<bool> Transfer::pull_one(const Digest& digest) {
  auto incoming = TRY(cas_.receive(digest));
  auto read = peer_.read_stream(digest, [&](std::string_view part) -> Status {
    CHECK(check_cancelled());
    return incoming.append(part);
  });
  if (read) read = incoming.finish();
  if (read) {
    moved_.bytes += static_cast<std::uint64_t>(digest.size);
    ++moved_.blobs;
    return true;
  }
  if (read.error().domain == "remote" && read.error().reason == "not-found") return false;
  if (read.error().reason != "corrupt-blob") return forward(read);
  CHECK(refuse(misbehaved(peer_, read.error())));
  return false;
}

Result<bool> Transfer::push(const std::vector<Digest>& roots, const std::vector<Digest>& blobs) {
  CHECK(learn_limit());
  Distinct all;
  for (const Digest& root : roots) {
    CHECK(store::for_each_blob(cas_, root, [&](const store::BlobUse& use) -> Status {
      all.add(use.digest);
      return {};
    }));
  }
  for (const Digest& blob : blobs) all.add(blob);
  const auto absent = TRY(not_there(all.list()));
  CHECK(each(divide(absent), [&](const std::vector<Digest>& batch) { return push_batch(batch); }));
  return !absent.empty();
}

Result<std::vector<Digest>> Transfer::not_there(const std::vector<Digest>& list) {
  std::vector<Digest> lacking;
  for (std::size_t at = 0; at < list.size(); at += kAskCount) {
    const std::vector<Digest> some(
        list.begin() + static_cast<std::ptrdiff_t>(at),
        list.begin() + static_cast<std::ptrdiff_t>(std::min(list.size(), at + kAskCount)));
    auto answer = TRY(peer_.missing(some));
    // Only digests that were asked about are sent: an answer with something else in it would have
    // us send any blob that is here.
    std::unordered_set<std::string> asked;
    for (const Digest& digest : some) asked.insert(digest.hash);
    for (Digest& digest : answer) {
      if (!asked.contains(digest.hash)) {
        return tl::unexpected<Error>(misbehaved(
            peer_,
            Error{{}, {}, fmt::format("blob {}, which it wasn't told of", digest.hash), {}, {}}));
      }
      lacking.push_back(std::move(digest));
    }
  }
  return lacking;
}

Status Transfer::push_batch(const std::vector<Digest>& digests) {
  if (digests.size() == 1 && static_cast<std::size_t>(digests.front().size) + kOverhead > limit_) {
    auto fd = TRY(cas_.open_blob(digests.front()));
    CHECK(peer_.write_stream(digests.front(), fd.get()));
    moved_.bytes += static_cast<std::uint64_t>(digests.front().size);
    ++moved_.blobs;
    return {};
  }
  std::vector<PeerBlob> blobs;
  std::uint64_t bytes = 0;
  for (const Digest& digest : digests) {
    auto data = TRY(cas_.read(digest));
    bytes += data.size();
    blobs.push_back({digest, std::move(data), {}});
  }
  auto wrong = TRY(peer_.write_batch(blobs));
  if (!wrong.empty()) return tl::unexpected<Error>(std::move(*wrong.front().error));
  moved_.bytes += bytes;
  moved_.blobs += blobs.size();
  return {};
}

}  // namespace sluice::remote
