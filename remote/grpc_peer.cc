// The client's side of gRPC; all of it. See peer.h.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/threads.h"
#include "base/try.h"
#include "model/remotes.h"
#include "remote/grpc.h"
#include "remote/peer.h"

namespace sluice::remote {

namespace {

namespace asset = build::bazel::remote::asset::v1;
namespace reapi = build::bazel::remote::execution::v2;

constexpr std::int64_t kDefaultRetryLimit = 4;
constexpr std::int64_t kDefaultRetryDelay = 1000;
// Where nobody says otherwise, a server that was silent until time was up is asked once more.
constexpr std::int64_t kSilentRetries = 1;
constexpr std::int64_t kDay = 86'400;  // longer is never
// What gRPC accepts of a message where nobody says otherwise is 4 MiB, names and all.
constexpr std::size_t kBatchLimit = std::size_t{3} << 20;
constexpr int kMessageLimit = 16 << 20;
constexpr std::size_t kPart = std::size_t{256} << 10;

const char* code_name(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED: return "CANCELLED";
    case grpc::StatusCode::INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case grpc::StatusCode::DEADLINE_EXCEEDED: return "DEADLINE_EXCEEDED";
    case grpc::StatusCode::NOT_FOUND: return "NOT_FOUND";
    case grpc::StatusCode::ALREADY_EXISTS: return "ALREADY_EXISTS";
    case grpc::StatusCode::PERMISSION_DENIED: return "PERMISSION_DENIED";
    case grpc::StatusCode::UNAUTHENTICATED: return "UNAUTHENTICATED";
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return "RESOURCE_EXHAUSTED";
    case grpc::StatusCode::FAILED_PRECONDITION: return "FAILED_PRECONDITION";
    case grpc::StatusCode::ABORTED: return "ABORTED";
    case grpc::StatusCode::OUT_OF_RANGE: return "OUT_OF_RANGE";
    case grpc::StatusCode::UNIMPLEMENTED: return "UNIMPLEMENTED";
    case grpc::StatusCode::INTERNAL: return "INTERNAL";
    case grpc::StatusCode::UNAVAILABLE: return "UNAVAILABLE";
    case grpc::StatusCode::DATA_LOSS: return "DATA_LOSS";
    default: return "UNKNOWN";
  }
}

const char* reason_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::NOT_FOUND: return "not-found";
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED: return "denied";
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return "full";
    case grpc::StatusCode::UNIMPLEMENTED: return "unsupported";
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED: return "unreachable";
    default: return "remote-failed";
  }
}

// A server's text goes to a terminal: one line without control characters, and not for ever.
std::string plain(std::string_view text) {
  std::string shown(text.substr(0, 1000));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return shown;
}

tl::unexpected<Error> failed(std::string_view call, int code, std::string_view message) {
  const auto known = static_cast<grpc::StatusCode>(code);
  return fail("remote", reason_of(known),
              fmt::format("{} failed with status {}: {}", call, code_name(known), plain(message)));
}

tl::unexpected<Error> failed(std::string_view call, const grpc::Status& status) {
  return failed(call, status.error_code(), status.error_message());
}

void put(const Digest& digest, reapi::Digest* message) {
  message->set_hash(digest.hash);
  message->set_size_bytes(digest.size);
}

Result<Digest> get(const reapi::Digest& message, std::string_view call) {
  Digest digest{message.hash(), message.size_bytes()};
  if (!store::valid_digest(digest))
    return fail("remote", "misbehaved",
                fmt::format("{} was answered with what is no digest", call));
  return digest;
}

std::string uuid() {
  std::random_device random;
  std::string text;
  for (int i = 0; i < 4; ++i) text += fmt::format("{:08x}", random());
  text[12] = '4';
  text[16] = '8';
  for (const std::size_t dash : {8, 13, 18, 23}) text.insert(dash, "-");
  return text;
}

Result<std::string> credentials_file(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = read_file(path);
  if (!text)
    return fail("remote", "bad-remote", fmt::format("Failed to load credentials file: {}", path),
                {}, text.error().message);
  return text;
}

// Cancels a stream whose server neither sends nor takes anything for so long. How long all of a
// stream takes nobody knows, so it has no deadline. Time that passes outside of wait(), on this
// machine's disk, doesn't count.
class Watch {
 public:
  // Without `patience` (0) it waits for ever.
  Watch(grpc::ClientContext& context, std::chrono::seconds patience)
      : context_(context), patience_(patience) {
    if (patience_.count() == 0) return;
    auto thread = start_thread([this] { run(); });
    if (thread) {
      thread_ = std::move(*thread);
    } else {
      // Without anybody who watches it, it might wait for ever.
      refused_ = thread.error().message;
      context_.TryCancel();
    }
  }
  ~Watch() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard guard(lock_);
      over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Watch(const Watch&) = delete;

  template <typename Call>
  auto wait(const Call& call) {
    set(Clock::now() + patience_);
    auto result = call();
    set(std::nullopt);
    return result;
  }
  // What to tell of a stream that ended with `status`.
  grpc::Status outcome(const grpc::Status& status) {
    if (!refused_.empty()) return {grpc::StatusCode::UNAVAILABLE, refused_};
    const std::lock_guard guard(lock_);
    if (!expired_) return status;
    return {grpc::StatusCode::DEADLINE_EXCEEDED,
            fmt::format("The server did nothing for {} s", patience_.count())};
  }

 private:
  using Clock = std::chrono::steady_clock;

  void set(std::optional<Clock::time_point> until) {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard guard(lock_);
      until_ = until;
    }
    changed_.notify_one();
  }

  void run() {
    std::unique_lock guard(lock_);
    while (!over_ && !expired_) {
      if (!until_) {
        changed_.wait(guard);
      } else if (Clock::now() < *until_) {
        changed_.wait_until(guard, *until_);
      } else {
        expired_ = true;
        context_.TryCancel();
      }
    }
  }

  grpc::ClientContext& context_;
  const std::chrono::seconds patience_;
  std::string refused_;  // why there is no thread
  std::mutex lock_;      // of what follows
  std::condition_variable changed_;
  std::optional<Clock::time_point> until_;
  bool over_ = false, expired_ = false;
  std::thread thread_;
};

class GrpcPeer final : public Peer {
 public:
  GrpcPeer(RemoteSpec spec, const std::shared_ptr<grpc::Channel>& channel)
      : spec_(std::move(spec)), capabilities_(reapi::Capabilities::NewStub(channel)),
        storage_(reapi::ContentAddressableStorage::NewStub(channel)),
        bytes_(google::bytestream::ByteStream::NewStub(channel)),
        fetch_(asset::Fetch::NewStub(channel)), push_(asset::Push::NewStub(channel)) {}

  const RemoteSpec& spec() const override { return spec_; }

  Status load_token() {
    if (spec_.access_token.empty()) return {};
    auto token = TRY(credentials_file(spec_.access_token));
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' '))
      token.pop_back();
    for (const char c : token) {
      if (c < 0x20 || c == 0x7f)
        return fail("remote", "bad-remote",
                    fmt::format("{} holds more than a token", spec_.access_token));
    }
    const std::lock_guard lock(token_lock_);
    token_ = std::move(token);
    token_time_ = std::chrono::steady_clock::now();
    return {};
  }

  Result<std::size_t> batch_limit() override {
    reapi::GetCapabilitiesRequest request;
    request.set_instance_name(spec_.instance_name);
    reapi::ServerCapabilities reply;
    const grpc::Status status = attempt([&](grpc::ClientContext& context) {
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
    if (auto good = known("FetchBlob", "Fetch", attempt([&](grpc::ClientContext& context) {
                            return fetch_->FetchBlob(&context, request, &reply);
                          }));
        !good || !spec_.push) {
      return good;
    }
    asset::PushBlobRequest push;
    push.set_instance_name(spec_.instance_name);
    asset::PushBlobResponse pushed;
    return known("PushBlob", "Push", attempt([&](grpc::ClientContext& context) {
                   return push_->PushBlob(&context, push, &pushed);
                 }));
  }

  Result<std::vector<Digest>> missing(const std::vector<Digest>& digests) override {
    reapi::FindMissingBlobsRequest request;
    request.set_instance_name(spec_.instance_name);
    for (const Digest& digest : digests) put(digest, request.add_blob_digests());
    reapi::FindMissingBlobsResponse reply;
    const grpc::Status status = attempt([&](grpc::ClientContext& context) {
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
    const grpc::Status status = attempt([&](grpc::ClientContext& context) {
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
    const grpc::Status status = attempt([&](grpc::ClientContext& context) {
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
    const grpc::Status status = attempt_stream([&](grpc::ClientContext& context, Watch& watch) {
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
    const grpc::Status status = attempt_stream([&](grpc::ClientContext& context, Watch& watch) {
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
          local =
              n < 0 ? Status(fail_errno(errno, digest.hash))
                    : Status(fail("cas", "missing-blob", digest.hash + " is shorter than it was"));
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
    const grpc::Status status = attempt(
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
    const grpc::Status status = attempt([&](grpc::ClientContext& context) {
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
    const grpc::Status status = attempt(call);
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

  // One call, and again when it may be otherwise then. Each has a context of its own, and an end.
  template <typename Call>
  grpc::Status attempt(const Call& call) {
    return retry([&](grpc::ClientContext& context) {
      if (const auto timeout = call_timeout(spec_); timeout.count() > 0)
        context.set_deadline(std::chrono::system_clock::now() + timeout);
      return call(context);
    });
  }

  template <typename Call>
  grpc::Status attempt_stream(const Call& call) {
    return retry([&](grpc::ClientContext& context) {
      Watch watch(context, call_timeout(spec_));
      const grpc::Status status = call(context, watch);
      return watch.outcome(status);
    });
  }

  template <typename Call>
  grpc::Status retry(const Call& call) {
    const std::int64_t limit =
        std::max<std::int64_t>(spec_.retry_limit.value_or(kDefaultRetryLimit), 0);
    const std::int64_t silent_limit =
        spec_.request_timeout ? limit : std::min(limit, kSilentRetries);
    std::chrono::milliseconds delay(
        std::clamp<std::int64_t>(spec_.retry_delay.value_or(kDefaultRetryDelay), 0, 60'000));
    for (std::int64_t retries = 0;; ++retries) {
      grpc::ClientContext context;
      if (const std::string token = current_token(); !token.empty())
        context.AddMetadata("authorization", "Bearer " + token);
      grpc::Status status = call(context);
      const grpc::StatusCode code = status.error_code();
      const bool again = (code == grpc::StatusCode::UNAVAILABLE && retries < limit) ||
                         (code == grpc::StatusCode::DEADLINE_EXCEEDED && retries < silent_limit);
      if (!again) return status;
      std::this_thread::sleep_for(delay);
      delay = std::min(delay * 2, std::chrono::milliseconds(60'000));
    }
  }

  std::string current_token() {
    if (spec_.access_token.empty()) return {};
    bool old = false;
    {
      const std::lock_guard lock(token_lock_);
      const std::int64_t interval = spec_.access_token_reload_interval.value_or(0);
      old = interval > 0 && std::chrono::steady_clock::now() - token_time_ >=
                                std::chrono::minutes(std::min(interval, kDay));
    }
    // When it can't be read any more the one there is goes on being used.
    if (old) [[maybe_unused]]
      auto loaded = load_token();
    const std::lock_guard lock(token_lock_);
    return token_;
  }

  RemoteSpec spec_;
  std::unique_ptr<reapi::Capabilities::Stub> capabilities_;
  std::unique_ptr<reapi::ContentAddressableStorage::Stub> storage_;
  std::unique_ptr<google::bytestream::ByteStream::Stub> bytes_;
  std::unique_ptr<asset::Fetch::Stub> fetch_;
  std::unique_ptr<asset::Push::Stub> push_;
  std::mutex token_lock_;
  std::string token_;
  std::chrono::steady_clock::time_point token_time_;
};

Result<std::unique_ptr<Peer>> connect_with(const RemoteSpec& spec,
                                           grpc::ChannelArguments arguments) {
  const auto address = model::remote_address(spec.url);
  if (!address) return tl::unexpected<Error>(address.error());
  const auto& [target, secure] = *address;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (secure) {
    grpc::SslCredentialsOptions options;
    const std::pair<const std::string*, grpc::string*> files[] = {
        {&spec.server_cert, &options.pem_root_certs},
        {&spec.client_key, &options.pem_private_key},
        {&spec.client_cert, &options.pem_cert_chain}};
    for (const auto& [path, to] : files) {
      auto text = TRY(credentials_file(*path));
      *to = std::move(text);
    }
    credentials = grpc::SslCredentials(options);
  } else {
    if (!spec.server_cert.empty() || !spec.client_key.empty() || !spec.client_cert.empty() ||
        !spec.access_token.empty()) {
      return fail("remote", "bad-remote",
                  fmt::format("{}: certificates and tokens need https://", spec.url));
    }
    credentials = grpc::InsecureChannelCredentials();
  }
  arguments.SetMaxReceiveMessageSize(kMessageLimit);
  arguments.SetMaxSendMessageSize(kMessageLimit);
  arguments.SetUserAgentPrefix("sluice/" SLUICE_VERSION);
  if (const std::int64_t time = spec.keepalive_time.value_or(0); time > 0) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(std::min(time, kDay) * 1000));
  }
  auto peer =
      std::make_unique<GrpcPeer>(spec, grpc::CreateCustomChannel(target, credentials, arguments));
  CHECK(peer->load_token());
  return peer;
}

}  // namespace

Result<std::unique_ptr<Peer>> connect(const RemoteSpec& spec) {
  return connect_with(spec, grpc::ChannelArguments());
}

Result<std::unique_ptr<Peer>> connect_to(const RemoteSpec& spec, const std::string& server_name) {
  grpc::ChannelArguments arguments;
  if (!server_name.empty()) arguments.SetSslTargetNameOverride(server_name);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  // A server that vanished without a word is noticed before its calls' time is up.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  return connect_with(spec, std::move(arguments));
}

}  // namespace sluice::remote
