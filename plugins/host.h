// Host is the process of Python in which plugins run (spec/plugins.md), as its asker sees it: the
// loader, or a job.
//
// A host is started by the first request, and again after it died. It dies with the thread that
// asked, and with this. For one thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"
#include "base/tool.h"
#include "model/model.h"
#include "wire/codec.h"

namespace sluice::plugins {

inline constexpr std::string_view kProtocol = "plugins/1";
// The version of BuildStream that plugins are told.
inline constexpr std::string_view kBuildStream = "2.8.1";

// View is what a host sees of the machine beside /usr and /etc.
struct View {
  std::vector<std::string> readable;  // directories; those that aren't there are left out
  std::vector<std::string> writable;  // directories, which are made
  bool network = false;
  bool credentials = false;  // the user's home directory, proxies and agent
};

class Host {
 public:
  // `settings` must outlive it.
  Host(const model::PluginSettings& settings, View view)
      : settings_(settings), view_(std::move(view)) {}
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Has the host see these directories, too. One that runs without them is ended; so is one that
  // sees what was a directory of that name before.
  void see(std::span<const std::string> readable, std::span<const std::string> writable);

  // Sends a packed request, and hands each answer to `take`, which says whether it was the last
  // one. Errors: plugin/no-python, no-host, host-died, host-timeout, host-protocol, whose detail is
  // what the host wrote to its log; job/killed; what `take` gives.
  using Take = std::function<Result<bool>(wire::Value)>;
  Status ask(std::string_view request, const Take& take, const Stop& stop = {}) {
    Status begun = begin(request, stop);
    return begun ? finish(take, stop) : begun;
  }
  // Starts the process, unless it runs, and doesn't wait until that is ready.
  Status start(const Stop& stop = {});
  // The halves of ask(): the host works in between, as others may. What it answers waits there.
  Status begin(std::string_view request, const Stop& stop = {});
  Status finish(const Take& take, const Stop& stop = {});

  // Sends what the host has called for, from within `take`, which then gives false. Errors: as
  // ask().
  Status reply(std::string_view answer, const Stop& stop = {});

  // Ends the process; in a sandbox every process that came of it has ended, too, when this returns.
  void end();

 private:
  // Hears that the process is ready, unless it was heard before.
  Status welcome(const Stop& stop);
  static Status ready_for_use(Status said);
  Result<std::vector<std::string>> command() const;
  std::vector<std::string> environment() const;
  // The first process of the sandbox, with which all others of it end; none when it has ended, or
  // there is no sandbox.
  UniqueFd first_of_sandbox() const;
  Status send(std::string_view frame, const Stop& stop);
  // The next answer's bytes.
  Result<std::string> receive(const Stop& stop);
  Status wait(short events, const Stop& stop);
  // Reads what the host has written to its log.
  void hear_log();
  // Ends the host, which has failed.
  tl::unexpected<Error> failed(std::string reason, std::string message);

  const model::PluginSettings& settings_;
  View view_;
  // What the process sees, each directory held so that no other gets its number.
  std::vector<std::pair<std::string, UniqueFd>> bound_;
  std::optional<Process> process_;
  UniqueFd socket_;
  UniqueFd log_;      // the reading end of what it writes to standard output and standard error
  std::string told_;  // the end of what was read there
  UniqueFd info_;     // what bubblewrap says of the sandbox
  std::string received_;
  bool greeted_ = false;  // the host has said WELCOME
};

// The parts of answers. A text that is absent or of another type is "".
std::string text_of(wire::Value map, std::string_view key);
bool flag_of(wire::Value map, std::string_view key);
// A tree of texts, lists and maps, as it is written into YAML; kNull for nil. "plugin"/
// "host-protocol" for anything else.
Result<model::Node> tree_of(wire::Value value);
// What a NODE says, without places; kNull for nil. The same error, also for what isn't UTF-8.
Result<model::Node> node_of(wire::Value value);
// Writes an entry of a map: a text, or a map of texts.
void write_entry(wire::Writer& writer, std::string_view key, std::string_view value);
void write_entry(wire::Writer& writer, std::string_view key, const model::StringMap& values);
// Writes a tree as tree_of() reads it.
void write_tree(wire::Writer& writer, const model::Node& node);
// Writes the NODE of a tree that nobody wrote into a file.
void write_node(wire::Writer& writer, const model::Node& node);
// What a map says as an ERROR.
Error error_of(wire::Value map);

}  // namespace sluice::plugins
