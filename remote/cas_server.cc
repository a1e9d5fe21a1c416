#include "remote/cas_server.h"

#include <chrono>
#include <unistd.h>

#include <fmt/format.h>

#include "remote/grpc.h"

namespace sluice::remote {

namespace {

namespace asset = build::bazel::remote::asset::v1;
namespace reapi = build::bazel::remote::execution::v2;

// What BuildStream's own server says: with the names of a few thousand small blobs it stays
// below the 4 MiB of a message.
constexpr std::int64_t kBatchLimit = std::int64_t{1} << 20;
constexpr int kMessageLimit = 16 << 20;
constexpr std::size_t kPart = std::size_t{256} << 10;
constexpr int kThreads = 512;

// `precondition`: what is missing should have been sent before.
grpc::Status to_status(const Error& error, bool precondition = false) {
  const std::string& reason = error.reason;
  auto code = grpc::StatusCode::INTERNAL;
  if (reason == "missing-blob") code = precondition ? grpc::StatusCode::FAILED_PRECONDITION : grpc::StatusCode::NOT_FOUND;
  if (reason == "bad-digest" || reason == "corrupt-blob" || reason == "bad-name" || reason == "bad-artifact" || reason == "bad-source") {
    code = grpc::StatusCode::INVALID_ARGUMENT;
  }
  if (reason == "full" || reason == "enospc" || reason == "edquot") code = grpc::StatusCode::RESOURCE_EXHAUSTED;
  return {code, error.message};
}

void to_rpc(const grpc::Status& status, google::rpc::Status* message) {
  message->set_code(status.error_code());
  if (!status.ok()) message->set_message(status.error_message());
}

grpc::Status bad(std::string text) { return {grpc::StatusCode::INVALID_ARGUMENT, std::move(text)}; }

grpc::Status no_push() { return {grpc::StatusCode::PERMISSION_DENIED, "Pushing is not allowed here"}; }

Digest from(const reapi::Digest& message) { return {message.hash(), message.size_bytes()}; }

void to(const Digest& digest, reapi::Digest* message) {
  message->set_hash(digest.hash);
  message->set_size_bytes(digest.size);
}

struct Common {
  Cache& cache;
  std::string instance;
  bool push;

  grpc::Status check(const std::string& name, int digest_function = 0) const {
    if (name != instance) return bad("Invalid instance name");
    if (digest_function != reapi::DigestFunction::UNKNOWN && digest_function != reapi::DigestFunction::SHA256) {
      return bad("Digests are SHA-256 here");
    }
    return grpc::Status::OK;
  }
};

class Capabilities final : public reapi::Capabilities::Service {
 public:
  explicit Capabilities(const Common& common) : common_(common) {}

  grpc::Status GetCapabilities(grpc::ServerContext*, const reapi::GetCapabilitiesRequest* request, reapi::ServerCapabilities* reply) override {
    if (auto good = common_.check(request->instance_name()); !good.ok()) return good;
    auto* cache = reply->mutable_cache_capabilities();
    cache->add_digest_functions(reapi::DigestFunction::SHA256);
    cache->mutable_action_cache_update_capabilities()->set_update_enabled(false);
    cache->set_max_batch_total_size_bytes(kBatchLimit);
    cache->set_symlink_absolute_path_strategy(reapi::SymlinkAbsolutePathStrategy::ALLOWED);
    for (auto* version : {reply->mutable_deprecated_api_version(), reply->mutable_low_api_version(), reply->mutable_high_api_version()}) {
      version->set_major(2);
    }
    return grpc::Status::OK;
  }

 private:
  const Common& common_;
};

class Storage final : public reapi::ContentAddressableStorage::Service {
 public:
  explicit Storage(const Common& common) : common_(common) {}

  grpc::Status FindMissingBlobs(grpc::ServerContext*, const reapi::FindMissingBlobsRequest* request,
                                reapi::FindMissingBlobsResponse* reply) override {
    if (auto good = common_.check(request->instance_name(), request->digest_function()); !good.ok()) return good;
    for (const reapi::Digest& digest : request->blob_digests()) {
      if (!store::valid_digest(from(digest))) return bad(fmt::format("'{}' is not a digest", digest.hash()));
      // Who asks is going to rely on it: it counts as used.
      if (!common_.cache.cas().touch(from(digest))) *reply->add_missing_blob_digests() = digest;
    }
    return grpc::Status::OK;
  }

  grpc::Status BatchUpdateBlobs(grpc::ServerContext*, const reapi::BatchUpdateBlobsRequest* request,
                                reapi::BatchUpdateBlobsResponse* reply) override {
    if (auto good = common_.check(request->instance_name(), request->digest_function()); !good.ok()) return good;
    if (!common_.push) return no_push();
    for (const auto& one : request->requests()) {
      auto* response = reply->add_responses();
      *response->mutable_digest() = one.digest();
      to_rpc(update(one), response->mutable_status());
    }
    return grpc::Status::OK;
  }

  grpc::Status BatchReadBlobs(grpc::ServerContext*, const reapi::BatchReadBlobsRequest* request, reapi::BatchReadBlobsResponse* reply) override {
    if (auto good = common_.check(request->instance_name(), request->digest_function()); !good.ok()) return good;
    std::int64_t size = 0;
    for (const reapi::Digest& digest : request->digests()) {
      if (!store::valid_digest(from(digest))) return bad(fmt::format("'{}' is not a digest", digest.hash()));
      // By parts: what a client says may be more than a number holds.
      if (digest.size_bytes() > kBatchLimit || (size += digest.size_bytes()) > kBatchLimit) {
        return bad(fmt::format("A batch has at most {} bytes", kBatchLimit));
      }
    }
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

 private:
  grpc::Status update(const reapi::BatchUpdateBlobsRequest::Request& one) const {
    const Digest digest = from(one.digest());
    if (!store::valid_digest(digest)) return bad(fmt::format("'{}' is not a digest", digest.hash));
    if (one.compressor() != reapi::Compressor::IDENTITY) return bad("Compressed blobs are not taken here");
    store::Cas& cas = common_.cache.cas();
    if (cas.touch(digest)) return grpc::Status::OK;
    if (store::digest_of(one.data()) != digest) return bad(fmt::format("What came for {} is something else", digest.hash));
    if (auto room = common_.cache.reserve(digest.size); !room) return to_status(room.error());
    auto added = cas.add(one.data());
    if (added) return grpc::Status::OK;
    common_.cache.cancel(digest.size);
    return to_status(added.error());
  }

  const Common& common_;
};

class Bytes final : public google::bytestream::ByteStream::Service {
 public:
  explicit Bytes(const Common& common) : common_(common) {}

  grpc::Status Read(grpc::ServerContext*, const google::bytestream::ReadRequest* request,
                    grpc::ServerWriter<google::bytestream::ReadResponse>* writer) override {
    const auto digest = parse(request->resource_name(), false);
    if (!digest) return bad(fmt::format("'{}' is not the name of a blob", request->resource_name()));
    std::int64_t offset = request->read_offset();
    if (offset < 0 || offset > digest->size) return {grpc::StatusCode::OUT_OF_RANGE, "The blob has no such offset"};
    if (request->read_limit() < 0) return bad("A limit is not negative");
    auto fd = common_.cache.cas().open_blob(*digest);
    if (!fd) return to_status(fd.error());
    std::int64_t left = digest->size - offset;
    if (request->read_limit() > 0) left = std::min(left, request->read_limit());
    google::bytestream::ReadResponse part;
    while (left > 0) {
      std::string& data = *part.mutable_data();
      data.resize(static_cast<std::size_t>(std::min<std::int64_t>(left, kPart)));
      const ssize_t n = ::pread(fd->get(), data.data(), data.size(), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return {grpc::StatusCode::INTERNAL, "The blob can't be read"};
      data.resize(static_cast<std::size_t>(n));
      if (!writer->Write(part)) return grpc::Status::CANCELLED;
      offset += n;
      left -= n;
    }
    return grpc::Status::OK;
  }

  grpc::Status Write(grpc::ServerContext*, grpc::ServerReader<google::bytestream::WriteRequest>* reader,
                     google::bytestream::WriteResponse* reply) override {
    google::bytestream::WriteRequest part;
    if (!reader->Read(&part)) return bad("Nothing was written");
    const auto digest = parse(part.resource_name(), true);
    if (!digest) return bad(fmt::format("'{}' is not the name of an upload", part.resource_name()));
    if (!common_.push) return no_push();
    Cache& cache = common_.cache;
    reply->set_committed_size(digest->size);
    if (cache.cas().touch(*digest)) return grpc::Status::OK;
    if (auto room = cache.reserve(digest->size); !room) return to_status(room.error());
    auto written = receive(*digest, part, *reader);
    if (!written.ok()) cache.cancel(digest->size);
    return written;
  }

  // What was begun can't be taken up again: either all of it is here, or nothing.
  grpc::Status QueryWriteStatus(grpc::ServerContext*, const google::bytestream::QueryWriteStatusRequest* request,
                                google::bytestream::QueryWriteStatusResponse* reply) override {
    const auto digest = parse(request->resource_name(), true);
    if (!digest) return bad(fmt::format("'{}' is not the name of an upload", request->resource_name()));
    if (!common_.push) return no_push();
    const bool there = common_.cache.cas().touch(*digest);
    reply->set_committed_size(there ? digest->size : 0);
    reply->set_complete(there);
    return grpc::Status::OK;
  }

 private:
  grpc::Status receive(const Digest& digest, google::bytestream::WriteRequest& part,
                       grpc::ServerReader<google::bytestream::WriteRequest>& reader) const {
    const std::string name = part.resource_name();
    auto incoming = common_.cache.cas().receive(digest);
    if (!incoming) return to_status(incoming.error());
    for (;;) {
      if (!part.resource_name().empty() && part.resource_name() != name) return bad("An upload has one name");
      if (part.write_offset() != incoming->received()) return bad(fmt::format("Expected offset {}, got {}", incoming->received(), part.write_offset()));
      if (auto appended = incoming->append(part.data()); !appended) return to_status(appended.error());
      if (part.finish_write()) break;
      if (!reader.Read(&part)) return bad("The upload was not finished");
    }
    if (auto done = incoming->finish(); !done) return to_status(done.error());
    return grpc::Status::OK;
  }

  // "[INSTANCE/]blobs/HASH/SIZE", or with "uploads/UUID/" before "blobs" and anything behind the size.
  std::optional<Digest> parse(std::string_view name, bool upload) const {
    if (!common_.instance.empty()) {
      if (!name.starts_with(common_.instance + "/")) return std::nullopt;
      name.remove_prefix(common_.instance.size() + 1);
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

  const Common& common_;
};

class Fetch final : public asset::Fetch::Service {
 public:
  explicit Fetch(const Common& common) : common_(common) {}

  grpc::Status FetchBlob(grpc::ServerContext*, const asset::FetchBlobRequest* request, asset::FetchBlobResponse* reply) override {
    return find(*request, [&](const std::string& uri) { return common_.cache.find_blob(uri); }, reply,
                [&](const Digest& digest) { to(digest, reply->mutable_blob_digest()); });
  }

  grpc::Status FetchDirectory(grpc::ServerContext*, const asset::FetchDirectoryRequest* request, asset::FetchDirectoryResponse* reply) override {
    return find(*request, [&](const std::string& uri) { return common_.cache.find_directory(uri); }, reply,
                [&](const Digest& digest) { to(digest, reply->mutable_root_directory_digest()); });
  }

 private:
  template <typename Request, typename Find, typename Reply, typename Set>
  grpc::Status find(const Request& request, const Find& find, Reply* reply, const Set& set) const {
    if (auto good = common_.check(request.instance_name(), request.digest_function()); !good.ok()) return good;
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

class Push final : public asset::Push::Service {
 public:
  explicit Push(const Common& common) : common_(common) {}

  grpc::Status PushBlob(grpc::ServerContext*, const asset::PushBlobRequest* request, asset::PushBlobResponse*) override {
    return put(*request, from(request->blob_digest()), [&](const std::string& uri, const Digest& digest) {
      return common_.cache.put_blob(uri, digest);
    });
  }

  grpc::Status PushDirectory(grpc::ServerContext*, const asset::PushDirectoryRequest* request, asset::PushDirectoryResponse*) override {
    return put(*request, from(request->root_directory_digest()), [&](const std::string& uri, const Digest& digest) {
      return common_.cache.put_directory(uri, digest);
    });
  }

 private:
  template <typename Request, typename Put>
  grpc::Status put(const Request& request, const Digest& digest, const Put& put) const {
    if (auto good = common_.check(request.instance_name(), request.digest_function()); !good.ok()) return good;
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
  ~Server() override { stop(); }

  Status add(Cache& cache, const Endpoint& endpoint, const std::string& instance_name) {
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    const bool secure = !endpoint.key.empty();
    if (secure) {
      grpc::SslServerCredentialsOptions options(endpoint.client_certs.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                                              : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
      options.pem_key_cert_pairs.push_back({endpoint.key, endpoint.certificate});
      options.pem_root_certs = endpoint.client_certs;
      credentials = grpc::SslServerCredentials(options);
    }
    auto serving = std::make_unique<Serving>(Common{cache, instance_name, endpoint.push});
    grpc::ServerBuilder builder;
    grpc::ResourceQuota threads;
    threads.SetMaxThreads(kThreads);
    builder.SetResourceQuota(threads);
    builder.SetMaxReceiveMessageSize(kMessageLimit);
    builder.SetMaxSendMessageSize(kMessageLimit);
    // Another server on the same port would get half of our clients.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 64);
    // Clients that are gone without a word hold no thread; those that ask whether we are there may.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    int port = 0;
    builder.AddListeningPort(endpoint.address, credentials, &port);
    for (grpc::Service* service : std::initializer_list<grpc::Service*>{&serving->capabilities, &serving->storage, &serving->bytes, &serving->fetch,
                                                                      &serving->push}) {
      builder.RegisterService(service);
    }
    serving->server = builder.BuildAndStart();
    if (!serving->server || port == 0) {
      return fail("server", "bind", fmt::format("{} can't be served{}", endpoint.address,
                                                secure ? ": the address is taken or wrong, or a key or certificate can't be used"
                                                       : ": the address is taken or wrong"));
    }
    std::string shown = endpoint.address;
    if (!shown.starts_with("unix:")) {
      shown = fmt::format("{}://{}:{}", secure ? "https" : "http", shown.substr(0, shown.rfind(':')), port);
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
  std::vector<std::unique_ptr<Serving>> serving_;
  std::vector<std::string> urls_;
};

}  // namespace

Result<std::unique_ptr<CasServer>> start_cas_server(Cache& cache, const std::vector<Endpoint>& endpoints, const std::string& instance_name) {
  auto server = std::make_unique<Server>();
  for (const Endpoint& endpoint : endpoints) {
    if (auto added = server->add(cache, endpoint, instance_name); !added) return forward(added);
  }
  return server;
}

}  // namespace sluice::remote
