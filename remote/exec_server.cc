#include "remote/exec_server.h"

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/process.h"
#include "base/threads.h"
#include "base/try.h"
#include "remote/grpc.h"
#include "store/capture.h"
#include "store/directory.h"
#include "store/realise.h"

namespace sluice::remote::test {

namespace {

namespace fs = std::filesystem;
namespace reapi = build::bazel::remote::execution::v2;
using google::longrunning::Operation;
using store::Digest;

constexpr const char* kType = "type.googleapis.com/build.bazel.remote.execution.v2.";

Digest from(const reapi::Digest& message) { return {message.hash(), message.size_bytes()}; }

void to(const Digest& digest, reapi::Digest* message) {
  message->set_hash(digest.hash);
  message->set_size_bytes(digest.size);
}

template <typename Message>
Result<Message> read(const store::Cas& cas, const Digest& digest) {
  const auto bytes = TRY(cas.read(digest));
  Message message;
  if (!message.ParseFromString(bytes)) return fail("test", "bad-message", digest.hash);
  return message;
}

// The directories below `digest`, as a Tree has them.
Status collect(const store::Cas& cas, const Digest& digest, reapi::Tree& tree, bool root) {
  const auto bytes = TRY(cas.read(digest));
  if (root) {
    tree.set_root(bytes);
  } else {
    tree.add_children(bytes);
  }
  const auto directory = TRY(store::decode_directory(bytes));
  for (const auto& sub : directory.directories) CHECK(collect(cas, sub.digest, tree, false));
  return {};
}

struct Task {
  std::string name;
  Digest action;
  std::optional<Operation> end;
  bool cancelled = false;
  Process process;
  std::thread thread;
};

struct Shared {
  store::Cas& store;
  const std::string what;
  std::mutex lock;  // of all below
  std::condition_variable changed;
  std::map<std::string, std::shared_ptr<Task>> tasks;
  std::map<std::string, reapi::ActionResult> results;
  std::vector<std::string> executed, known, cancelled;
  unsigned waited = 0, streams = 0, asked = 0;

  ~Shared() {
    for (auto& [name, task] : tasks) {
      if (task->thread.joinable()) task->thread.join();
    }
  }
};

class Runner {
 public:
  Runner(Shared& shared, Task& task) : shared_(shared), task_(task) {}

  Result<reapi::ActionResult> run() {
    const auto action = TRY(read<reapi::Action>(shared_.store, task_.action));
    const auto command = TRY(read<reapi::Command>(shared_.store, from(action.command_digest())));
    place_ = shared_.store.temporary_name();
    fs::create_directories(place_);
    const Digest input = from(action.input_root_digest());
    const std::string root = place_ + "/root";
    CHECK(store::copy_out(shared_.store, input, root));
    const auto top = TRY(store::read_directory(shared_.store, input));
    const bool read_only = top.subtree_read_only.value_or(false);
    const fs::path directory = fs::path("/") / command.working_directory();
    std::vector<std::string> argv = {"bwrap",
                                     "--unshare-all",
                                     "--die-with-parent",
                                     "--uid",
                                     "0",
                                     "--gid",
                                     "0",
                                     read_only ? "--ro-bind" : "--bind",
                                     root,
                                     "/",
                                     "--dev",
                                     "/dev",
                                     "--proc",
                                     "/proc",
                                     "--tmpfs",
                                     "/tmp"};
    std::vector<fs::path> outputs;
    for (const std::string& output : command.output_paths()) {
      fs::path path = (directory / output).lexically_normal();
      if (!path.has_filename() && path != "/") path = path.parent_path();
      outputs.push_back(path);
      if (read_only) {
        for (const std::string& word : {std::string("--bind"), root + path.string(), path.string()})
          argv.push_back(word);
      }
    }
    for (const std::string& word :
         {std::string("--chdir"), directory.string(), std::string("--clearenv")})
      argv.push_back(word);
    for (const auto& variable : command.environment_variables()) {
      argv.emplace_back("--setenv");
      argv.push_back(variable.name());
      argv.push_back(variable.value());
    }
    argv.insert(argv.end(), command.arguments().begin(), command.arguments().end());
    reapi::ActionResult result;
    result.set_exit_code(TRY(run_command(argv)));
    to(TRY(shared_.store.add_file(place_ + "/stdout")), result.mutable_stdout_digest());
    result.set_stderr_raw(TRY(read_file(place_ + "/stderr")));
    for (std::size_t i = 0; i < outputs.size(); ++i)
      CHECK(add_output(result, command.output_paths(static_cast<int>(i)),
                       root + outputs[i].string()));
    return result;
  }
  ~Runner() {
    std::error_code ignored;
    if (!place_.empty()) fs::remove_all(place_, ignored);
  }

 private:
  Result<int> run_command(const std::vector<std::string>& argv) {
    SpawnOptions options;
    options.argv = argv;
    UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    UniqueFd out(::open((place_ + "/stdout").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    UniqueFd error(::open((place_ + "/stderr").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    options.standard_input = in.get();
    options.standard_output = out.get();
    options.standard_error = error.get();
    auto process = TRY(spawn(options));
    {
      const std::lock_guard guard(shared_.lock);
      shared_.executed.push_back(task_.action.hash);
      if (task_.cancelled) (void)send_signal(process, SIGKILL);
      task_.process = std::move(process);
      shared_.changed.notify_all();
    }
    return wait_for(task_.process).code;
  }

  Status add_output(reapi::ActionResult& result, const std::string& path, const std::string& disk) {
    if (!fs::is_directory(disk)) return {};
    const std::string& what = shared_.what;
    const Digest digest = TRY(store::capture(shared_.store, disk));
    auto* output = result.add_output_directories();
    output->set_path(what == "foreign-output" ? "../../../etc" : path);
    if (what == "no-digest") return {};
    if (what == "file-output") {
      result.add_output_files()->set_path("file");
      return {};
    }
    if (what == "trees" || what == "bad-tree") {
      reapi::Tree tree;
      CHECK(collect(shared_.store, digest, tree, true));
      std::string bytes = tree.SerializeAsString();
      if (what == "bad-tree") bytes = "\xff\xff\xff\xff";
      to(TRY(shared_.store.add(bytes)), output->mutable_tree_digest());
      return {};
    }
    Digest told = digest;
    if (what == "lost") told.hash.assign(64, 'e');
    if (what == "flipped") told = TRY(shared_.store.add("no directory at all"));
    to(told, output->mutable_root_directory_digest());
    return {};
  }

  Shared& shared_;
  Task& task_;
  std::string place_;
};

class Execution final : public reapi::Execution::Service {
 public:
  explicit Execution(Shared& shared) : shared_(shared) {}

  grpc::Status Execute(grpc::ServerContext* context, const reapi::ExecuteRequest* request,
                       grpc::ServerWriter<Operation>* writer) override {
    const Digest action = from(request->action_digest());
    const std::string& what = shared_.what;
    if (what == "denies") return {grpc::StatusCode::UNAUTHENTICATED, "who\x1b[31m are you"};
    if (!store::valid_digest(action))
      return {grpc::StatusCode::INVALID_ARGUMENT, "There is no action"};
    auto task = std::make_shared<Task>();
    task->action = action;
    {
      const std::lock_guard guard(shared_.lock);
      ++shared_.asked;
      if (what == "lacks" && shared_.asked == 1)
        return {grpc::StatusCode::FAILED_PRECONDITION, "A blob is gone"};
      task->name = fmt::format("operations/{}", shared_.asked);
      shared_.tasks[task->name] = task;
    }
    auto started = start_thread([this, task] { work(*task); });
    if (!started) return {grpc::StatusCode::RESOURCE_EXHAUSTED, started.error().message};
    task->thread = std::move(*started);
    return listen(context, task, writer);
  }

  grpc::Status WaitExecution(grpc::ServerContext* context,
                             const reapi::WaitExecutionRequest* request,
                             grpc::ServerWriter<Operation>* writer) override {
    std::shared_ptr<Task> task;
    {
      const std::lock_guard guard(shared_.lock);
      ++shared_.waited;
      if (shared_.what == "deaf") return {grpc::StatusCode::UNIMPLEMENTED, "not here"};
      const auto found = shared_.tasks.find(request->name());
      if (found == shared_.tasks.end() || shared_.what == "forgets")
        return {grpc::StatusCode::NOT_FOUND, "no such operation"};
      task = found->second;
    }
    return listen(context, task, writer);
  }

 private:
  void work(Task& task) {
    Operation operation;
    operation.set_name(task.name);
    operation.set_done(true);
    if (shared_.what == "hangs") {
      std::unique_lock guard(shared_.lock);
      shared_.executed.push_back(task.action.hash);
      shared_.changed.notify_all();
      shared_.changed.wait(guard, [&] { return task.cancelled; });
    }
    reapi::ExecuteResponse response;
    auto result = shared_.what == "hangs"
                      ? Result<reapi::ActionResult>(fail("test", "cancelled", "It was cancelled"))
                      : Runner(shared_, task).run();
    if (shared_.what == "fails") {
      operation.mutable_error()->set_code(grpc::StatusCode::INTERNAL);
      operation.mutable_error()->set_message("out of\x1b[31m order");
    } else {
      if (shared_.what == "cannot") {
        response.mutable_status()->set_code(grpc::StatusCode::RESOURCE_EXHAUSTED);
        response.mutable_status()->set_message("no worker fits");
      } else if (!result) {
        response.mutable_status()->set_code(result.error().reason == "missing-blob"
                                                ? grpc::StatusCode::FAILED_PRECONDITION
                                                : grpc::StatusCode::INTERNAL);
        response.mutable_status()->set_message(result.error().message);
      } else {
        *response.mutable_result() = *result;
      }
      operation.mutable_response()->set_type_url(fmt::format("{}ExecuteResponse", kType));
      operation.mutable_response()->set_value(
          shared_.what == "garbage" ? "\xff\xff\xff" : response.SerializeAsString());
    }
    const std::lock_guard guard(shared_.lock);
    if (result) shared_.results[task.action.hash] = *result;
    task.end = std::move(operation);
    shared_.changed.notify_all();
  }

  // Tells that it is queued, that it is executing, and its end.
  grpc::Status listen(grpc::ServerContext* context, const std::shared_ptr<Task>& task,
                      grpc::ServerWriter<Operation>* writer) {
    Operation operation;
    operation.set_name(task->name);
    reapi::ExecuteOperationMetadata metadata;
    const auto tell = [&](reapi::ExecutionStage::Value stage) {
      metadata.set_stage(stage);
      operation.mutable_metadata()->set_type_url(fmt::format("{}ExecuteOperationMetadata", kType));
      operation.mutable_metadata()->set_value(metadata.SerializeAsString());
      writer->Write(operation);
    };
    tell(reapi::ExecutionStage::QUEUED);
    std::unique_lock guard(shared_.lock);
    const bool first = shared_.streams++ == 0;
    const auto begun = [&] {
      return task->process.pid >= 0 || task->end || shared_.what == "hangs" ||
             context->IsCancelled();
    };
    while (!begun()) shared_.changed.wait_for(guard, std::chrono::milliseconds(20));
    guard.unlock();
    tell(reapi::ExecutionStage::EXECUTING);
    const std::string& what = shared_.what;
    if (what == "ends") return grpc::Status::OK;
    if (first && (what == "breaks" || what == "forgets" || what == "deaf"))
      return {grpc::StatusCode::UNAVAILABLE, "the connection broke"};
    guard.lock();
    while (!task->end && !context->IsCancelled())
      shared_.changed.wait_for(guard, std::chrono::milliseconds(20));
    if (!task->end) return grpc::Status::CANCELLED;
    operation = *task->end;
    guard.unlock();
    writer->Write(operation);
    return grpc::Status::OK;
  }

  Shared& shared_;
};

class Operations final : public google::longrunning::Operations::Service {
 public:
  explicit Operations(Shared& shared) : shared_(shared) {}
  grpc::Status CancelOperation(grpc::ServerContext*,
                               const google::longrunning::CancelOperationRequest* request,
                               google::longrunning::Empty*) override {
    const std::lock_guard guard(shared_.lock);
    const auto found = shared_.tasks.find(request->name());
    if (found == shared_.tasks.end()) return {grpc::StatusCode::NOT_FOUND, "no such operation"};
    shared_.cancelled.push_back(request->name());
    found->second->cancelled = true;
    if (found->second->process.pid >= 0) (void)send_signal(found->second->process, SIGKILL);
    shared_.changed.notify_all();
    return grpc::Status::OK;
  }

 private:
  Shared& shared_;
};

class ActionCache final : public reapi::ActionCache::Service {
 public:
  explicit ActionCache(Shared& shared) : shared_(shared) {}
  grpc::Status GetActionResult(grpc::ServerContext*, const reapi::GetActionResultRequest* request,
                               reapi::ActionResult* reply) override {
    const std::lock_guard guard(shared_.lock);
    const auto found = shared_.results.find(request->action_digest().hash());
    if (found == shared_.results.end()) return {grpc::StatusCode::NOT_FOUND, "not known"};
    shared_.known.push_back(found->first);
    *reply = found->second;
    return grpc::Status::OK;
  }
  grpc::Status UpdateActionResult(grpc::ServerContext*,
                                  const reapi::UpdateActionResultRequest* request,
                                  reapi::ActionResult* reply) override {
    const std::lock_guard guard(shared_.lock);
    shared_.results[request->action_digest().hash()] = request->action_result();
    *reply = request->action_result();
    return grpc::Status::OK;
  }

 private:
  Shared& shared_;
};

class Server final : public ExecServer {
 public:
  Server(store::Cas& store, ExecMisdeeds misdeeds)
      : shared_{.store = store, .what = std::move(misdeeds.what)} {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&execution_)
        .RegisterService(&operations_)
        .RegisterService(&action_cache_);
    server_ = builder.BuildAndStart();
  }
  ~Server() override {
    {
      const std::lock_guard guard(shared_.lock);
      for (auto& [name, task] : shared_.tasks) {
        task->cancelled = true;
        if (task->process.pid >= 0 && !task->end) (void)send_signal(task->process, SIGKILL);
      }
      shared_.changed.notify_all();
    }
    server_->Shutdown(std::chrono::system_clock::now());
  }

  std::string url() const override { return fmt::format("http://127.0.0.1:{}", port_); }
  std::vector<std::string> executed() override { return copy(shared_.executed); }
  std::vector<std::string> known() override { return copy(shared_.known); }
  std::vector<std::string> cancelled() override { return copy(shared_.cancelled); }
  unsigned waited() override {
    const std::lock_guard guard(shared_.lock);
    return shared_.waited;
  }

 private:
  std::vector<std::string> copy(const std::vector<std::string>& list) {
    const std::lock_guard guard(shared_.lock);
    return list;
  }

  Shared shared_;
  Execution execution_{shared_};
  Operations operations_{shared_};
  ActionCache action_cache_{shared_};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::unique_ptr<ExecServer> start_exec_server(store::Cas& store, ExecMisdeeds misdeeds) {
  return std::make_unique<Server>(store, std::move(misdeeds));
}

}  // namespace sluice::remote::test
