// Execution and action cache over gRPC. See execution.h.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "remote/connection.h"
#include "remote/execution.h"

namespace sluice::remote {

namespace {

namespace reapi = build::bazel::remote::execution::v2;
using google::longrunning::Operation;

// How long a server may take to hear that an operation isn't wanted any more.
constexpr std::chrono::seconds kCancelTime{5};
// A connection that held so long was a good one.
constexpr std::chrono::seconds kSteady{30};

// A digest that a message may leave out.
Result<Digest> get_optional(const reapi::Digest& message, std::string_view call) {
  if (message.hash().empty()) return Digest{};
  return get(message, call);
}

Result<ActionResult> read_result(const reapi::ActionResult& message, std::string_view call) {
  ActionResult result;
  result.exit_code = message.exit_code();
  result.stdout_raw = message.stdout_raw();
  result.stderr_raw = message.stderr_raw();
  result.stdout_digest = TRY(get_optional(message.stdout_digest(), call));
  result.stderr_digest = TRY(get_optional(message.stderr_digest(), call));
  for (const reapi::OutputDirectory& directory : message.output_directories()) {
    OutputDirectory output{directory.path(), {}, {}};
    output.root = TRY(get_optional(directory.root_directory_digest(), call));
    output.tree = TRY(get_optional(directory.tree_digest(), call));
    result.directories.push_back(std::move(output));
  }
  for (const reapi::OutputFile& file : message.output_files()) result.others.push_back(file.path());
  for (const auto* links : {&message.output_symlinks(), &message.output_file_symlinks(),
                            &message.output_directory_symlinks()}) {
    for (const reapi::OutputSymlink& link : *links) result.others.push_back(link.path());
  }
  return result;
}

class GrpcActionCache final : public ActionCacheService {
 public:
  explicit GrpcActionCache(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)),
        stub_(reapi::ActionCache::NewStub(connection_->channel())) {}

  Result<std::optional<ActionResult>> find(const Digest& action) override {
    reapi::GetActionResultRequest request;
    request.set_instance_name(connection_->spec().instance_name);
    put(action, request.mutable_action_digest());
    reapi::ActionResult reply;
    const grpc::Status status = connection_->attempt([&](grpc::ClientContext& context) {
      return stub_->GetActionResult(&context, request, &reply);
    });
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) return std::nullopt;
    if (!status.ok()) return failed("GetActionResult", status);
    return std::optional<ActionResult>(TRY(read_result(reply, "GetActionResult")));
  }

 private:
  const std::unique_ptr<Connection> connection_;
  const std::unique_ptr<reapi::ActionCache::Stub> stub_;
};

class GrpcExecution final : public ExecutionService {
 public:
  explicit GrpcExecution(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)),
        execution_(reapi::Execution::NewStub(connection_->channel())),
        operations_(google::longrunning::Operations::NewStub(connection_->channel())) {}

  Result<ActionResult> execute(const Digest& action, bool anew,
                               const std::function<void(std::string_view)>& told) override {
    reapi::ExecuteRequest request;
    request.set_instance_name(connection_->spec().instance_name);
    request.set_skip_cache_lookup(anew);
    put(action, request.mutable_action_digest());
    {
      const std::lock_guard guard(lock_);
      name_.clear();
    }
    std::chrono::milliseconds delay = connection_->first_delay();
    for (std::int64_t failures = 0;;) {
      Heard heard;
      const auto begun = std::chrono::steady_clock::now();
      const grpc::Status status = listen(request, told, heard);
      if (cancelled()) return killed();
      if (heard.end) return result_of(*heard.end);
      // One that breaks again and again at once isn't taken up for ever, whatever it says before.
      if (std::chrono::steady_clock::now() - begun >= kSteady) {
        failures = 0;
        delay = connection_->first_delay();
      }
      CHECK(lost(status, failures++));
      // What was lost is asked for again a little later; whoever cancels doesn't wait for that.
      std::unique_lock guard(lock_);
      changed_.wait_for(guard, delay, [&] { return cancelled_; });
      delay = Connection::longer(delay);
    }
  }

  void cancel() override {
    std::string name;
    {
      const std::lock_guard guard(lock_);
      cancelled_ = true;
      name = name_;
      if (context_ != nullptr) context_->TryCancel();
    }
    changed_.notify_all();
    if (!name.empty()) tell_server(name);
    const std::lock_guard guard(lock_);
    told_ = true;
    changed_.notify_all();
  }

 private:
  struct Heard {
    std::optional<Operation> end;
  };

  void tell_server(const std::string& name) {
    grpc::ClientContext context;
    connection_->authorize(context);
    context.set_deadline(std::chrono::system_clock::now() + kCancelTime);
    google::longrunning::CancelOperationRequest request;
    request.set_name(name);
    google::longrunning::Empty reply;
    // A server needn't be able to; nobody waits for what it does then.
    [[maybe_unused]] const auto status = operations_->CancelOperation(&context, request, &reply);
  }

  // The end of execute() may be the end of the process: the server is told before.
  Result<ActionResult> killed() {
    std::unique_lock guard(lock_);
    changed_.wait_for(guard, 2 * kCancelTime, [&] { return told_; });
    return fail("job", "killed", "The job was killed");
  }

  bool cancelled() {
    const std::lock_guard guard(lock_);
    return cancelled_;
  }

  // Starts the action, or asks for the operation that runs it, and hears what there is to hear.
  grpc::Status listen(const reapi::ExecuteRequest& request,
                      const std::function<void(std::string_view)>& told, Heard& heard) {
    grpc::ClientContext context;
    connection_->authorize(context);
    std::string name;
    {
      const std::lock_guard guard(lock_);
      if (cancelled_) return grpc::Status::CANCELLED;
      context_ = &context;
      name = name_;
    }
    std::unique_ptr<grpc::ClientReader<Operation>> reader;
    if (name.empty()) {
      reader = execution_->Execute(&context, request);
    } else {
      reapi::WaitExecutionRequest wait;
      wait.set_name(name);
      reader = execution_->WaitExecution(&context, wait);
    }
    Operation operation;
    while (reader->Read(&operation)) {
      {
        const std::lock_guard guard(lock_);
        name_ = operation.name();
      }
      if (operation.done()) {
        heard.end = std::move(operation);
        context.TryCancel();
        break;
      }
      tell(operation, told);
    }
    grpc::Status status = reader->Finish();
    const std::lock_guard guard(lock_);
    context_ = nullptr;
    return status;
  }

  void tell(const Operation& operation, const std::function<void(std::string_view)>& told) {
    reapi::ExecuteOperationMetadata metadata;
    if (!operation.metadata().type_url().ends_with("ExecuteOperationMetadata") ||
        !metadata.ParseFromString(operation.metadata().value()) || metadata.stage() == stage_)
      return;
    stage_ = metadata.stage();
    if (stage_ == reapi::ExecutionStage::QUEUED) told("queued");
    if (stage_ == reapi::ExecutionStage::EXECUTING) told("executing");
  }

  // After a stream that ended without the end of the operation: an error, unless it may be heard of
  // again.
  Status lost(const grpc::Status& status, std::int64_t failures) {
    const std::lock_guard guard(lock_);
    const bool waited = !name_.empty();
    const std::string& url = connection_->spec().url;
    switch (status.error_code()) {
      case grpc::StatusCode::OK:
        if (!waited) return fail("remote", "misbehaved", "No response returned from server");
        break;
      case grpc::StatusCode::UNIMPLEMENTED:
        if (!waited) return failed("Execute", status);
        return fail("remote", "unreachable",
                    "Failed trying to recover from connection loss: server does not support "
                    "operation status polling recovery.");
      case grpc::StatusCode::NOT_FOUND:
        // A server that was started anew knows nothing of what it ran: it is run again.
        if (!waited) return failed("Execute", status);
        name_.clear();
        break;
      case grpc::StatusCode::FAILED_PRECONDITION: {
        Error error = failed("Execute", status).value();
        error.reason = "precondition";
        return tl::unexpected<Error>(std::move(error));
      }
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::UNKNOWN:
      case grpc::StatusCode::ABORTED:
      case grpc::StatusCode::CANCELLED: break;
      default: {
        Error error = failed("Execute", status).value();
        error.message =
            fmt::format("Failed contacting remote execution server at {}. {}", url, error.message);
        return tl::unexpected<Error>(std::move(error));
      }
    }
    if (failures < connection_->retries()) return {};
    if (status.ok())
      return fail("remote", "misbehaved",
                  fmt::format("{} ends its answer without a result, again and again", url));
    Error error = failed(waited ? "WaitExecution" : "Execute", status).value();
    error.message =
        fmt::format("Failed contacting remote execution server at {}. {}", url, error.message);
    return tl::unexpected<Error>(std::move(error));
  }

  static Result<ActionResult> result_of(const Operation& operation) {
    if (operation.has_error())
      return failed("Execute", operation.error().code(), operation.error().message());
    reapi::ExecuteResponse response;
    if (!operation.has_response() ||
        !operation.response().type_url().ends_with("/build.bazel.remote.execution.v2."
                                                   "ExecuteResponse") ||
        !response.ParseFromString(operation.response().value())) {
      return fail("remote", "misbehaved", "The operation ended with what is no ExecuteResponse");
    }
    if (const int code = response.status().code(); code != 0) {
      Error error = failed("Execute", code, response.status().message()).value();
      if (code == grpc::StatusCode::FAILED_PRECONDITION) {
        error.reason = "precondition";
      } else {
        error.domain = "sandbox";
        error.reason = "execution-failed";
        if (response.status().message().empty())
          error.message = "Remote server failed at executing the build request.";
      }
      return tl::unexpected<Error>(std::move(error));
    }
    auto result = TRY(read_result(response.result(), "Execute"));
    result.cached = response.cached_result();
    return result;
  }

  const std::unique_ptr<Connection> connection_;
  const std::unique_ptr<reapi::Execution::Stub> execution_;
  const std::unique_ptr<google::longrunning::Operations::Stub> operations_;
  int stage_ = 0;
  std::mutex lock_;  // of all below
  std::condition_variable changed_;
  std::string name_;  // of the operation, once it is known
  grpc::ClientContext* context_ = nullptr;
  bool cancelled_ = false;
  bool told_ = false;  // the server has been told
};

}  // namespace

Result<std::unique_ptr<ExecutionService>> connect_execution(const RemoteSpec& spec) {
  auto connection = TRY(Connection::open(spec, kExecutionKeepalive));
  return std::make_unique<GrpcExecution>(std::move(connection));
}

Result<std::unique_ptr<ActionCacheService>> connect_action_cache(const RemoteSpec& spec) {
  auto connection = TRY(Connection::open(spec));
  return std::make_unique<GrpcActionCache>(std::move(connection));
}

}  // namespace sluice::remote
