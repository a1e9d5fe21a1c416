// Listener hears what a host of plugins says while it works (spec/plugins.md, section 4): messages,
// steps, and how the work ended.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "model/model.h"
#include "wire/codec.h"

namespace sluice::plugins {

// Whose plugin works.
struct Subject {
  std::string where;  // in front of what is said of the host: "a.bst [line 3 column 2]: "
  std::string file;   // the plugin's Python
  Provenance place;
  bool prefixes_errors = true;  // `where` stands in front of the plugin's own errors, too
};

// Who is told what a plugin says.
class Voice {
 public:
  virtual ~Voice() = default;
  virtual void log(const std::string& text) = 0;
  virtual void status(const std::string& text, const std::string& detail) = 0;
  virtual void info(const std::string& text, const std::string& detail) = 0;
  // `name` is that of the warning, "" for none, and not in front of the text. An error where the
  // project makes it fatal.
  virtual Status warn(const std::string& name, const std::string& text,
                      const std::string& detail) = 0;
  // A step; of a silent one only what must be seen is shown.
  virtual void begin(const std::string& text, const std::string& detail, bool silent) = 0;
  virtual void end(bool success) = 0;
  // Sends what is held back.
  virtual void flush() = 0;
};

// One request's listener. Refers to all it is given. For one thread.
class Listener {
 public:
  using Take = std::function<Status(wire::Value)>;
  // `result` gets what a request that succeeds has made; `call` what the host calls for. Either may
  // be empty.
  Listener(Subject subject, Voice& voice, const Take& result, Take call = {})
      : subject_(std::move(subject)), voice_(voice), result_(result), call_(std::move(call)) {}
  // What the plugin had begun when it failed has failed with it.
  ~Listener() {
    for (; steps_ > 0; --steps_) voice_.end(false);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Takes a frame; true: it was the last one. Errors: "plugin"/"host-protocol", fatal warnings, and
  // what the functions give.
  Result<bool> take(wire::Value answer);

  // The error that the work ended with, whether it may pass, and the frame's `collect`.
  const std::optional<Error>& failed() const { return failed_; }
  bool temporary() const { return temporary_; }
  const std::string& collect() const { return collect_; }

 private:
  Status say(wire::Value message);

  const Subject subject_;
  Voice& voice_;
  const Take& result_;
  const Take call_;
  std::size_t steps_ = 0;
  std::optional<Error> failed_;
  std::string collect_;
  bool temporary_ = false;
};

// A text of a frame that is shown to people: UTF-8, and not without end.
std::string shown_text_of(wire::Value map, std::string_view key);
// An error with who failed, where the plugin itself has said nothing.
Error of_plugin(const Subject& subject, Error error);
tl::unexpected<Error> bad_answer(const Subject& subject, std::string message);

}  // namespace sluice::plugins
