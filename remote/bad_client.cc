#include "remote/bad_client.h"

#include <vector>

#include <fmt/format.h>

#include "remote/grpc.h"

namespace sluice::remote::test {

namespace {

namespace bytestream = google::bytestream;

class Client final : public BadClient {
 public:
  explicit Client(const std::string& url) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = bytestream::ByteStream::NewStub(grpc::CreateCustomChannel(
        url.substr(url.find("//") + 2), grpc::InsecureChannelCredentials(), arguments));
  }
  ~Client() override {
    for (auto& reading : reading_) reading->context.TryCancel();
    for (auto& writing : writing_) writing->context.TryCancel();
  }

  void ask_and_not_read(const store::Digest& blob, int streams) override {
    bytestream::ReadRequest request;
    request.set_resource_name(fmt::format("blobs/{}/{}", blob.hash, blob.size));
    for (int i = 0; i < streams; ++i) {
      auto reading = std::make_unique<Reading>();
      reading->stream = stub_->Read(&reading->context, request);
      reading_.push_back(std::move(reading));
    }
  }

  void send(const store::Digest& blob, const std::string& data, bool patient) override {
    auto writing = std::make_unique<Writing>();
    writing->stream = stub_->Write(&writing->context, &writing->reply);
    bytestream::WriteRequest part;
    part.set_resource_name(fmt::format("uploads/00000000-0000-4000-8000-000000000000/blobs/{}/{}",
                                       blob.hash, blob.size));
    part.set_data(data);
    part.set_finish_write(!data.empty());
    writing->stream->Write(part);
    if (patient) {
      writing_.push_back(std::move(writing));
    } else {
      writing->stream->WritesDone();
      writing->stream->Finish();
    }
  }

 private:
  struct Reading {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<bytestream::ReadResponse>> stream;
  };
  struct Writing {
    grpc::ClientContext context;
    bytestream::WriteResponse reply;
    std::unique_ptr<grpc::ClientWriter<bytestream::WriteRequest>> stream;
  };

  std::unique_ptr<bytestream::ByteStream::Stub> stub_;
  std::vector<std::unique_ptr<Reading>> reading_;
  std::vector<std::unique_ptr<Writing>> writing_;
};

}  // namespace

std::unique_ptr<BadClient> connect_bad_client(const std::string& url) {
  return std::make_unique<Client>(url);
}

}  // namespace sluice::remote::test
