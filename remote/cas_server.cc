#include "remote/cas_server.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/try.h"
#include "remote/calls.h"
#include "remote/grpc.h"

namespace sluice::remote {

namespace {

namespace asset = build::bazel::remote::asset::v1;
namespace reapi = build::bazel::remote::execution::v2;

// What BuildStream's own server says: with the names of a few thousand small blobs it stays below
// the 4 MiB of a message.
constexpr std::int64_t kBatchLimit = std::int64_t{1} << 20;
constexpr int kMessageLimit = 16 << 20;
constexpr std::size_t kPart = std::size_t{64} << 10;
constexpr std::size_t kMemory = std::size_t{256} << 20;
constexpr int kStreams = 64;  // of one connection at once

// `precondition`: what is missing should have been sent before.
grpc::Status to_status(const Error& error, bool precondition = false) {
  const std::string& reason = error.reason;
  auto code = grpc::StatusCode::INTERNAL;
  if (reason == "missing-blob")
    code = precondition ? grpc::StatusCode::FAILED_PRECONDITION : grpc::StatusCode::NOT_FOUND;
  if (reason == "bad-digest" || reason == "corrupt-blob" || reason == "bad-name" ||
      reason == "bad-artifact" || reason == "bad-source") {
    code = grpc::StatusCode::INVALID_ARGUMENT;
  }
  if (reason == "full" || reason == "cache-too-full" || reason == "enospc" || reason == "edquot")
    code = grpc::StatusCode::RESOURCE_EXHAUSTED;
  return {code, error.message};
}

void to_rpc(const grpc::Status& status, google::rpc::Status* message) {
  message->set_code(status.error_code());
  if (!status.ok()) message->set_message(status.error_message());
}

grpc::Status bad(std::string text) { return {grpc::StatusCode::INVALID_ARGUMENT, std::move(text)}; }

grpc::Status no_push() {
  return {grpc::StatusCode::PERMISSION_DENIED, "Pushing is not allowed here"};
}

Digest from(const reapi::Digest& message) { return {message.hash(), message.size_bytes()}; }

void to(const Digest& digest, reapi::Digest* message) {
  message->set_hash(digest.hash);
  message->set_size_bytes(digest.size);
}

struct Common {
  Cache& cache;
  Calls& calls;
  std::string instance;
  bool push;
  bool any_instance = false, executes = false, updates_results = false;

  grpc::Status check(const std::string& name, int digest_function = 0) const {
    if (name != instance && !any_instance) return bad("Invalid instance name");
    if (digest_function != reapi::DigestFunction::UNKNOWN &&
        digest_function != reapi::DigestFunction::SHA256) {
      return bad("Digests are SHA-256 here");
    }
    return grpc::Status::OK;
  }

  // "[INSTANCE/]blobs/HASH/SIZE", or with "uploads/UUID/" before "blobs" and anything behind the
  // size.
  std::optional<Digest> parse(std::string_view name, bool upload) const {
    if (any_instance) {
      const std::size_t start = name.find(upload ? "uploads/" : "blobs/");
      if (start != std::string_view::npos && (start == 0 || name[start - 1] == '/'))
        name.remove_prefix(start);
    } else if (!instance.empty()) {
      if (!name.starts_with(instance + "/")) return std::nullopt;
      name.remove_prefix(instance.size() + 1);
    }
    if (upload) {
      if (!name.starts_with("uploads/")) return std::nullopt;
      const std::size_t slash = name.find('/', 8);
      if (slash == std::string_view::npos) return std::nullopt;
      name.remove_prefix(slash + 1);
    }
    if (!name.starts_with("blobs/")) return std::nullopt;
    name.remove_prefix(6);
    const std::size_t slash = name.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    Digest digest{std::string(name.substr(0, slash)), 0};
    std::string_view size = name.substr(slash + 1);
    if (upload) size = size.substr(0, size.find('/'));
    if (size.empty() || size.size() > 18) return std::nullopt;
    for (const char c : size) {
      if (c < '0' || c > '9') return std::nullopt;
      digest.size = digest.size * 10 + (c - '0');
    }
    if (!store::valid_digest(digest)) return std::nullopt;
    return digest;
  }
};

class Capabilities final : public reapi::Capabilities::CallbackService {
 public:
  explicit Capabilities(const Common& common) : common_(common) {}

  grpc::ServerUnaryReactor* GetCapabilities(grpc::CallbackServerContext* context,
                                            const reapi::GetCapabilitiesRequest* request,
                                            reapi::ServerCapabilities* reply) override {
    return unary(common_.calls, context, reply,
                 [this, request, reply] { return answer(request, reply); });
  }

 private:
  grpc::Status answer(const reapi::GetCapabilitiesRequest* request,
                      reapi::ServerCapabilities* reply) const {
    if (auto good = common_.check(request->instance_name()); !good.ok()) return good;
    auto* cache = reply->mutable_cache_capabilities();
    cache->add_digest_functions(reapi::DigestFunction::SHA256);
    cache->mutable_action_cache_update_capabilities()->set_update_enabled(common_.updates_results);
    if (common_.executes) {
      reply->mutable_execution_capabilities()->set_digest_function(reapi::DigestFunction::SHA256);
      reply->mutable_execution_capabilities()->set_exec_enabled(true);
    }
    cache->set_max_batch_total_size_bytes(kBatchLimit);
    cache->set_symlink_absolute_path_strategy(reapi::SymlinkAbsolutePathStrategy::ALLOWED);
    for (auto* version : {reply->mutable_deprecated_api_version(), reply->mutable_low_api_version(),
                          reply->mutable_high_api_version()}) {
      version->set_major(2);
    }
    return grpc::Status::OK;
  }

  const Common& common_;
};

class Storage final : public reapi::ContentAddressableStorage::CallbackService {
 public:
  explicit Storage(const Common& common) : common_(common) {}

  grpc::ServerUnaryReactor* FindMissingBlobs(grpc::CallbackServerContext* context,
                                             const reapi::FindMissingBlobsRequest* request,
                                             reapi::FindMissingBlobsResponse* reply) override {
    return unary(common_.calls, context, reply,
                 [this, request, reply] { return find_missing(request, reply); });
  }
  grpc::ServerUnaryReactor* BatchUpdateBlobs(grpc::CallbackServerContext* context,
                                             const reapi::BatchUpdateBlobsRequest* request,
                                             reapi::BatchUpdateBlobsResponse* reply) override {
    return unary(common_.calls, context, reply,
                 [this, request, reply] { return update_all(request, reply); });
  }
  grpc::ServerUnaryReactor* BatchReadBlobs(grpc::CallbackServerContext* context,
                                           const reapi::BatchReadBlobsRequest* request,
                                           reapi::BatchReadBlobsResponse* reply) override {
    return unary(common_.calls, context, reply,
                 [this, request, reply] { return read_all(request, reply); });
  }

 private:
  grpc::Status find_missing(const reapi::FindMissingBlobsRequest* request,
                            reapi::FindMissingBlobsResponse* reply) const {
    if (auto good = common_.check(request->instance_name(), request->digest_function()); !good.ok())
      return good;
    std::vector<Digest> asked;
    for (const reapi::Digest& digest : request->blob_digests()) {
      if (!store::valid_digest(from(digest)))
        return bad(fmt::format("'{}' is not a digest", digest.hash()));
      asked.push_back(from(digest));
    }
    for (const Digest& digest : common_.cache.missing(asked))
      to(digest, reply->add_missing_blob_digests());
    return grpc::Status::OK;
  }

  grpc::Status update_all(const reapi::BatchUpdateBlobsRequest* request,
                          reapi::BatchUpdateBlobsResponse* reply) const {
    if (auto good = common_.check(request->instance_name(), request->digest_function()); !good.ok())
      return good;
    if (!common_.push) return no_push();
    for (const auto& one : request->requests()) {
      auto* response = reply->add_responses();
      *response->mutable_digest() = one.digest();
      to_rpc(update(one), response->mutable_status());
    }
    return grpc::Status::OK;
  }

  grpc::Status read_all(const reapi::BatchReadBlobsRequest* request,
                        reapi::BatchReadBlobsResponse* reply) const {
    if (auto good = common_.check(request->instance_name(), request->digest_function()); !good.ok())
      return good;
    std::int64_t size = 0;
    std::vector<Digest> asked;
    for (const reapi::Digest& digest : request->digests()) {
      if (!store::valid_digest(from(digest)))
        return bad(fmt::format("'{}' is not a digest", digest.hash()));
      // The sum is made part by part: what a client says may be more than a number holds.
      if (digest.size_bytes() > kBatchLimit || (size += digest.size_bytes()) > kBatchLimit) {
        return bad(fmt::format("A batch has at most {} bytes", kBatchLimit));
      }
      asked.push_back(from(digest));
    }
    common_.cache.ensure(asked);
    for (const reapi::Digest& digest : request->digests()) {
      auto* response = reply->add_responses();
      *response->mutable_digest() = digest;
      auto data = common_.cache.cas().read(from(digest));
      if (data) {
        response->set_data(std::move(*data));
        to_rpc(grpc::Status::OK, response->mutable_status());
      } else {
        to_rpc(to_status(data.error()), response->mutable_status());
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status update(const reapi::BatchUpdateBlobsRequest::Request& one) const {
    const Digest digest = from(one.digest());
    if (!store::valid_digest(digest)) return bad(fmt::format("'{}' is not a digest", digest.hash));
    if (one.compressor() != reapi::Compressor::IDENTITY)
      return bad("Compressed blobs are not taken here");
    store::Cas& cas = common_.cache.cas();
    if (cas.touch(digest)) return grpc::Status::OK;
    if (store::digest_of(one.data()) != digest)
      return bad(fmt::format("What came for {} is something else", digest.hash));
    if (auto fits = common_.cache.fits(digest.size); !fits) return to_status(fits.error());
    if (auto added = cas.add(one.data()); !added) return to_status(added.error());
    if (auto room = common_.cache.kept(digest); !room) return to_status(room.error());
    return grpc::Status::OK;
  }

  const Common& common_;
};

// A blob on its way to a client: the next part is read when the last has gone.
class ReadStream final : public grpc::ServerWriteReactor<google::bytestream::ReadResponse> {
 public:
  ReadStream(const Common& common, grpc::CallbackServerContext& context,
             const google::bytestream::ReadRequest& request)
      : common_(common), request_(request), ticket_(common.calls, context) {
    common_.calls.work([this] {
      if (auto begun = begin(); !begun.ok()) return Finish(begun);
      send();
    });
  }

  void OnWriteDone(bool good) override {
    ticket_.works();
    if (!good) return Finish(grpc::Status::CANCELLED);
    common_.calls.work([this] { send(); });
  }

  void OnDone() override { delete this; }

 private:
  grpc::Status begin() {
    const auto digest = common_.parse(request_.resource_name(), false);
    if (!digest)
      return bad(fmt::format("'{}' is not the name of a blob", request_.resource_name()));
    offset_ = request_.read_offset();
    if (offset_ < 0 || offset_ > digest->size)
      return {grpc::StatusCode::OUT_OF_RANGE, "The blob has no such offset"};
    if (request_.read_limit() < 0) return bad("A limit is not negative");
    common_.cache.ensure({*digest});
    auto fd = common_.cache.cas().open_blob(*digest);
    if (!fd) return to_status(fd.error());
    fd_ = std::move(*fd);
    left_ = digest->size - offset_;
    if (request_.read_limit() > 0) left_ = std::min(left_, request_.read_limit());
    if (!ticket_.admitted() ||
        !ticket_.hold(static_cast<std::size_t>(std::min<std::int64_t>(left_, kPart))))
      return too_busy();
    return grpc::Status::OK;
  }

  void send() {
    if (left_ == 0) return Finish(grpc::Status::OK);
    std::string& data = *part_.mutable_data();
    data.resize(static_cast<std::size_t>(std::min<std::int64_t>(left_, kPart)));
    ssize_t n;
    do {
      n = ::pread(fd_.get(), data.data(), data.size(), offset_);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) return Finish({grpc::StatusCode::INTERNAL, "The blob can't be read"});
    data.resize(static_cast<std::size_t>(n));
    offset_ += n;
    left_ -= n;
    ticket_.waits();
    StartWrite(&part_);
  }

  const Common& common_;
  const google::bytestream::ReadRequest& request_;
  Ticket ticket_;
  UniqueFd fd_;
  std::int64_t offset_ = 0, left_ = 0;
  google::bytestream::ReadResponse part_;
};

// A blob that comes from a client. What has come lies apart and gives nobody room until all of it
// was seen to be the blob.
class WriteStream final : public grpc::ServerReadReactor<google::bytestream::WriteRequest> {
 public:
  WriteStream(const Common& common, grpc::CallbackServerContext& context,
              google::bytestream::WriteResponse& reply)
      : common_(common), reply_(reply), ticket_(common.calls, context) {
    if (ticket_.admitted()) {
      next();
    } else {
      Finish(too_busy());
    }
  }

  void OnReadDone(bool good) override {
    ticket_.works();
    common_.calls.work([this, good] { take(good); });
  }

  void OnDone() override { delete this; }

 private:
  void next() {
    ticket_.waits();
    StartRead(&part_);
  }

  void take(bool good) {
    if (!good)
      return Finish(bad(incoming_ ? "The upload was not finished" : "Nothing was written"));
    if (!incoming_) {
      if (auto begun = begin(); !begun.ok() || !incoming_) return Finish(begun);
    }
    if (!part_.resource_name().empty() && part_.resource_name() != name_)
      return Finish(bad("An upload has one name"));
    if (part_.write_offset() != incoming_->received()) {
      return Finish(bad(
          fmt::format("Expected offset {}, got {}", incoming_->received(), part_.write_offset())));
    }
    if (auto allowed = common_.cache.receiving(part_.data().size()); !allowed)
      return Finish(to_status(allowed.error()));
    received_ += part_.data().size();
    if (auto appended = incoming_->append(part_.data()); !appended)
      return Finish(to_status(appended.error()));
    if (!part_.finish_write()) return next();
    Finish(keep());
  }

  // Begins; without `incoming_` after it the blob is here already.
  grpc::Status begin() {
    name_ = part_.resource_name();
    const auto digest = common_.parse(name_, true);
    if (!digest) return bad(fmt::format("'{}' is not the name of an upload", name_));
    if (!common_.push) return no_push();
    reply_.set_committed_size(digest->size);
    store::Cas& cas = common_.cache.cas();
    if (cas.touch(*digest)) return grpc::Status::OK;
    if (auto fits = common_.cache.fits(digest->size); !fits) return to_status(fits.error());
    auto incoming = cas.receive(*digest);
    if (!incoming) return to_status(incoming.error());
    incoming_.emplace(std::move(*incoming));
    digest_ = *digest;
    return grpc::Status::OK;
  }

  grpc::Status keep() {
    if (auto done = incoming_->finish(); !done) return to_status(done.error());
    if (auto room = common_.cache.kept(digest_); !room) return to_status(room.error());
    return grpc::Status::OK;
  }

  void Finish(const grpc::Status& status) {
    incoming_.reset();
    common_.cache.received(received_);
    received_ = 0;
    ticket_.waits();
    ServerReadReactor::Finish(status);
  }

  const Common& common_;
  google::bytestream::WriteResponse& reply_;
  Ticket ticket_;
  std::string name_;
  Digest digest_;
  std::uint64_t received_ = 0;  // as the cache knows
  google::bytestream::WriteRequest part_;
  std::optional<store::Cas::Incoming> incoming_;
};

class Bytes final : public google::bytestream::ByteStream::CallbackService {
 public:
  explicit Bytes(const Common& common) : common_(common) {}

  grpc::ServerWriteReactor<google::bytestream::ReadResponse>* Read(
      grpc::CallbackServerContext* context,
      const google::bytestream::ReadRequest* request) override {
    return new ReadStream(common_, *context, *request);
  }

  grpc::ServerReadReactor<google::bytestream::WriteRequest>* Write(
      grpc::CallbackServerContext* context, google::bytestream::WriteResponse* reply) override {
    return new WriteStream(common_, *context, *reply);
  }

  grpc::ServerUnaryReactor* QueryWriteStatus(
      grpc::CallbackServerContext* context,
      const google::bytestream::QueryWriteStatusRequest* request,
      google::bytestream::QueryWriteStatusResponse* reply) override {
    return unary(common_.calls, context, reply,
                 [this, request, reply] { return query(request, reply); });
  }

 private:
  // What was begun can't be taken up again: either all of it is here, or nothing.
  grpc::Status query(const google::bytestream::QueryWriteStatusRequest* request,
                     google::bytestream::QueryWriteStatusResponse* reply) const {
    const auto digest = common_.parse(request->resource_name(), true);
    if (!digest)
      return bad(fmt::format("'{}' is not the name of an upload", request->resource_name()));
    if (!common_.push) return no_push();
    const bool there = common_.cache.cas().touch(*digest);
    reply->set_committed_size(there ? digest->size : 0);
    reply->set_complete(there);
    return grpc::Status::OK;
  }

  const Common& common_;
};

class Fetch final : public asset::Fetch::CallbackService {
 public:
  explicit Fetch(const Common& common) : common_(common) {}

  grpc::ServerUnaryReactor* FetchBlob(grpc::CallbackServerContext* context,
                                      const asset::FetchBlobRequest* request,
                                      asset::FetchBlobResponse* reply) override {
    return unary(common_.calls, context, reply,
                 [this, request, reply] { return find_blob(request, reply); });
  }
  grpc::ServerUnaryReactor* FetchDirectory(grpc::CallbackServerContext* context,
                                           const asset::FetchDirectoryRequest* request,
                                           asset::FetchDirectoryResponse* reply) override {
    return unary(common_.calls, context, reply,
                 [this, request, reply] { return find_directory(request, reply); });
  }

 private:
  grpc::Status find_blob(const asset::FetchBlobRequest* request,
                         asset::FetchBlobResponse* reply) const {
    return find(
        *request, [&](const std::string& uri) { return common_.cache.find_blob(uri); }, reply,
        [&](const Digest& digest) { to(digest, reply->mutable_blob_digest()); });
  }

  grpc::Status find_directory(const asset::FetchDirectoryRequest* request,
                              asset::FetchDirectoryResponse* reply) const {
    return find(
        *request, [&](const std::string& uri) { return common_.cache.find_directory(uri); }, reply,
        [&](const Digest& digest) { to(digest, reply->mutable_root_directory_digest()); });
  }

  template <typename Request, typename Find, typename Reply, typename Set>
  grpc::Status find(const Request& request, const Find& find, Reply* reply, const Set& set) const {
    if (auto good = common_.check(request.instance_name(), request.digest_function()); !good.ok())
      return good;
    if (request.uris().empty()) return bad("There is no URI in the request");
    if (!request.qualifiers().empty()) return bad("Nothing is known by qualifiers here");
    for (const std::string& uri : request.uris()) {
      auto digest = find(uri);
      if (!digest) return to_status(digest.error());
      if (!*digest) continue;
      to_rpc(grpc::Status::OK, reply->mutable_status());
      reply->set_uri(uri);
      set(**digest);
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, "There is nothing of that name"};
  }

  const Common& common_;
};

class Push final : public asset::Push::CallbackService {
 public:
  explicit Push(const Common& common) : common_(common) {}

  grpc::ServerUnaryReactor* PushBlob(grpc::CallbackServerContext* context,
                                     const asset::PushBlobRequest* request,
                                     asset::PushBlobResponse* reply) override {
    return unary(common_.calls, context, reply, [this, request] { return put_blob(request); });
  }
  grpc::ServerUnaryReactor* PushDirectory(grpc::CallbackServerContext* context,
                                          const asset::PushDirectoryRequest* request,
                                          asset::PushDirectoryResponse* reply) override {
    return unary(common_.calls, context, reply, [this, request] { return put_directory(request); });
  }

 private:
  grpc::Status put_blob(const asset::PushBlobRequest* request) const {
    return put(*request, from(request->blob_digest()),
               [&](const std::string& uri, const Digest& digest) {
                 return common_.cache.put_blob(uri, digest);
               });
  }

  grpc::Status put_directory(const asset::PushDirectoryRequest* request) const {
    return put(*request, from(request->root_directory_digest()),
               [&](const std::string& uri, const Digest& digest) {
                 return common_.cache.put_directory(uri, digest);
               });
  }

  template <typename Request, typename Put>
  grpc::Status put(const Request& request, const Digest& digest, const Put& put) const {
    if (auto good = common_.check(request.instance_name(), request.digest_function()); !good.ok())
      return good;
    if (!common_.push) return no_push();
    if (request.uris().empty()) return bad("There is no URI in the request");
    if (!request.qualifiers().empty()) return bad("Nothing is known by qualifiers here");
    if (!store::valid_digest(digest)) return bad(fmt::format("'{}' is not a digest", digest.hash));
    for (const std::string& uri : request.uris()) {
      if (auto done = put(uri, digest); !done) return to_status(done.error(), true);
    }
    return grpc::Status::OK;
  }

  const Common& common_;
};

// Asks for each call before its service hears of it.
class ByCertificate final : public grpc::AuthMetadataProcessor {
 public:
  explicit ByCertificate(std::shared_ptr<AccessCheck> access) : access_(std::move(access)) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const auto text = [](grpc::string_ref part) {
      return std::string_view(part.data(), part.size());
    };
    const auto path = metadata.find(":path");
    const auto shown = context->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    auto allowed = access_->check(shown.empty() ? std::string_view() : text(shown.front()),
                                  path == metadata.end() ? std::string_view() : text(path->second),
                                  system_clock().wall_ns());
    if (allowed) return grpc::Status::OK;
    return {allowed.error().reason == "denied" ? grpc::StatusCode::PERMISSION_DENIED
                                               : grpc::StatusCode::UNAUTHENTICATED,
            allowed.error().message};
  }

 private:
  const std::shared_ptr<AccessCheck> access_;
};

// One endpoint's services.
struct Serving {
  explicit Serving(Common with) : common(std::move(with)) {}
  const Common common;
  Capabilities capabilities{common};
  Storage storage{common};
  Bytes bytes{common};
  Fetch fetch{common};
  Push push{common};
  std::unique_ptr<grpc::Server> server;
};

class Server final : public CasServer {
 public:
  explicit Server(CallLimits limits) : calls_(limits) {}
  Status start() { return calls_.start(); }
  ~Server() override { stop(); }

  Status add(Cache& cache, const Endpoint& endpoint, const std::string& instance_name,
             const std::vector<grpc::Service*>& more) {
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    const bool secure = !endpoint.key.empty();
    if (secure) {
      grpc::SslServerCredentialsOptions options(
          endpoint.access ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY
          : endpoint.client_certs.empty()
              ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
              : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
      options.pem_key_cert_pairs.push_back({endpoint.key, endpoint.certificate});
      options.pem_root_certs = endpoint.client_certs;
      credentials = grpc::SslServerCredentials(options);
      if (endpoint.access)
        credentials->SetAuthMetadataProcessor(std::make_shared<ByCertificate>(endpoint.access));
    }
    auto serving = std::make_unique<Serving>(Common{cache, calls_, instance_name, endpoint.push,
                                                    endpoint.any_instance, endpoint.executes,
                                                    endpoint.updates_results});
    grpc::ServerBuilder builder;
    // Bounds what gRPC itself keeps for clients.
    grpc::ResourceQuota memory;
    memory.Resize(kMemory);
    builder.SetResourceQuota(memory);
    builder.SetMaxReceiveMessageSize(kMessageLimit);
    builder.SetMaxSendMessageSize(kMessageLimit);
    // Another server on the same port would get half of our clients. A session's supervisor holds
    // the port, without listening, for the server that is started after one that died.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, endpoint.access ? 1 : 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreams);
    // Clients that are gone without a word hold nothing; those that ask whether we are there may.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    int port = 0;
    builder.AddListeningPort(endpoint.address, credentials, &port);
    for (grpc::Service* service : std::initializer_list<grpc::Service*>{
             &serving->capabilities, &serving->storage, &serving->bytes}) {
      builder.RegisterService(service);
    }
    if (endpoint.names) builder.RegisterService(&serving->fetch).RegisterService(&serving->push);
    for (grpc::Service* service : more) builder.RegisterService(service);
    serving->server = builder.BuildAndStart();
    if (!serving->server || port == 0) {
      return fail(
          "server", "bind",
          fmt::format("{} can't be served{}", endpoint.address,
                      secure
                          ? ": the address is taken or wrong, or a key or certificate can't be used"
                          : ": the address is taken or wrong"));
    }
    std::string shown = endpoint.address;
    if (!shown.starts_with("unix:")) {
      shown = fmt::format("{}://{}:{}", secure ? "https" : "http",
                          shown.substr(0, shown.rfind(':')), port);
    }
    urls_.push_back(std::move(shown));
    serving_.push_back(std::move(serving));
    return {};
  }

  const std::vector<std::string>& urls() const override { return urls_; }

  void stop() override {
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(5);
    for (const auto& serving : serving_) {
      if (serving->server) serving->server->Shutdown(deadline);
    }
    serving_.clear();
  }

 private:
  Calls calls_;  // goes after those who use it
  std::vector<std::unique_ptr<Serving>> serving_;
  std::vector<std::string> urls_;
};

// As many calls as there may be files open: each call may have one, and each connection is one.
CallLimits limits(std::chrono::seconds silence) {
  CallLimits limits{.silence = silence};
  struct rlimit files {};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  limits.calls = std::clamp<std::size_t>(files.rlim_max / 2, 16, limits.calls);
  return limits;
}

}  // namespace

Result<std::unique_ptr<CasServer>> start_cas_server(Cache& cache,
                                                    const std::vector<Endpoint>& endpoints,
                                                    const std::string& instance_name,
                                                    std::chrono::seconds silence,
                                                    const std::vector<grpc::Service*>& more) {
  auto server = std::make_unique<Server>(limits(silence));
  CHECK(server->start());
  for (const Endpoint& endpoint : endpoints) {
    CHECK(server->add(cache, endpoint, instance_name, more));
  }
  return server;
}

}  // namespace sluice::remote
