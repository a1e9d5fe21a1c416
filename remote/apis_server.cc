#include "remote/apis_server.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "remote/actions.h"
#include "remote/cas_server.h"
#include "remote/connection.h"
#include "remote/transfer.h"
#include "store/directory.h"

namespace sluice::remote {

namespace {

namespace reapi = build::bazel::remote::execution::v2;
using google::longrunning::Operation;

// A client within a sandbox waits for the disk and for servers, not for itself.
constexpr std::chrono::seconds kSilence{3600};
// A message that is held in memory.
constexpr std::int64_t kMessageSize = std::int64_t{64} << 20;

Digest from(const reapi::Digest& message) { return {message.hash(), message.size_bytes()}; }

grpc::Status to_status(const Error& error) {
  if (error.reason == "missing-blob") return {grpc::StatusCode::FAILED_PRECONDITION, error.message};
  if (error.reason == "bad-directory" || error.reason == "bad-message")
    return {grpc::StatusCode::INVALID_ARGUMENT, error.message};
  return {
      error.reason == "unreachable" ? grpc::StatusCode::UNAVAILABLE : grpc::StatusCode::INTERNAL,
      error.message};
}

// Blobs that are with the storage service.
class Storage final : public Cache::Backing {
 public:
  Storage(store::Cas& cas, std::unique_ptr<Peer> peer) : cas_(cas), peer_(std::move(peer)) {}

  Status fetch(const std::vector<Digest>& digests) override {
    CHECK(Transfer(cas_, *peer_, moved_).pull({}, digests));
    return {};
  }
  Result<std::vector<Digest>> missing(const std::vector<Digest>& digests) override {
    return peer_->missing(digests);
  }
  Status push(const std::vector<Digest>& roots, const std::vector<Digest>& blobs) {
    CHECK(Transfer(cas_, *peer_, moved_).push(roots, blobs));
    return {};
  }

 private:
  store::Cas& cas_;
  const std::unique_ptr<Peer> peer_;
  Moved moved_;
};

struct Shared {
  std::unique_ptr<Cache> cache;
  std::unique_ptr<Storage> storage;          // null: the store is all there is
  std::unique_ptr<Connection> action_cache;  // null: results are kept here
  std::unique_ptr<Connection> execution;     // null: nothing can be run
  bool updates = false;

  store::Cas& cas() const { return cache->cas(); }

  template <typename Message>
  Result<Message> read(const Digest& digest) const {
    if (!store::valid_digest(digest) || digest.size > kMessageSize)
      return fail("server", "bad-message", fmt::format("'{}' is no digest", digest.hash));
    cache->ensure({digest});
    const auto bytes = TRY(cas().read(digest));
    Message message;
    if (!message.ParseFromString(bytes))
      return fail("server", "bad-message", fmt::format("{} is no such message", digest.hash));
    return message;
  }
};

// Results in this cache directory, where buildbox-casd has its own:
// CACHEDIR/actioncache/objects/ab/cdef..., each an ActionResult.
class KeptResults {
 public:
  explicit KeptResults(const Shared& shared) : shared_(shared) {}

  grpc::Status find(const Digest& action, reapi::ActionResult* reply) const {
    auto bytes = read_file(path(action));
    if (!bytes || !reply->ParseFromString(*bytes) || !whole(*reply))
      return {grpc::StatusCode::NOT_FOUND, "The action's result is not known"};
    return grpc::Status::OK;
  }
  grpc::Status keep(const Digest& action, const reapi::ActionResult& result) const {
    if (!whole(result))
      return {grpc::StatusCode::FAILED_PRECONDITION, "Not all blobs of the result are here"};
    const std::string file = path(action);
    auto kept = make_directories(file.substr(0, file.rfind('/')));
    if (kept) kept = write_file_atomic(file, result.SerializeAsString());
    return kept ? grpc::Status::OK : to_status(kept.error());
  }

 private:
  std::string path(const Digest& action) const {
    return fmt::format("{}/actioncache/objects/{}/{}", shared_.cas().cachedir(),
                       action.hash.substr(0, 2), action.hash.substr(2));
  }
  bool there(const reapi::Digest& message) const {
    const Digest digest = from(message);
    return digest.hash.empty() || (store::valid_digest(digest) && shared_.cas().touch(digest));
  }
  // Whether the blobs are here by which its outputs are known.
  bool whole(const reapi::ActionResult& result) const {
    for (const auto& file : result.output_files()) {
      if (!there(file.digest())) return false;
    }
    for (const auto& directory : result.output_directories()) {
      if (!there(directory.tree_digest()) || !there(directory.root_directory_digest()))
        return false;
    }
    return there(result.stdout_digest()) && there(result.stderr_digest());
  }

  const Shared& shared_;
};

class ActionCache final : public reapi::ActionCache::Service {
 public:
  explicit ActionCache(const Shared& shared) : shared_(shared), kept_(shared) {
    if (shared.action_cache) stub_ = reapi::ActionCache::NewStub(shared.action_cache->channel());
  }

  grpc::Status GetActionResult(grpc::ServerContext*, const reapi::GetActionResultRequest* request,
                               reapi::ActionResult* reply) override {
    const Digest action = from(request->action_digest());
    if (!store::valid_digest(action))
      return {grpc::StatusCode::INVALID_ARGUMENT, "The action's digest is none"};
    if (!stub_) return kept_.find(action, reply);
    reapi::GetActionResultRequest onward = *request;
    onward.set_instance_name(shared_.action_cache->spec().instance_name);
    return shared_.action_cache->attempt([&](grpc::ClientContext& context) {
      return stub_->GetActionResult(&context, onward, reply);
    });
  }

  grpc::Status UpdateActionResult(grpc::ServerContext*,
                                  const reapi::UpdateActionResultRequest* request,
                                  reapi::ActionResult* reply) override {
    const Digest action = from(request->action_digest());
    if (!store::valid_digest(action))
      return {grpc::StatusCode::INVALID_ARGUMENT, "The action's digest is none"};
    if (!shared_.updates)
      return {grpc::StatusCode::PERMISSION_DENIED,
              "Results are not taken here: action-cache-enable-update of the element's "
              "remote-apis-socket, or push of the action-cache-service, is not set"};
    *reply = request->action_result();
    if (!stub_) return kept_.keep(action, request->action_result());
    if (auto sent = push(action, request->action_result()); !sent) return to_status(sent.error());
    reapi::UpdateActionResultRequest onward = *request;
    onward.set_instance_name(shared_.action_cache->spec().instance_name);
    return shared_.action_cache->attempt([&](grpc::ClientContext& context) {
      return stub_->UpdateActionResult(&context, onward, reply);
    });
  }

 private:
  // Sends the blobs of a result where those who find it will look for them.
  Status push(const Digest& action, const reapi::ActionResult& result) const {
    if (!shared_.storage) return {};
    std::vector<Digest> roots, blobs;
    if (shared_.cas().touch(action)) blobs.push_back(action);
    for (const auto& file : result.output_files()) blobs.push_back(from(file.digest()));
    for (const auto* written : {&result.stdout_digest(), &result.stderr_digest()}) {
      if (!written->hash().empty()) blobs.push_back(from(*written));
    }
    for (const auto& directory : result.output_directories()) {
      const Digest root = from(directory.root_directory_digest());
      if (!root.hash.empty()) roots.push_back(root);
      const Digest tree = from(directory.tree_digest());
      if (tree.hash.empty()) continue;
      blobs.push_back(tree);
      shared_.cache->ensure({tree});
      for (const std::string& bytes : TRY(directories_of_tree(TRY(shared_.cas().read(tree))))) {
        const auto decoded = TRY(store::decode_directory(bytes));
        for (const auto& file : decoded.files) blobs.push_back(file.digest);
      }
    }
    for (const Digest& blob : blobs) {
      if (!store::valid_digest(blob))
        return fail("server", "bad-message", "The result has a digest that is none");
    }
    return shared_.storage->push(roots, blobs);
  }

  const Shared& shared_;
  const KeptResults kept_;
  std::unique_ptr<reapi::ActionCache::Stub> stub_;
};

class Execution final : public reapi::Execution::Service {
 public:
  explicit Execution(const Shared& shared) : shared_(shared) {
    if (shared.execution) stub_ = reapi::Execution::NewStub(shared.execution->channel());
  }

  grpc::Status Execute(grpc::ServerContext* server, const reapi::ExecuteRequest* request,
                       grpc::ServerWriter<Operation>* writer) override {
    if (!stub_) return none();
    if (auto sent = push(from(request->action_digest())); !sent) return to_status(sent.error());
    reapi::ExecuteRequest onward = *request;
    onward.set_instance_name(shared_.execution->spec().instance_name);
    const auto context = grpc::ClientContext::FromServerContext(*server);
    shared_.execution->authorize(*context);
    return pass_on(*stub_->Execute(context.get(), onward), *writer);
  }

  grpc::Status WaitExecution(grpc::ServerContext* server,
                             const reapi::WaitExecutionRequest* request,
                             grpc::ServerWriter<Operation>* writer) override {
    if (!stub_) return none();
    const auto context = grpc::ClientContext::FromServerContext(*server);
    shared_.execution->authorize(*context);
    return pass_on(*stub_->WaitExecution(context.get(), *request), *writer);
  }

 private:
  static grpc::Status none() {
    return {grpc::StatusCode::UNIMPLEMENTED,
            "Nothing can be executed here: the user configuration has no execution-service"};
  }

  static grpc::Status pass_on(grpc::ClientReader<Operation>& reader,
                              grpc::ServerWriter<Operation>& writer) {
    Operation operation;
    while (reader.Read(&operation)) {
      if (!writer.Write(operation)) break;
    }
    return reader.Finish();
  }

  // Sends what the action needs where it is run.
  Status push(const Digest& digest) const {
    const auto action = TRY(shared_.read<reapi::Action>(digest));
    if (!shared_.storage) return {};
    const Digest command = from(action.command_digest());
    const Digest root = from(action.input_root_digest());
    for (const Digest& part : {command, root}) {
      if (!store::valid_digest(part))
        return fail("server", "bad-message", "The action has a digest that is none");
    }
    return shared_.storage->push({root}, {command, digest});
  }

  const Shared& shared_;
  std::unique_ptr<reapi::Execution::Stub> stub_;
};

class Operations final : public google::longrunning::Operations::Service {
 public:
  explicit Operations(const Shared& shared) : shared_(shared) {
    if (shared.execution)
      stub_ = google::longrunning::Operations::NewStub(shared.execution->channel());
  }

  grpc::Status CancelOperation(grpc::ServerContext* server,
                               const google::longrunning::CancelOperationRequest* request,
                               google::longrunning::Empty* reply) override {
    if (!stub_) return {grpc::StatusCode::UNIMPLEMENTED, "Nothing can be executed here"};
    const auto context = grpc::ClientContext::FromServerContext(*server);
    shared_.execution->authorize(*context);
    return stub_->CancelOperation(context.get(), *request, reply);
  }

 private:
  const Shared& shared_;
  std::unique_ptr<google::longrunning::Operations::Stub> stub_;
};

class Server final : public ApisServer {
 public:
  explicit Server(Shared shared) : shared_(std::move(shared)) {}
  ~Server() override {
    if (server_) server_->stop();
  }

  Status start(const std::string& socket) {
    if (shared_.storage) shared_.cache->back_by(shared_.storage.get());
    Endpoint endpoint;
    endpoint.address = "unix:" + socket;
    endpoint.push = true;
    endpoint.names = false;
    endpoint.any_instance = true;
    endpoint.executes = shared_.execution != nullptr;
    endpoint.updates_results = shared_.updates;
    server_ = TRY(start_cas_server(*shared_.cache, {endpoint}, "", kSilence,
                                   {&action_cache_, &execution_, &operations_}));
    return {};
  }

 private:
  const Shared shared_;
  ActionCache action_cache_{shared_};
  Execution execution_{shared_};
  Operations operations_{shared_};
  std::unique_ptr<CasServer> server_;
};

}  // namespace

Result<std::unique_ptr<ApisServer>> start_apis_server(const wire::ApisRequest& request) {
  Shared shared;
  shared.cache = TRY(Cache::open(request.cachedir, 0));
  if (request.storage) {
    auto peer = TRY(connect(*request.storage));
    shared.storage = std::make_unique<Storage>(shared.cache->cas(), std::move(peer));
  }
  if (request.action_cache) shared.action_cache = TRY(Connection::open(*request.action_cache));
  if (request.execution) shared.execution = TRY(Connection::open(*request.execution));
  shared.updates = request.updates && (!request.action_cache || request.action_cache->push);
  auto server = std::make_unique<Server>(std::move(shared));
  CHECK(server->start(request.socket));
  return server;
}

}  // namespace sluice::remote
