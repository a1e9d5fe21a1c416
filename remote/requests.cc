#include "remote/requests.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/threads.h"
#include "base/try.h"
#include "model/remotes.h"
#include "remote/transfer.h"
#include "store/artifact.h"
#include "store/sources.h"

namespace sluice::remote {

namespace {

constexpr std::size_t kKeyShown = 8;
constexpr std::int64_t kCheckRetries = 2;
constexpr std::int64_t kCheckTimeout = 10;
constexpr std::int64_t kMessageLimit = std::int64_t{64} << 20;

// What BuildStream finds out when it first looks at a remote, and then does without it. Here it is
// found out on the way: who isn't allowed to push learns it with the first blob.
bool is_of_no_use(const Error& error, bool reached) {
  if (error.domain != "remote") return false;
  return error.reason == "denied" || error.reason == "unsupported" ||
         (error.reason == "unreachable" && !reached);
}

bool is_local(const Error& error) { return error.domain != "remote"; }

class Request {
 public:
  Request(const RemoteRequest& request, store::Cas& cas, RemoteReply& reply)
      : request_(request), cas_(cas), reply_(reply) {}

  Status connect(const Connect& connect, bool push) {
    const bool looks = request_.verb == "check" || request_.verb == "find-artifacts";
    for (const RemoteSpec& spec : request_.remotes) {
      if (spec.type != "all" && spec.type != "index" && spec.type != "storage" &&
          spec.type != model::kBacking) {
        return fail("remote", "bad-remote",
                    fmt::format("{}: '{}' is no type of a remote", spec.url, spec.type));
      }
      if (push && !spec.push) continue;
      RemoteSpec with = spec;
      // Whether one is there is soon known; for what is on the way it is worth waiting.
      if (request_.verb == "check") {
        with.retry_limit = with.retry_limit.value_or(kCheckRetries);
        with.request_timeout = with.request_timeout.value_or(kCheckTimeout);
      }
      auto peer = connect(with);
      if (!peer && looks && peer.error().reason == "bad-remote") {
        // As of one that doesn't answer: others may be there, and what is here.
        note("warn",
             fmt::format("Failed to initialize remote {}: {}", spec.url, peer.error().message));
        continue;
      }
      if (!peer) return forward(peer);
      remotes_.push_back({std::move(*peer), false, false, false});
    }
    return {};
  }

  Status run() {
    if (request_.verb == "check") return check();
    if (request_.verb == "find-artifacts") return find_artifacts();
    if (request_.verb == "pull-artifact") return pull_artifact();
    if (request_.verb == "pull-sources") return pull_sources();
    if (request_.verb == "keep-artifact") return keep_artifact();
    if (request_.verb == "keep-sources") return keep_sources();
    auto pushed = request_.verb == "push-artifact" ? push_artifact() : push_sources();
    return pushed ? no_room() : pushed;
  }

  void finish() {
    reply_.bytes = moved_.bytes;
    reply_.blobs = moved_.blobs;
    for (const Remote& remote : remotes_) {
      if (remote.reached) reply_.reached.push_back(remote.url());
    }
  }

 private:
  struct Remote {
    std::unique_ptr<Peer> peer;
    bool reached = false;
    bool lost = false;
    bool full = false;
    const std::string& url() const { return peer->spec().url; }
    bool index() const {
      return peer->spec().type != "storage" && peer->spec().type != model::kBacking;
    }
    bool storage() const { return peer->spec().type != "index"; }
    bool backing() const { return peer->spec().type == model::kBacking; }
  };

  void note(std::string level, std::string_view text) {
    reply_.notes.push_back({std::move(level), without_credentials(text)});
  }

  // True: the remote is left out from now on, which was said. Otherwise the error is the caller's.
  bool left_out(Remote& remote, const Error& error) {
    if (!is_of_no_use(error, remote.reached)) return false;
    remote.lost = true;
    note("warn", fmt::format("Failed to initialize remote {}: {}", remote.url(), error.message));
    return true;
  }

  template <typename Use>
  void for_each(bool (Remote::*role)() const, const Use& use) {
    for (Remote& remote : remotes_) {
      if (remote.lost || !(remote.*role)()) continue;
      if (!use(remote)) return;
    }
  }

  // One that doesn't answer takes many seconds: they are asked at once.
  Status check() {
    std::vector<Status> results(remotes_.size());
    Helpers helpers;
    for (std::size_t i = 0; i < remotes_.size(); ++i) {
      const auto ask = [&remote = remotes_[i], &result = results[i]] {
        if (remote.index()) result = remote.peer->check_index();
        if (!result || !remote.storage()) return;
        if (auto limit = remote.peer->batch_limit(); !limit) result = forward(limit);
      };
      if (!helpers.add(ask)) ask();
    }
    helpers.join();
    for (std::size_t i = 0; i < remotes_.size(); ++i) {
      if (results[i]) {
        remotes_[i].reached = reply_.done = true;
      } else {
        note("warn", fmt::format("Failed to initialize remote {}: {}", remotes_[i].url(),
                                 results[i].error().message));
      }
    }
    return {};
  }

  // A call for each: the servers answer for one of several names, and don't say that they lack the
  // others.
  Status find_artifacts() {
    std::vector<bool> found(request_.names.size());
    Status result;
    for_each(&Remote::index, [&](Remote& remote) {
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i]) continue;
        auto answer = remote.peer->fetch_blob({std::string(kArtifactUrn) + request_.names[i]});
        if (!answer) {
          if (left_out(remote, answer.error())) return true;
          result = forward(answer);
          return false;
        }
        remote.reached = true;
        found[i] = answer->has_value();
      }
      return true;
    });
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i]) reply_.names.push_back(request_.names[i]);
    }
    reply_.done = !reply_.names.empty();
    return result;
  }

  static std::string brief(const std::string& key) { return key.substr(0, kKeyShown); }

  // What the first remote that knows one of the names says; std::nullopt: none does. As BuildStream
  // an error only when something failed and nobody knew it.
  Result<std::optional<Digest>> look_up(const std::string& what, const std::string& uri,
                                        bool directory = false) {
    std::optional<Digest> found;
    std::optional<Error> failed;
    for_each(&Remote::index, [&](Remote& remote) {
      note("status", fmt::format("Pulling {} <- {}", what, remote.url()));
      auto answer =
          directory ? remote.peer->fetch_directory({uri}) : remote.peer->fetch_blob({uri});
      if (!answer) {
        if (left_out(remote, answer.error())) return true;
        note("warn", fmt::format("Could not pull from remote {}: {}", remote.url(),
                                 answer.error().message));
        failed = std::move(answer.error());
        return true;
      }
      remote.reached = true;
      found = std::move(*answer);
      if (!found)
        note("info", fmt::format("Remote ({}) does not have {} cached", remote.url(), what));
      return !found;
    });
    if (!found && failed) {
      failed->message = fmt::format("Failed to pull {}: {}", what, failed->message);
      return tl::unexpected<Error>(std::move(*failed));
    }
    return found;
  }

  // Runs `pull` with each storage until one had everything. `pull` gives what the remote didn't
  // have.
  using Pull = std::function<Result<std::vector<Digest>>(Transfer&)>;
  Result<bool> from_storage(const std::string& what, const Pull& pull,
                            bool (Remote::*role)() const = &Remote::storage) {
    bool whole = false;
    std::optional<Error> failed;
    for_each(role, [&](Remote& remote) {
      note("status", fmt::format("Pulling data for {} <- {}", what, remote.url()));
      Transfer transfer(cas_, *remote.peer, moved_);
      auto missing = pull(transfer);
      remote.reached = remote.reached || transfer.answered();
      if (!missing) {
        if (is_local(missing.error())) {
          failed = std::move(missing.error());
          return false;
        }
        if (left_out(remote, missing.error())) return true;
        note("warn", fmt::format("Could not pull from remote {}: {}", remote.url(),
                                 missing.error().message));
        failed = std::move(missing.error());
        return true;
      }
      if (missing->empty()) {
        reply_.url = remote.url();
        whole = true;
        return false;
      }
      note("info", fmt::format("Remote cas ({}) does not have blob {} cached", remote.url(),
                               missing->front().hash));
      return true;
    });
    if (!whole && failed) {
      if (!is_local(*failed))
        failed->message = fmt::format("Failed to pull {}: {}", what, failed->message);
      return tl::unexpected<Error>(std::move(*failed));
    }
    return whole;
  }

  // The small message that names the rest.
  Result<std::string> message(Transfer& transfer, const Digest& digest,
                              std::vector<Digest>& missing) {
    if (digest.size > kMessageLimit)
      return fail("remote", "misbehaved", fmt::format("A message of {} bytes", digest.size));
    auto lacking = TRY(transfer.pull({}, {digest}));
    if (!lacking.empty()) {
      missing = std::move(lacking);
      return std::string();
    }
    return cas_.read(digest);
  }

  Status pull_artifact() {
    for (const std::string& key : request_.keys) {
      auto done = TRY(restore_artifact(key));
      if (!done) done = TRY(pull_artifact(key));
      if (done) {
        reply_.done = true;
        reply_.key = key;
        return {};
      }
    }
    return {};
  }

  Result<bool> pull_artifact(const std::string& key) {
    const std::string ref = store::artifact_ref(request_.project, request_.element, key);
    const std::string what = "artifact " + brief(key);
    auto digest = TRY(look_up(what, std::string(kArtifactUrn) + ref));
    if (!digest) return false;
    std::string bytes;
    auto whole = from_storage(what, [&](Transfer& transfer) -> Result<std::vector<Digest>> {
      std::vector<Digest> missing;
      auto read = TRY(message(transfer, *digest, missing));
      if (!missing.empty()) return missing;
      auto info = store::decode_artifact(read);
      if (!info) return fail("remote", "misbehaved", info.error().message);
      bytes = std::move(read);
      return pull_blobs(transfer, ref, *info);
    });
    if (!whole) return forward(whole);
    store::Artifacts artifacts(cas_);
    if (!*whole) {
      // A server may have what an artifact needs and not what it was built from.
      if (!request_.buildtree || bytes.empty()) return false;
      auto info = store::decode_artifact(bytes);
      if (!info || !artifacts.missing(*info).empty()) return false;
      reply_.skipped.push_back("The buildtree is not on the remote");
    }
    if (auto adopted = artifacts.adopt(ref, bytes, true); !adopted) {
      if (adopted.error().reason != "bad-artifact") return forward(adopted);
      return fail("remote", "misbehaved",
                  fmt::format("Failed to pull {}: {}", what, adopted.error().message));
    }
    note("info", fmt::format("Pulled {} <- {}", what, reply_.url));
    return true;
  }

  // Pulls what an artifact is made of; gives what isn't there.
  Result<std::vector<Digest>> pull_blobs(Transfer& transfer, const std::string& ref,
                                         const store::ArtifactInfo& info) const {
    std::vector<Digest> roots, blobs{info.low_diversity_meta, info.high_diversity_meta};
    if (!info.files.empty()) roots.push_back(info.files);
    if (!info.public_data.empty()) blobs.push_back(info.public_data);
    for (const auto& log : info.logs) blobs.push_back(log.digest);
    for (const Digest& blob : blobs) {
      if (!store::valid_digest(blob))
        return fail("remote", "misbehaved", fmt::format("The artifact {} names no metadata", ref));
    }
    auto lacking = transfer.pull(roots, blobs);
    if (!lacking || !lacking->empty() || !request_.buildtree) return lacking;
    return transfer.pull(extras(info), {});
  }

  // An artifact that is here by name, and lacks blobs, gets them from the storage service that
  // backs this store. False: there is no such artifact or service, or the blobs aren't there.
  Result<bool> restore_artifact(const std::string& key) {
    const bool backed = std::any_of(remotes_.begin(), remotes_.end(),
                                    [](const Remote& remote) { return remote.backing(); });
    if (!backed) return false;
    const std::string ref = store::artifact_ref(request_.project, request_.element, key);
    const auto info = TRY(store::Artifacts(cas_).peek(ref));
    if (!info) return false;
    const std::string what = "artifact " + brief(key);
    auto whole = TRY(from_storage(
        what, [&](Transfer& transfer) { return pull_blobs(transfer, ref, *info); },
        &Remote::backing));
    if (whole) note("info", fmt::format("Pulled {} <- {}", what, reply_.url));
    return whole;
  }

  // Has all that the artifact is made of, and is here, be with the storage service.
  Status keep_artifact() {
    store::Artifacts artifacts(cas_);
    for (const std::string& key : request_.keys) {
      const auto info =
          TRY(artifacts.lookup_ref(store::artifact_ref(request_.project, request_.element, key)));
      if (!info) continue;
      reply_.key = key;
      std::vector<Digest> roots, blobs;
      for (const Digest& root : extras(*info)) {
        if (artifacts.tree_complete(root)) roots.push_back(root);
      }
      if (!info->files.empty()) roots.push_back(info->files);
      for (const Digest* blob :
           {&info->public_data, &info->low_diversity_meta, &info->high_diversity_meta}) {
        if (!blob->empty()) blobs.push_back(*blob);
      }
      for (const auto& log : info->logs) blobs.push_back(log.digest);
      return keep("artifact " + brief(key), roots, blobs);
    }
    return fail("remote", "not-cached", fmt::format("{} is not cached", request_.element));
  }

  Status keep_sources() {
    store::SourceRefs refs(cas_);
    const std::string& key = request_.keys.front();
    const auto root = TRY(refs.lookup_element(key));
    if (!root)
      return fail("remote", "not-cached",
                  fmt::format("The sources of {} are not cached", request_.element));
    reply_.key = key;
    return keep("source " + brief(key), {*root}, {});
  }

  // Unlike a cache's, an error of the storage service isn't done without: what it doesn't have may
  // be nowhere, one day.
  Status keep(const std::string& what, const std::vector<Digest>& roots,
              const std::vector<Digest>& blobs) {
    for (Remote& remote : remotes_) {
      Transfer transfer(cas_, *remote.peer, moved_);
      auto sent = transfer.push(roots, blobs);
      if (!sent) {
        if (!is_local(sent.error()))
          sent.error().message = fmt::format("Failed to keep {} in the storage service {}: {}",
                                             what, remote.url(), sent.error().message);
        return forward(sent);
      }
      remote.reached = true;
      reply_.url = remote.url();
      reply_.done = reply_.done || *sent;
    }
    return {};
  }

  static std::vector<Digest> extras(const store::ArtifactInfo& info) {
    std::vector<Digest> roots;
    for (const Digest* root : {&info.buildtree, &info.sources, &info.buildroot}) {
      if (!root->empty()) roots.push_back(*root);
    }
    if (info.sandbox)
      roots.insert(roots.end(), info.sandbox->subsandboxes.begin(),
                   info.sandbox->subsandboxes.end());
    return roots;
  }

  // The data to every storage. One that has no room is left out, also of the names if it is for
  // both: the others get what they can; it is an error when they have it (no_room()).
  Status to_storage(const std::string& what, const std::vector<Digest>& roots,
                    const std::vector<Digest>& blobs) {
    Status result;
    bool nameless = false;  // no index could keep its names
    for_each(&Remote::storage, [&](Remote& remote) {
      note("status", fmt::format("Pushing data from {} -> {}", what, remote.url()));
      Transfer transfer(cas_, *remote.peer, moved_);
      auto sent = transfer.push(roots, blobs);
      remote.reached = remote.reached || transfer.answered();
      if (!sent) {
        if (left_out(remote, sent.error())) return true;
        if (sent.error().domain == "remote" && sent.error().reason == "full") {
          remote.full = true;
          nameless = nameless || !remote.index();
          no_room_ = std::move(sent.error());
          no_room_->message =
              fmt::format("Failed to push {} blobs: Remote {} has no room for {}: {}",
                          what.substr(0, what.find(' ')), remote.url(), what, no_room_->message);
          return true;
        }
        if (!is_local(sent.error()))
          sent.error().message = fmt::format("Failed to push {} blobs: {}",
                                             what.substr(0, what.find(' ')), sent.error().message);
        result = forward(sent);
        return false;
      }
      note("info", *sent ? fmt::format("Pushed data from {} -> {}", what, remote.url())
                         : fmt::format("Remote ({}) already has all data of {} cached",
                                       remote.url(), what));
      return true;
    });
    return result && nameless ? no_room() : result;
  }

  Status no_room() const { return no_room_ ? Status(tl::unexpected<Error>(*no_room_)) : Status(); }

  // Puts the names into every index that doesn't have them.
  template <typename Has, typename Put>
  Status to_index(const std::string& what, const Has& has, const Put& put, bool& pushed) {
    Status result;
    for_each(&Remote::index, [&](Remote& remote) {
      if (remote.full) return true;
      note("status", fmt::format("Pushing {} -> {}", what, remote.url()));
      auto there = has(*remote.peer);
      if (!there) {
        if (left_out(remote, there.error())) return true;
        result = forward(there);
        return false;
      }
      remote.reached = true;
      if (*there) {
        note("info", fmt::format("Remote ({}) already has {} cached", remote.url(), what));
        return true;
      }
      if (auto done = put(*remote.peer); !done) {
        result = std::move(done);
        return false;
      }
      note("info", fmt::format("Pushed {} -> {}", what, remote.url()));
      reply_.url = remote.url();
      pushed = true;
      return true;
    });
    return result;
  }

  // An index may have lost, between the two, what the storage had just taken: then all once more.
  template <typename Once>
  static Status twice(const Once& once) {
    auto done = once();
    if (!done && done.error().domain == "remote" &&
        done.error().message.find("FAILED_PRECONDITION") != std::string::npos)
      done = once();
    return done;
  }

  Status push_artifact() {
    store::Artifacts artifacts(cas_);
    std::string ref;
    std::optional<store::ArtifactInfo> info;
    for (const std::string& key : request_.keys) {
      ref = store::artifact_ref(request_.project, request_.element, key);
      info = TRY(artifacts.lookup_ref(ref));
      reply_.key = key;
      if (info) break;
    }
    if (!info)
      return fail("remote", "not-cached",
                  fmt::format("Push failed: {} is not cached", request_.element));
    if (info->was_workspaced ||
        std::any_of(info->build_deps.begin(), info->build_deps.end(),
                    [](const auto& dependency) { return dependency.was_workspaced; })) {
      note("warn", "Not pushing tainted artifact.");
      return {};
    }
    for (const auto& [name, tree] :
         {std::pair{"buildtree", &info->buildtree}, {"buildroot", &info->buildroot}}) {
      if (tree->empty() || artifacts.tree_complete(*tree)) continue;
      return fail("remote", "incomplete-artifact",
                  fmt::format("Push failed: {} of {} is not cached", name, request_.element));
    }
    auto bytes = TRY(artifacts.message(ref));
    if (!bytes)
      return fail("remote", "not-cached",
                  fmt::format("Push failed: {} is not cached", request_.element));
    auto digest = TRY(cas_.add(*bytes));

    std::vector<Digest> directories;
    if (!info->files.empty()) directories.push_back(info->files);
    for (const Digest& root : extras(*info)) {
      if (artifacts.tree_complete(root)) directories.push_back(root);
    }
    std::vector<Digest> blobs{info->low_diversity_meta, info->high_diversity_meta};
    for (const auto& log : info->logs) blobs.push_back(log.digest);
    if (!info->public_data.empty()) blobs.push_back(info->public_data);
    std::vector<Digest> sent = blobs;
    sent.push_back(digest);

    std::vector<std::string> uris;
    for (const std::string* key : {&info->strong_key, &info->weak_key}) {
      std::string uri =
          std::string(kArtifactUrn) + store::artifact_ref(request_.project, request_.element, *key);
      if (uris.empty() || uris.front() != uri) uris.push_back(std::move(uri));
    }
    const std::string what = "artifact " + brief(reply_.key);
    return twice([&]() -> Status {
      CHECK(to_storage(what, directories, sent));
      return to_index(
          what,
          [&](Peer& peer) -> Result<bool> {
            // Under each of its keys: BuildStream asks for both at once, and is content with the
            // first.
            for (const std::string& uri : uris) {
              auto known = TRY(peer.fetch_blob({uri}));
              if (!known || *known != digest) return false;
            }
            return true;
          },
          [&](Peer& peer) { return peer.push_blob(uris, digest, blobs, directories); },
          reply_.done);
    });
  }

  Status pull_sources() {
    store::SourceRefs refs(cas_);
    if (!request_.keys.empty()) {
      const std::string& key = request_.keys.front();
      const std::string what = "source " + brief(key);
      auto digest = TRY(look_up(what, std::string(kSourceUrn) + key));
      if (digest) {
        std::string bytes;
        auto whole = TRY(from_storage(what, [&](Transfer& transfer) -> Result<std::vector<Digest>> {
          std::vector<Digest> missing;
          auto read = TRY(message(transfer, *digest, missing));
          if (!missing.empty()) return missing;
          auto root = store::SourceRefs::decode(read);
          if (!root) return fail("remote", "misbehaved", root.error().message);
          bytes = std::move(read);
          return transfer.pull({*root}, {});
        }));
        if (whole) {
          CHECK(refs.adopt_element(key, bytes));
          note("info", fmt::format("Pulled {} <- {}", what, reply_.url));
          reply_.done = true;
          reply_.key = key;
          return {};
        }
      }
    }
    for (const SourceName& source : request_.sources) {
      auto known = TRY(refs.lookup_source(source.kind, source.key));
      if (known) continue;
      const std::string what = "source " + brief(source.key);
      auto root =
          TRY(look_up(what, fmt::format("{}{}/{}", kSourceUrn, source.kind, source.key), true));
      if (!root) continue;
      auto whole =
          TRY(from_storage(what, [&](Transfer& transfer) { return transfer.pull({*root}, {}); }));
      if (!whole) continue;
      CHECK(refs.store_source(source.kind, source.key, *root));
      note("info", fmt::format("Pulled {} <- {}", what, reply_.url));
      reply_.sources.push_back(source);
    }
    return {};
  }

  Status push_sources() {
    store::SourceRefs refs(cas_);
    for (const SourceName& source : request_.sources) {
      auto root = TRY(refs.lookup_source(source.kind, source.key));
      if (!root) continue;
      const std::string uri = fmt::format("{}{}/{}", kSourceUrn, source.kind, source.key);
      bool pushed = false;
      CHECK(push_one(
          "source " + brief(source.key), {*root}, {},
          [&](Peer& peer) -> Result<bool> {
            auto known = TRY(peer.fetch_directory({uri}));
            return known && *known == *root;
          },
          [&](Peer& peer) { return peer.push_directory({uri}, *root); }, pushed));
      if (pushed) reply_.sources.push_back(source);
      reply_.done = reply_.done || pushed;
    }
    if (request_.keys.empty()) return {};
    const std::string& key = request_.keys.front();
    auto root = TRY(refs.lookup_element(key));
    auto bytes = TRY(refs.element_message(key));
    if (!root || !bytes)
      return fail("remote", "not-cached",
                  fmt::format("Push failed: the sources of {} are not cached", request_.element));
    auto digest = TRY(cas_.add(*bytes));
    const std::string uri = std::string(kSourceUrn) + key;
    reply_.key = key;
    return push_one(
        "source " + brief(key), {*root}, {digest},
        [&](Peer& peer) -> Result<bool> {
          auto known = TRY(peer.fetch_blob({uri}));
          return known && *known == digest;
        },
        [&](Peer& peer) { return peer.push_blob({uri}, digest, {}, {*root}); }, reply_.done);
  }

  template <typename Has, typename Put>
  Status push_one(const std::string& what, const std::vector<Digest>& roots,
                  const std::vector<Digest>& blobs, const Has& has, const Put& put, bool& pushed) {
    return twice([&]() -> Status {
      CHECK(to_storage(what, roots, blobs));
      return to_index(what, has, put, pushed);
    });
  }

  const RemoteRequest& request_;
  store::Cas& cas_;
  std::optional<Error> no_room_;
  RemoteReply& reply_;
  std::vector<Remote> remotes_;
  Moved moved_;
};

}  // namespace

Result<RemoteReply> serve(const RemoteRequest& request, const Connect& connect) {
  const std::string_view verbs[] = {"check",         "find-artifacts", "pull-artifact",
                                    "push-artifact", "pull-sources",   "push-sources",
                                    "keep-artifact", "keep-sources"};
  if (std::find(std::begin(verbs), std::end(verbs), request.verb) == std::end(verbs)) {
    return fail("remote", "bad-request", fmt::format("There is no verb '{}'", request.verb));
  }
  if (request.verb.ends_with("artifact") &&
      (request.keys.empty() || request.project.empty() || request.element.empty())) {
    return fail("remote", "bad-request", "An artifact needs a project, an element and a key");
  }
  if (request.verb == "keep-sources" && request.keys.empty())
    return fail("remote", "bad-request", "Sources need a key");
  auto cas = TRY(store::Cas::open(request.cachedir));
  RemoteReply reply;
  Request work(request, cas, reply);
  CHECK(work.connect(connect, request.verb.starts_with("push")));
  if (auto done = work.run(); !done) {
    // Warnings that were said on the way to the error go with it.
    for (const RemoteNote& note : reply.notes) {
      if (note.level == "warn")
        done.error().detail += (done.error().detail.empty() ? "" : "\n") + note.text;
    }
    return forward(done);
  }
  work.finish();
  return reply;
}

}  // namespace sluice::remote
