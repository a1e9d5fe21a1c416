#include "remote/connection.h"

#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/threads.h"
#include "base/try.h"
#include "model/remotes.h"

namespace sluice::remote {

namespace {

constexpr std::int64_t kDay = 86'400;  // longer is never
constexpr int kMessageLimit = 16 << 20;

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

Result<std::string> credentials_file(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = read_file(path);
  if (!text)
    return fail("remote", "bad-remote", fmt::format("Failed to load credentials file: {}", path),
                {}, text.error().message);
  return text;
}

}  // namespace

tl::unexpected<Error> failed(std::string_view call, int code, std::string_view message) {
  const auto known = static_cast<grpc::StatusCode>(code);
  return fail("remote", reason_of(known),
              fmt::format("{} failed with status {}: {}", call, code_name(known), plain(message)));
}

tl::unexpected<Error> failed(std::string_view call, const grpc::Status& status) {
  return failed(call, status.error_code(), status.error_message());
}

void put(const Digest& digest, build::bazel::remote::execution::v2::Digest* message) {
  message->set_hash(digest.hash);
  message->set_size_bytes(digest.size);
}

Result<Digest> get(const build::bazel::remote::execution::v2::Digest& message,
                   std::string_view call) {
  Digest digest{message.hash(), message.size_bytes()};
  if (!store::valid_digest(digest))
    return fail("remote", "misbehaved",
                fmt::format("{} was answered with what is no digest", call));
  return digest;
}

Watch::Watch(grpc::ClientContext& context, std::chrono::seconds patience)
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
Watch::~Watch() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(lock_);
    over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

grpc::Status Watch::outcome(const grpc::Status& status) {
  if (!refused_.empty()) return {grpc::StatusCode::UNAVAILABLE, refused_};
  const std::lock_guard guard(lock_);
  if (!expired_) return status;
  return {grpc::StatusCode::DEADLINE_EXCEEDED,
          fmt::format("The server did nothing for {} s", patience_.count())};
}

void Watch::set(std::optional<Watch::Clock::time_point> until) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(lock_);
    until_ = until;
  }
  changed_.notify_one();
}

void Watch::run() {
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

Status Connection::load_token() {
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

std::string Connection::current_token() {
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

void Connection::authorize(grpc::ClientContext& context) {
  if (const std::string token = current_token(); !token.empty())
    context.AddMetadata("authorization", "Bearer " + token);
}

Result<std::unique_ptr<Connection>> Connection::open(const RemoteSpec& spec,
                                                     std::chrono::seconds keepalive,
                                                     const std::string& server_name) {
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
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageLimit);
  arguments.SetMaxSendMessageSize(kMessageLimit);
  arguments.SetUserAgentPrefix("sluice/" SLUICE_VERSION);
  if (const std::int64_t time = spec.keepalive_time.value_or(keepalive.count()); time > 0) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(std::min(time, kDay) * 1000));
  }
  if (!server_name.empty()) {
    arguments.SetSslTargetNameOverride(server_name);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  }
  std::unique_ptr<Connection> connection(new Connection(spec));
  connection->channel_ = grpc::CreateCustomChannel(target, credentials, arguments);
  CHECK(connection->load_token());
  return connection;
}

}  // namespace sluice::remote
