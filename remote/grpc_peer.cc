// A server's blobs and names over gRPC. See peer.h.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "remote/connection.h"
#include "remote/peer.h"

namespace sluice::remote {

namespace {

namespace asset = build::bazel::remote::asset::v1;
namespace reapi = build::bazel::remote::execution::v2;

// What gRPC accepts of a message where nobody says otherwise is 4 MiB, names and all.
constexpr std::size_t kBatchLimit = std::size_t{3} << 20;
constexpr std::size_t kPart = std::size_t{256} << 10;

std::string uuid() {
  std::random_device random;
  std::string text;
  for (int i = 0; i < 4; ++i) text += fmt::format("{:08x}", random());
  text[12] = '4';
  text[16] = '8';
  for (const std::size_t dash : {8, 13, 18, 23}) text.insert(dash, "-");
  return text;
}

class GrpcPeer final : public Peer {
 public:
  explicit GrpcPeer(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)), spec_(connection_->spec()),
        capabilities_(reapi::Capabilities::NewStub(connection_->channel())),
        storage_(reapi::ContentAddressableStorage::NewStub(connection_->channel())),
        bytes_(google::bytestream::ByteStream::NewStub(connection_->channel())),
        fetch_(asset::Fetch::NewStub(connection_->channel())),
        push_(asset::Push::NewStub(connection_->channel())) {}

  const RemoteSpec& spec() const override { return spec_; }

  Result<std::size_t> batch_limit() override {
    reapi::GetCapabilitiesRequest request;
    request.set_instance_name(spec_.instance_name);
    reapi::ServerCapabilities reply;
    const grpc::Status status = connection_->attempt([&](grpc::ClientContext& context) {
      return capabilities_->GetCapabilities(&context, request, &reply);
    });
    // A server needn't have the capabilities' service.
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return kBatchLimit;
    if (!status.ok()) return failed("GetCapabilities", status);
    const auto& functions = reply.cache_capabilities().digest_functions();
    bool sha256 = functions.empty();
    for (const int function : functions)
      sha256 = sha256 || function == reapi::DigestFunction::SHA256;
    if (!sha256) return fail("remote", "unsupported", "The server's digests are not SHA-256");
    const std::int64_t limit = reply.cache_capabilities().max_batch_total_size_bytes();
    if (limit <= 0) return kBatchLimit;
    return std::min(kBatchLimit, static_cast<std::size_t>(limit));
  }

  Status check_index() override {
    // A request without a name is a bad one to servers that know the service.
    asset::FetchBlobRequest request;
    request.set_instance_name(spec_.instance_name);
    asset::FetchBlobResponse reply;
    if (auto good =
            known("FetchBlob", "Fetch", connection_->attempt([&](grpc::ClientContext& context) {
              return fetch_->FetchBlob(&context, request, &reply);
            }));
        !good || !spec_.push) {
      return good;
    }
    asset::PushBlobRequest push;
    push.set_instance_name(spec_.instance_name);
    asset::PushBlobResponse pushed;
    return known("PushBlob", "Push", connection_->attempt([&](grpc::ClientContext& context) {
      return push_->PushBlob(&context, push, &pushed);
    }));
  }

  Result<std::vector<Digest>> missing(const std::vector<Digest>& digests) override {
    reapi::FindMissingBlobsRequest request;
    request.set_instance_name(spec_.instance_name);
    for (const Digest& digest : digests) put(digest, request.add_blob_digests());
    reapi::FindMissingBlobsResponse reply;
    const grpc::Status status = connection_->attempt([&](grpc::ClientContext& context) {
      return storage_->FindMissingBlobs(&context, request, &reply);
    });
    if (!status.ok()) return failed("FindMissingBlobs", status);
    std::vector<Digest> found;
    for (const reapi::Digest& message : reply.missing_blob_digests()) {
      auto digest = TRY(get(message, "FindMissingBlobs"));
      found.push_back(std::move(digest));
    }
    return found;
  }

  Result<std::vector<PeerBlob>> read_batch(const std::vector<Digest>& digests) override {
    reapi::BatchReadBlobsRequest request;
    request.set_instance_name(spec_.instance_name);
    for (const Digest& digest : digests) put(digest, request.add_digests());
    reapi::BatchReadBlobsResponse reply;
    const grpc::Status status = connection_->attempt([&](grpc::ClientContext& context) {
      return storage_->BatchReadBlobs(&context, request, &reply);
    });
    if (!status.ok()) return failed("BatchReadBlobs", status);
    std::vector<PeerBlob> blobs;
    for (auto& response : *reply.mutable_responses()) {
      auto digest = TRY(get(response.digest(), "BatchReadBlobs"));
      PeerBlob blob{std::move(digest), std::move(*response.mutable_data()), {}};
      if (response.status().code() != 0) {
        blob.error =
            failed("BatchReadBlobs", response.status().code(), response.status().message()).value();
      } else if (response.compressor() != reapi::Compressor::IDENTITY) {
        return fail("remote", "misbehaved",
                    "BatchReadBlobs was answered with compressed data, which nobody asked for");
      }
      blobs.push_back(std::move(blob));
    }
    return blobs;
  }

  Result<std::vector<PeerBlob>> write_batch(const std::vector<PeerBlob>& blobs) override {
    reapi::BatchUpdateBlobsRequest request;
    request.set_instance_name(spec_.instance_name);
    for (const PeerBlob& blob : blobs) {
      auto* one = request.add_requests();
      put(blob.digest, one->mutable_digest());
      one->set_data(blob.data);
    }
    reapi::BatchUpdateBlobsResponse reply;
    const grpc::Status status = connection_->attempt([&](grpc::ClientContext& context) {
      return storage_->BatchUpdateBlobs(&context, request, &reply);
    });
    if (!status.ok()) return failed("BatchUpdateBlobs", status);
    std::vector<PeerBlob> wrong;
    for (const auto& response : reply.responses()) {
      if (response.status().code() == 0) continue;
      auto digest = TRY(get(response.digest(), "BatchUpdateBlobs"));
      wrong.push_back(
          {std::move(digest),
           {},
           failed("BatchUpdateBlobs", response.status().code(), response.status().message())
               .value()});
    }
    if (static_cast<std::size_t>(reply.responses_size()) < blobs.size()) {
      return fail("remote", "misbehaved",
                  fmt::format("BatchUpdateBlobs of {} blobs was answered for {}", blobs.size(),
                              reply.responses_size()));
    }
    return wrong;
  }

  Status read_stream(const Digest& digest,
                     const std::function<Status(std::string_view)>& sink) override {
    google::bytestream::ReadRequest request;
    request.set_resource_name(resource("blobs", digest));
    std::int64_t received = 0;
    Status sunk;
    const grpc::Status status =
        connection_->attempt_stream([&](grpc::ClientContext& context, Watch& watch) {
          // Parts that came before the connection broke needn't come again.
          request.set_read_offset(received);
          auto reader = watch.wait([&] { return bytes_->Read(&context, request); });
          google::bytestream::ReadResponse part;
          while (watch.wait([&] { return reader->Read(&part); })) {
            sunk = sink(part.data());
            if (!sunk) {
              context.TryCancel();
              break;
            }
            received += static_cast<std::int64_t>(part.data().size());
          }
          return watch.wait([&] { return reader->Finish(); });
        });
    if (!sunk) return sunk;
    if (!status.ok()) return failed("Read", status);
    return {};
  }

  Status write_stream(const Digest& digest, int fd) override {
    Status local;
    google::bytestream::WriteResponse reply;
    const grpc::Status status =
        connection_->attempt_stream([&](grpc::ClientContext& context, Watch& watch) {
          reply.Clear();
          auto writer = watch.wait([&] { return bytes_->Write(&context, &reply); });
          google::bytestream::WriteRequest part;
          part.set_resource_name(resource("uploads/" + uuid() + "/blobs", digest));
          std::int64_t offset = 0;
          while (true) {
            std::string& data = *part.mutable_data();
            data.resize(kPart);
            ssize_t n;
            do {
              n = ::pread(fd, data.data(), data.size(), offset);
            } while (n < 0 && errno == EINTR);
            if (n < 0 || (n == 0 && offset < digest.size)) {
              local = n < 0 ? Status(fail_errno(errno, digest.hash))
                            : Status(fail("cas", "missing-blob",
                                          digest.hash + " is shorter than it was"));
              context.TryCancel();
              break;
            }
            data.resize(static_cast<std::size_t>(n));
            part.set_write_offset(offset);
            offset += n;
            part.set_finish_write(offset >= digest.size);
            // False: the server has ended it already, because it has the blob or because it doesn't
            // want it.
            if (!watch.wait([&] { return writer->Write(part); }) || part.finish_write()) break;
            part.clear_resource_name();
          }
          return watch.wait([&] {
            if (local) writer->WritesDone();
            return writer->Finish();
          });
        });
    if (!local) return local;
    if (!status.ok()) return failed("Write", status);
    if (reply.committed_size() != digest.size && reply.committed_size() != -1) {
      return fail("remote", "misbehaved",
                  fmt::format("Write of {} bytes was answered with {}", digest.size,
                              reply.committed_size()));
    }
    return {};
  }

  Result<std::optional<Digest>> fetch_blob(const std::vector<std::string>& uris) override {
    asset::FetchBlobRequest request;
    asset::FetchBlobResponse reply;
    return fetch(
        "FetchBlob", uris, request, reply,
        [&](grpc::ClientContext& context) { return fetch_->FetchBlob(&context, request, &reply); },
        [&] { return reply.blob_digest(); });
  }

  Result<std::optional<Digest>> fetch_directory(const std::vector<std::string>& uris) override {
    asset::FetchDirectoryRequest request;
    asset::FetchDirectoryResponse reply;
    return fetch(
        "FetchDirectory", uris, request, reply,
        [&](grpc::ClientContext& context) {
          return fetch_->FetchDirectory(&context, request, &reply);
        },
        [&] { return reply.root_directory_digest(); });
  }

  Status push_blob(const std::vector<std::string>& uris, const Digest& digest,
                   const std::vector<Digest>& blobs,
                   const std::vector<Digest>& directories) override {
    asset::PushBlobRequest request;
    request.set_instance_name(spec_.instance_name);
    for (const std::string& uri : uris) request.add_uris(uri);
    put(digest, request.mutable_blob_digest());
    for (const Digest& blob : blobs) put(blob, request.add_references_blobs());
    for (const Digest& directory : directories)
      put(directory, request.add_references_directories());
    asset::PushBlobResponse reply;
    const grpc::Status status = connection_->attempt(
        [&](grpc::ClientContext& context) { return push_->PushBlob(&context, request, &reply); });
    if (!status.ok()) return failed("PushBlob", status);
    return {};
  }

  Status push_directory(const std::vector<std::string>& uris, const Digest& root) override {
    asset::PushDirectoryRequest request;
    request.set_instance_name(spec_.instance_name);
    for (const std::string& uri : uris) request.add_uris(uri);
    put(root, request.mutable_root_directory_digest());
    asset::PushDirectoryResponse reply;
    const grpc::Status status = connection_->attempt([&](grpc::ClientContext& context) {
      return push_->PushDirectory(&context, request, &reply);
    });
    if (!status.ok()) return failed("PushDirectory", status);
    return {};
  }

 private:
  static Status known(std::string_view call, std::string_view service, const grpc::Status& status) {
    if (status.ok() || status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) return {};
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      return fail("remote", "unsupported",
                  fmt::format("Configured remote does not implement the Remote Asset {} service. "
                              "Please check remote configuration.",
                              service));
    }
    return failed(call, status);
  }

  template <typename Request, typename Reply, typename Call, typename Found>
  Result<std::optional<Digest>> fetch(const char* name, const std::vector<std::string>& uris,
                                      Request& request, Reply& reply, const Call& call,
                                      const Found& found) {
    request.set_instance_name(spec_.instance_name);
    for (const std::string& uri : uris) request.add_uris(uri);
    const grpc::Status status = connection_->attempt(call);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) return std::nullopt;
    if (!status.ok()) return failed(name, status);
    if (reply.status().code() == grpc::StatusCode::NOT_FOUND) return std::nullopt;
    if (reply.status().code() != 0)
      return failed(name, reply.status().code(), reply.status().message());
    auto digest = TRY(get(found(), name));
    return std::optional<Digest>(std::move(digest));
  }

  std::string resource(const std::string& place, const Digest& digest) const {
    return fmt::format("{}{}{}/{}/{}", spec_.instance_name, spec_.instance_name.empty() ? "" : "/",
                       place, digest.hash, digest.size);
  }

  const std::unique_ptr<Connection> connection_;
  const RemoteSpec& spec_;
  std::unique_ptr<reapi::Capabilities::Stub> capabilities_;
  std::unique_ptr<reapi::ContentAddressableStorage::Stub> storage_;
  std::unique_ptr<google::bytestream::ByteStream::Stub> bytes_;
  std::unique_ptr<asset::Fetch::Stub> fetch_;
  std::unique_ptr<asset::Push::Stub> push_;
};

}  // namespace

Result<std::unique_ptr<Peer>> connect(const RemoteSpec& spec) { return connect_to(spec, {}); }

Result<std::unique_ptr<Peer>> connect_to(const RemoteSpec& spec, const std::string& server_name) {
  auto connection =
      TRY(Connection::open(spec, std::chrono::seconds(server_name.empty() ? 0 : 20), server_name));
  return std::make_unique<GrpcPeer>(std::move(connection));
}

}  // namespace sluice::remote
