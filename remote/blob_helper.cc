#include "remote/blob_helper.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/threads.h"
#include "base/try.h"
#include "store/artifact.h"
#include "store/sources.h"

namespace sluice::remote {

namespace {

using wire::HelperReply;
using wire::HelperRequest;
using wire::HelperVerb;
using wire::JobInput;

constexpr std::chrono::seconds kLongestPause{15};
// A server that says that it failed may have been ending, or have no memory for a moment.
constexpr unsigned kFailures = 4;
// How long an upload that the session has whole waits for the storage service: whoever needs it
// next should find it there, and its result shouldn't wait for a service that is slow.
constexpr std::chrono::seconds kForStorage{10};
constexpr std::int64_t kMessageLimit = std::int64_t{64} << 20;
constexpr std::string_view kArtifactRefs = "artifacts/refs/";
constexpr std::string_view kElementSources = "elementsources/";
constexpr std::string_view kSourceProtos = "source_protos/";

tl::unexpected<Error> bad_input(const JobInput& input) {
  return fail("remote", "bad-request",
              fmt::format("'{}' with the name '{}' is no input of a job", input.kind, input.ref));
}

bool is_message(const JobInput& input) {
  return input.kind == "artifact" || input.kind == "source";
}

// What an artifact needs to be cached, and the trees that an incremental build needs besides.
void add_needs(const store::ArtifactInfo& info, std::vector<Digest>& roots,
               std::vector<Digest>& blobs) {
  for (const Digest* root : {&info.files, &info.buildtree, &info.sources}) {
    if (!root->empty()) roots.push_back(*root);
  }
  for (const Digest* blob :
       {&info.public_data, &info.low_diversity_meta, &info.high_diversity_meta}) {
    if (!blob->empty()) blobs.push_back(*blob);
  }
  for (const auto& log : info.logs) blobs.push_back(log.digest);
}

}  // namespace

struct BlobHelper::Work {
  HelperRequest request;
  std::atomic<bool> cancelled{false};
  Moved moved, near;
  std::vector<Digest> from_session;  // blobs that the storage service didn't have
  std::shared_ptr<NearStorage::Keep> kept;
};

BlobHelper::BlobHelper(wire::HelperOpen open, store::Cas cas, std::unique_ptr<Peer> peer,
                       const Connect& connect, Answer answer, std::chrono::milliseconds first_pause)
    : open_(std::move(open)), cas_(std::move(cas)), complete_(cas_), peer_(std::move(peer)),
      near_(open_.storage ? std::make_unique<NearStorage>(cas_, *open_.storage, connect) : nullptr),
      answer_(std::move(answer)), first_pause_(first_pause) {}

Result<std::unique_ptr<BlobHelper>> BlobHelper::open(const wire::HelperOpen& open,
                                                     const Connect& connect, Answer answer,
                                                     std::chrono::milliseconds first_pause) {
  auto cas = TRY(store::Cas::open(open.cachedir));
  CHECK(cas.sweep_temporary());
  auto space = TRY(store::Space::open(open.cachedir));
  RemoteSpec spec = open.cas;
  // Tries are counted here, where they can be cancelled; a stream that broke goes on by itself.
  spec.retry_limit = spec.retry_limit.value_or(1);
  spec.retry_delay = spec.retry_delay.value_or(200);
  auto peer = TRY(connect(spec, open.server_name));
  std::unique_ptr<BlobHelper> helper(new BlobHelper(open, std::move(cas), std::move(peer), connect,
                                                    std::move(answer), first_pause));
  helper->expiries_ = space.expiries();
  helper->space_.emplace(std::move(space));
  return helper;
}

BlobHelper::~BlobHelper() {
  std::unique_lock guard(lock_);
  for (const auto& [id, work] : works_) work->cancelled = true;
  changed_.notify_all();
  changed_.wait(guard, [this] { return threads_ == 0; });
}

void BlobHelper::take(HelperRequest request) {
  if (request.verb == HelperVerb::kForget) return complete_.invalidate();
  auto work = std::make_shared<Work>();
  work->request = std::move(request);
  {
    const std::lock_guard guard(lock_);
    const std::uint64_t id = work->request.id;
    if (work->request.verb == HelperVerb::kCancel) {
      if (const auto found = works_.find(id); found != works_.end())
        found->second->cancelled = true;
      changed_.notify_all();
      return;
    }
    works_[id] = work;
    ++threads_;
    if (work->request.verb == HelperVerb::kFetch) ++fetching_;
  }
  auto thread = start_thread([this, work] { run(work); });
  if (thread) return thread->detach();
  // Without a thread of its own it is done in ours, and others wait.
  run(work);
}

void BlobHelper::run(const std::shared_ptr<Work>& work) {
  HelperReply reply;
  reply.id = work->request.id;
  auto done = do_patiently(*work, reply);
  if (!done) reply.error = wire::ErrorBody::from(done.error());
  reply.bytes = work->moved.bytes;
  reply.blobs = work->moved.blobs;
  reply.storage_bytes = work->kept ? work->kept->moved.bytes : work->near.bytes;
  if (near_ && work->request.verb != HelperVerb::kPrefetch) reply.warnings = near_->take_warnings();
  answer(reply);
  const std::lock_guard guard(lock_);
  if (work->request.verb == HelperVerb::kFetch) --fetching_;
  if (const auto found = works_.find(reply.id); found != works_.end() && found->second == work)
    works_.erase(found);
  --threads_;
  changed_.notify_all();
}

void BlobHelper::answer(const HelperReply& reply) {
  const std::lock_guard guard(answer_lock_);
  answer_(reply);
}

bool BlobHelper::pause(Work& work, std::chrono::milliseconds time) {
  std::unique_lock guard(lock_);
  return !changed_.wait_for(guard, time, [&] { return work.cancelled.load(); });
}

Status BlobHelper::do_patiently(Work& work, HelperReply& reply) {
  if (work.request.verb == HelperVerb::kPrefetch) {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [&] { return work.cancelled || fetching_ == 0; });
  }
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> until;
  std::chrono::milliseconds time = first_pause_;
  unsigned failures = 0;
  for (;;) {
    if (work.cancelled) return fail("remote", "cancelled", "The transfer was cancelled");
    const std::uint64_t before = work.moved.bytes;
    auto done = do_once(work, reply);
    if (done || done.error().domain != "remote") return done;
    const std::string& reason = done.error().reason;
    if (reason != "unreachable" && (reason != "remote-failed" || ++failures > kFailures))
      return done;
    // A server that gave something was there: its time begins anew.
    if (!until || work.moved.bytes != before) {
      until = Clock::now() + std::chrono::seconds(open_.patience_s);
      time = first_pause_;
    }
    if (Clock::now() >= *until) return done;
    HelperReply waiting;
    waiting.id = reply.id;
    waiting.waits = done.error().message;
    answer(waiting);
    if (!pause(work, time)) return fail("remote", "cancelled", "The transfer was cancelled");
    time = std::min<std::chrono::milliseconds>(2 * time, kLongestPause);
  }
}

Status BlobHelper::do_once(Work& work, HelperReply& reply) {
  doubt();
  return work.request.verb == HelperVerb::kUpload ? upload(work, reply) : fetch(work);
}

// What was known to be whole isn't, once something has expired.
void BlobHelper::doubt() {
  const std::uint64_t now = space_->expiries();
  if (expiries_.exchange(now) != now) complete_.invalidate();
}

Status BlobHelper::fetch(Work& work) {
  Together together;
  together.claims = &claims_;
  together.cancelled = &work.cancelled;
  if (near_) {
    together.nearer = [&](const std::vector<Digest>& wanted) {
      auto still = near_->pull(wanted, work.near, work.cancelled);
      work.from_session.insert(work.from_session.end(), still.begin(), still.end());
      return still;
    };
  }
  Transfer transfer(cas_, *peer_, work.moved, std::move(together));
  std::vector<Digest> roots, blobs, messages;
  for (const JobInput& input : work.request.inputs) {
    if (!store::valid_digest(input.digest)) return bad_input(input);
    if (input.kind == "tree" && input.ref.empty()) {
      roots.push_back(input.digest);
    } else if (input.kind == "blob" && input.ref.empty()) {
      blobs.push_back(input.digest);
    } else if (is_message(input) && input.digest.size <= kMessageLimit) {
      messages.push_back(input.digest);
    } else {
      return bad_input(input);
    }
  }
  const auto missing = [&](const Digest& digest) {
    return fail(
        "remote", "missing-input",
        fmt::format("The session's store does not have blob {}, which the job needs", digest.hash));
  };
  // Messages come first, since they say what else there is to come.
  if (!messages.empty()) {
    const auto lacking = TRY(transfer.pull({}, messages));
    if (!lacking.empty()) return missing(lacking.front());
  }
  for (const JobInput& input : work.request.inputs) {
    if (input.kind == "artifact") {
      const auto info = store::decode_artifact(TRY(cas_.read(input.digest)));
      if (!info) return fail("remote", "misbehaved", info.error().message);
      add_needs(*info, roots, blobs);
    } else if (input.kind == "source") {
      const auto root = store::SourceRefs::decode(TRY(cas_.read(input.digest)));
      if (!root) return fail("remote", "misbehaved", root.error().message);
      roots.push_back(*root);
    }
  }
  std::erase_if(roots, [this](const Digest& root) { return complete_.tree(root); });
  const auto lacking = TRY(transfer.pull(roots, blobs));
  if (!lacking.empty()) return missing(lacking.front());
  for (const Digest& root : roots) complete_.note_tree(root);
  // Others who need these find them there.
  if (!work.from_session.empty()) near_->keep_fetched(std::exchange(work.from_session, {}));
  if (work.request.verb == HelperVerb::kPrefetch) return {};
  for (const JobInput& input : work.request.inputs) {
    if (is_message(input)) CHECK(adopt(input, TRY(cas_.read(input.digest))));
  }
  return {};
}

// Writes the ref of an input, by the functions that know what may be one.
Status BlobHelper::adopt(const JobInput& input, const std::string& bytes) {
  std::string_view ref = input.ref;
  const auto behind = [&](std::string_view prefix) {
    if (!ref.starts_with(prefix)) return false;
    ref.remove_prefix(prefix.size());
    return true;
  };
  if (input.kind == "artifact" && behind(kArtifactRefs))
    return store::Artifacts(cas_, &complete_).adopt(ref, bytes, false);
  store::SourceRefs sources(cas_, &complete_);
  if (input.kind == "source" && behind(kElementSources)) return sources.adopt_element(ref, bytes);
  if (input.kind == "source" && behind(kSourceProtos)) {
    const std::size_t slash = ref.find('/');
    if (slash != std::string_view::npos)
      return sources.store_source(ref.substr(0, slash), ref.substr(slash + 1),
                                  TRY(store::SourceRefs::decode(bytes)));
  }
  return bad_input(input);
}

Status BlobHelper::upload(Work& work, HelperReply& reply) {
  Together together;
  together.cancelled = &work.cancelled;
  Transfer transfer(cas_, *peer_, work.moved, std::move(together));
  std::vector<Digest> roots, blobs;
  if (!work.request.ref.empty()) {
    const store::Artifacts artifacts(cas_, &complete_);
    const auto bytes = TRY(artifacts.message(work.request.ref));
    if (!bytes)
      return fail("remote", "not-cached",
                  fmt::format("The artifact {} is not in the runner's store", work.request.ref));
    const auto info = TRY(store::decode_artifact(*bytes));
    reply.artifact = TRY(cas_.add(*bytes));
    blobs.push_back(reply.artifact);
    add_needs(info, roots, blobs);
    if (!info.buildroot.empty()) roots.push_back(info.buildroot);
    if (info.sandbox)
      roots.insert(roots.end(), info.sandbox->subsandboxes.begin(),
                   info.sandbox->subsandboxes.end());
  }
  struct stat file {};
  if (!work.request.log.empty() && ::lstat(work.request.log.c_str(), &file) == 0 &&
      S_ISREG(file.st_mode)) {
    reply.log = TRY(cas_.add_file(work.request.log));
    blobs.push_back(reply.log);
  }
  if (roots.empty() && blobs.empty()) return {};
  // A request that is tried again offers it once.
  if (near_ && !work.kept) {
    work.kept = std::make_shared<NearStorage::Keep>();
    work.kept->roots = roots;
    work.kept->blobs = blobs;
    near_->keep_made(work.kept);
  }
  CHECK(transfer.push(roots, blobs));
  if (work.kept) near_->await(*work.kept, kForStorage, work.cancelled);
  return {};
}

}  // namespace sluice::remote
