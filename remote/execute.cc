#include "remote/execute.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "remote/actions.h"
#include "remote/transfer.h"
#include "store/directory.h"

namespace sluice::remote {

namespace {

// A Tree message holds all directories of an output; it is held in memory.
constexpr std::int64_t kTreeLimit = std::int64_t{256} << 20;

class Run {
 public:
  Run(store::Cas& cas, const wire::ExecuteRequest& request, const ExecutionServices& services,
      const std::function<void(const wire::ExecuteEvent&)>& told)
      : cas_(cas), request_(request), services_(services), told_(told),
        transfer_(cas, services.storage, moved_) {}

  Result<wire::ExecuteReply> run() {
    command_ = TRY(cas_.add(encode_command(request_)));
    action_ = TRY(cas_.add(encode_action(request_, command_)));
    wire::ExecuteReply reply;
    reply.action = action_;
    if (const auto known = TRY(look_up())) {
      info("Action result found in action cache");
      if (TRY(fetch(*known, reply))) {
        reply.known = true;
        return counted(std::move(reply));
      }
      info("Blobs of the action result are gone, it is made anew");
    }
    CHECK(upload());
    auto result = TRY(execute(request_.anew));
    if (TRY(fetch(result, reply))) return counted(std::move(reply));
    if (result.cached) {
      result = TRY(execute(true));
      if (TRY(fetch(result, reply))) return counted(std::move(reply));
    }
    return fail(
        "remote", "misbehaved",
        fmt::format("{} lacks blobs of what the command left", services_.storage.spec().url));
  }

 private:
  void step(std::string text) {
    wire::ExecuteEvent event;
    event.step = std::move(text);
    told_(event);
  }
  void info(std::string text) {
    wire::ExecuteEvent event;
    event.info = std::move(text);
    told_(event);
  }

  wire::ExecuteReply counted(wire::ExecuteReply reply) const {
    reply.bytes = moved_.bytes;
    reply.blobs = moved_.blobs;
    return reply;
  }

  Result<std::optional<ActionResult>> look_up() {
    if (services_.action_cache == nullptr || request_.anew) return std::nullopt;
    auto known = services_.action_cache->find(action_);
    if (!known) known.error().message = "Failed to query action cache: " + known.error().message;
    return known;
  }

  Status upload() {
    step("Uploading input root");
    std::vector<Digest> roots{request_.root};
    roots.insert(roots.end(), request_.more_roots.begin(), request_.more_roots.end());
    auto sent = transfer_.push(roots, {command_, action_});
    if (sent) return {};
    if (sent.error().domain == "remote")
      sent.error().message = "Failed to push source directory to remote: " + sent.error().message;
    return forward(sent);
  }

  Result<ActionResult> execute(bool anew) {
    step("Waiting for the remote build to complete");
    const auto run = [&] {
      return services_.execution.execute(action_, anew, [&](std::string_view stage) {
        info(fmt::format("The remote build is {}", stage));
      });
    };
    auto result = run();
    if (result || result.error().reason != "precondition") return result;
    CHECK(upload());
    return run();
  }

  // The path of an output as it was asked for; "misbehaved" for another.
  Result<std::string> output_path(const std::string& told) const {
    const auto plain = [](const std::filesystem::path& path) {
      std::string text = path.lexically_normal().string();
      if (text.size() > 1 && text.back() == '/') text.pop_back();
      return text;
    };
    const std::string path = plain(std::filesystem::path(request_.directory) / told);
    for (const std::string& output : request_.outputs) {
      if (plain(output) == path) return output;
    }
    return fail("remote", "misbehaved",
                fmt::format("The server has an output that nobody asked for: {}", told));
  }

  // Fetches what the command left and wrote. False: the server lacks some of it.
  Result<bool> fetch(const ActionResult& result, wire::ExecuteReply& reply) {
    if (!result.others.empty())
      return fail("remote", "misbehaved", "Output files were returned when we didn't request any.");
    reply.exit_code = result.exit_code;
    reply.outputs.clear();
    std::vector<Digest> roots;
    for (const OutputDirectory& directory : result.directories) {
      wire::ExecuteOutput output{TRY(output_path(directory.path)), directory.root};
      if (std::any_of(reply.outputs.begin(), reply.outputs.end(),
                      [&](const auto& other) { return other.path == output.path; })) {
        return fail("remote", "misbehaved",
                    fmt::format("The server has an output twice: {}", directory.path));
      }
      if (output.root.hash.empty()) {
        const auto root = TRY(unpack_tree(directory));
        if (!root) return false;
        output.root = *root;
      }
      roots.push_back(output.root);
      reply.outputs.push_back(std::move(output));
    }
    std::vector<Digest> blobs;
    for (const Digest* digest : {&result.stdout_digest, &result.stderr_digest}) {
      if (!digest->hash.empty()) blobs.push_back(*digest);
    }
    if (!TRY(transfer_.pull(roots, blobs)).empty()) return false;
    reply.standard_output = TRY(written(result.stdout_digest, result.stdout_raw));
    reply.standard_error = TRY(written(result.stderr_digest, result.stderr_raw));
    return true;
  }

  Result<Digest> written(const Digest& digest, const std::string& raw) {
    if (!digest.hash.empty()) return digest;
    if (raw.empty()) return Digest{};
    return cas_.add(raw);
  }

  // Puts the directories of a Tree message into the store; gives its root.
  Result<std::optional<Digest>> unpack_tree(const OutputDirectory& directory) {
    if (directory.tree.hash.empty())
      return fail("remote", "misbehaved", "Output directory structure had no digest attached.");
    if (directory.tree.size > kTreeLimit) {
      return fail("remote", "misbehaved",
                  fmt::format("The tree of {} has {} bytes", directory.path, directory.tree.size));
    }
    if (!TRY(transfer_.pull({}, {directory.tree})).empty()) return std::nullopt;
    const auto directories = TRY(directories_of_tree(TRY(cas_.read(directory.tree))));
    std::optional<Digest> root;
    for (const std::string& bytes : directories) {
      if (auto good = store::decode_directory(bytes); !good)
        return fail("remote", "misbehaved", good.error().message);
      const Digest digest = TRY(cas_.add(bytes));
      if (!root) root = digest;
    }
    return root;
  }

  store::Cas& cas_;
  const wire::ExecuteRequest& request_;
  const ExecutionServices& services_;
  const std::function<void(const wire::ExecuteEvent&)>& told_;
  Moved moved_;
  Transfer transfer_;
  Digest command_, action_;
};

}  // namespace

Result<wire::ExecuteReply> execute(store::Cas& cas, const wire::ExecuteRequest& request,
                                   const ExecutionServices& services,
                                   const std::function<void(const wire::ExecuteEvent&)>& told) {
  return Run(cas, request, services, told).run();
}

}  // namespace sluice::remote
