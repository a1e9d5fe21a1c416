#include "remote/bad_server.h"

#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "remote/grpc.h"

namespace sluice::remote::test {

namespace {

namespace asset = build::bazel::remote::asset::v1;
namespace reapi = build::bazel::remote::execution::v2;
using store::Digest;

struct Shared {
  const store::Cas& cas;
  Misdeeds misdeeds;
  std::mutex lock;
  std::vector<std::int64_t> offsets;
};

grpc::Status hang(grpc::ServerContext& context) {
  while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return grpc::Status::CANCELLED;
}

class Capabilities final : public reapi::Capabilities::Service {
 public:
  explicit Capabilities(Shared& shared) : shared_(shared) {}
  grpc::Status GetCapabilities(grpc::ServerContext*, const reapi::GetCapabilitiesRequest*,
                               reapi::ServerCapabilities* reply) override {
    reply->mutable_cache_capabilities()->set_max_batch_total_size_bytes(
        shared_.misdeeds.batch_limit);
    return grpc::Status::OK;
  }

 private:
  Shared& shared_;
};

class Storage final : public reapi::ContentAddressableStorage::Service {
 public:
  explicit Storage(Shared& shared) : shared_(shared) {}
  grpc::Status FindMissingBlobs(grpc::ServerContext*, const reapi::FindMissingBlobsRequest* request,
                                reapi::FindMissingBlobsResponse* reply) override {
    for (const reapi::Digest& digest : request->blob_digests()) {
      if (!shared_.cas.contains({digest.hash(), digest.size_bytes()}))
        *reply->add_missing_blob_digests() = digest;
    }
    return grpc::Status::OK;
  }
  grpc::Status BatchReadBlobs(grpc::ServerContext*, const reapi::BatchReadBlobsRequest* request,
                              reapi::BatchReadBlobsResponse* reply) override {
    for (const reapi::Digest& digest : request->digests()) {
      auto* response = reply->add_responses();
      *response->mutable_digest() = digest;
      auto data = shared_.cas.read({digest.hash(), digest.size_bytes()});
      if (!data) {
        response->mutable_status()->set_code(grpc::StatusCode::NOT_FOUND);
        continue;
      }
      if (shared_.misdeeds.batch_flipped && !data->empty()) data->back() ^= 1;
      response->set_data(*data);
    }
    return grpc::Status::OK;
  }

 private:
  Shared& shared_;
};

class Bytes final : public google::bytestream::ByteStream::Service {
 public:
  explicit Bytes(Shared& shared) : shared_(shared) {}
  grpc::Status Read(grpc::ServerContext* context, const google::bytestream::ReadRequest* request,
                    grpc::ServerWriter<google::bytestream::ReadResponse>* writer) override {
    const std::string& mode = shared_.misdeeds.stream;
    const auto offset = static_cast<std::size_t>(request->read_offset());
    bool first = false;
    {
      const std::lock_guard guard(shared_.lock);
      first = shared_.offsets.empty();
      shared_.offsets.push_back(request->read_offset());
    }
    const std::string rest =
        request->resource_name().substr(request->resource_name().find("blobs/") + 6);
    auto data = shared_.cas.read({rest.substr(0, 64), std::stoll(rest.substr(65))});
    if (!data) return {grpc::StatusCode::NOT_FOUND, "not here"};
    google::bytestream::ReadResponse part;
    if (mode == "hangs") return hang(*context);
    if (mode == "slow") {
      for (std::size_t i = 0; i < 10 && !context->IsCancelled(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(250));
        const std::size_t from = data->size() * i / 10;
        part.set_data(data->substr(from, data->size() * (i + 1) / 10 - from));
        writer->Write(part);
      }
      return grpc::Status::OK;
    }
    if (mode == "flipped") (*data)[data->size() / 2] ^= 1;
    const std::size_t half = data->size() / 2;
    part.set_data(data->substr(offset, half));
    writer->Write(part);
    if (mode == "stalls") return hang(*context);
    if (mode == "short") return grpc::Status::OK;
    if (mode == "breaks-once" && first) return {grpc::StatusCode::UNAVAILABLE, "gone"};
    while (mode == "endless" && writer->Write(part)) {
    }
    if (offset + half < data->size()) {
      part.set_data(data->substr(offset + half));
      writer->Write(part);
    }
    return grpc::Status::OK;
  }

 private:
  Shared& shared_;
};

class Fetch final : public asset::Fetch::Service {
 public:
  explicit Fetch(Shared& shared) : shared_(shared) {}
  grpc::Status FetchBlob(grpc::ServerContext* context, const asset::FetchBlobRequest*,
                         asset::FetchBlobResponse* reply) override {
    if (shared_.misdeeds.silent) return hang(*context);
    if (shared_.misdeeds.denies) return {grpc::StatusCode::UNAUTHENTICATED, "who\x1b[31m are\nyou"};
    reply->mutable_blob_digest()->set_hash(
        shared_.misdeeds.name_hash.value_or(shared_.misdeeds.name.hash));
    reply->mutable_blob_digest()->set_size_bytes(shared_.misdeeds.name.size);
    return grpc::Status::OK;
  }

 private:
  Shared& shared_;
};

class Server final : public BadServer {
 public:
  Server(const store::Cas& cas, Misdeeds misdeeds) : shared_{cas, std::move(misdeeds), {}, {}} {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&capabilities_)
        .RegisterService(&storage_)
        .RegisterService(&bytes_)
        .RegisterService(&fetch_);
    server_ = builder.BuildAndStart();
  }
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string url() const override { return fmt::format("http://127.0.0.1:{}", port_); }
  std::vector<std::int64_t> offsets() override {
    const std::lock_guard guard(shared_.lock);
    return shared_.offsets;
  }

 private:
  Shared shared_;
  Capabilities capabilities_{shared_};
  Storage storage_{shared_};
  Bytes bytes_{shared_};
  Fetch fetch_{shared_};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::unique_ptr<BadServer> start_bad_server(const store::Cas& cas, Misdeeds misdeeds) {
  return std::make_unique<Server>(cas, std::move(misdeeds));
}

}  // namespace sluice::remote::test
