// Internal to remote/: the way to one server over gRPC. It has the credentials and tokens of the
// user's configuration, deadlines, and calls that are tried again as the RemoteSpec says.
//
// Errors: domain "remote", reasons as in wire/remote_protocol.h, and "not-found", "full".
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"
#include "remote/grpc.h"
#include "remote/peer.h"

namespace sluice::remote {

// The error of a call that failed. A server's text is in it without control characters.
tl::unexpected<Error> failed(std::string_view call, int code, std::string_view message);
tl::unexpected<Error> failed(std::string_view call, const grpc::Status& status);

void put(const Digest& digest, build::bazel::remote::execution::v2::Digest* message);
// "misbehaved" when it is none.
Result<Digest> get(const build::bazel::remote::execution::v2::Digest& message,
                   std::string_view call);

// Cancels a stream whose server neither sends nor takes anything for so long. How long all of a
// stream takes nobody knows, so it has no deadline. Time that passes outside of wait(), on this
// machine's disk, doesn't count.
class Watch {
 public:
  // Without `patience` (0) it waits for ever.
  Watch(grpc::ClientContext& context, std::chrono::seconds patience);
  ~Watch();
  Watch(const Watch&) = delete;

  template <typename Call>
  auto wait(const Call& call) {
    set(Clock::now() + patience_);
    auto result = call();
    set(std::nullopt);
    return result;
  }
  // What to tell of a stream that ended with `status`.
  grpc::Status outcome(const grpc::Status& status);

 private:
  using Clock = std::chrono::steady_clock;

  void set(std::optional<Clock::time_point> until);
  void run();

  grpc::ClientContext& context_;
  const std::chrono::seconds patience_;
  std::string refused_;  // why there is no thread
  std::mutex lock_;      // of what follows
  std::condition_variable changed_;
  std::optional<Clock::time_point> until_;
  bool over_ = false, expired_ = false;
  std::thread thread_;
};

// One server's channel. Thread-safe.
class Connection {
 public:
  // `keepalive`: after so long without a word the server is asked whether it is there, where the
  // RemoteSpec doesn't say; zero: never. `server_name`: that its certificate has; "": its address.
  // One with such a name is a session's, which may be away for a while and is looked for more
  // often. Error: "bad-remote".
  static Result<std::unique_ptr<Connection>> open(
      const RemoteSpec& spec, std::chrono::seconds keepalive = std::chrono::seconds(0),
      const std::string& server_name = {});

  const RemoteSpec& spec() const { return spec_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Puts the token into a call that is made without attempt().
  void authorize(grpc::ClientContext& context);

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
    const std::int64_t limit = retries();
    const std::int64_t silent_limit =
        spec_.request_timeout ? limit : std::min(limit, kSilentRetries);
    std::chrono::milliseconds delay = first_delay();
    for (std::int64_t tried = 0;; ++tried) {
      grpc::ClientContext context;
      authorize(context);
      grpc::Status status = call(context);
      const grpc::StatusCode code = status.error_code();
      const bool again = (code == grpc::StatusCode::UNAVAILABLE && tried < limit) ||
                         (code == grpc::StatusCode::DEADLINE_EXCEEDED && tried < silent_limit);
      if (!again) return status;
      std::this_thread::sleep_for(delay);
      delay = longer(delay);
    }
  }

  // How often a call is tried again, and how long after it failed: the first time, and each after.
  std::int64_t retries() const {
    return std::max<std::int64_t>(spec_.retry_limit.value_or(kDefaultRetryLimit), 0);
  }
  std::chrono::milliseconds first_delay() const {
    return std::chrono::milliseconds(
        std::clamp<std::int64_t>(spec_.retry_delay.value_or(kDefaultRetryDelay), 0, 60'000));
  }
  static std::chrono::milliseconds longer(std::chrono::milliseconds delay) {
    return std::min(delay * 2, std::chrono::milliseconds(60'000));
  }

 private:
  static constexpr std::int64_t kDefaultRetryLimit = 4;
  static constexpr std::int64_t kDefaultRetryDelay = 1000;
  // Where nobody says otherwise, a server that was silent until time was up is asked once more.
  static constexpr std::int64_t kSilentRetries = 1;

  explicit Connection(RemoteSpec spec) : spec_(std::move(spec)) {}
  Status load_token();
  std::string current_token();

  const RemoteSpec spec_;
  std::shared_ptr<grpc::Channel> channel_;
  std::mutex token_lock_;
  std::string token_;
  std::chrono::steady_clock::time_point token_time_;
};

}  // namespace sluice::remote
