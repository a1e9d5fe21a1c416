#include "plugins/listener.h"

#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "plugins/host.h"

namespace sluice::plugins {

namespace {

// Steps within steps.
constexpr std::size_t kMostSteps = 64;
// bytes of a message, and of its detail
constexpr std::size_t kMostText = 256u << 10;

}  // namespace

std::string shown_text_of(wire::Value map, std::string_view key) {
  return valid_utf8(text_of(map, key).substr(0, kMostText));
}

Error of_plugin(const Subject& subject, Error error) {
  error.message = fmt::format("{}{}: {}", subject.where, subject.file, error.message);
  if (!error.provenance.known()) error.provenance = subject.place;
  return error;
}

tl::unexpected<Error> bad_answer(const Subject& subject, std::string message) {
  return tl::unexpected<Error>(
      of_plugin(subject, Error{"plugin", "host-protocol", std::move(message), {}, {}}));
}

Result<bool> Listener::take(wire::Value answer) {
  const std::string is = text_of(answer, "is");
  if (is == "done") {
    if (steps_ > 0) return bad_answer(subject_, "The plugin ended within a step");
    if (result_) CHECK(result_(answer));
    return true;
  }
  if (is == "error") {
    failed_ = error_of(answer);
    failed_->message = valid_utf8(failed_->message);
    failed_->detail = valid_utf8(failed_->detail);
    // A job's error is its message, with the place.
    if (failed_->reason == "unhandled-exception") {
      failed_ = of_plugin(subject_, *failed_);
    } else if (subject_.prefixes_errors &&
               failed_->message.find(subject_.place.str()) == std::string::npos) {
      failed_->message = subject_.where + failed_->message;
    }
    if (!failed_->provenance.known()) failed_->provenance = subject_.place;
    temporary_ = flag_of(answer, "temporary");
    collect_ = text_of(answer, "collect");
    return true;
  }
  if (is == "message") {
    CHECK(say(answer));
  } else if (is == "begin" && steps_ < kMostSteps) {
    voice_.begin(shown_text_of(answer, "text"), shown_text_of(answer, "detail"),
                 flag_of(answer, "silent"));
    ++steps_;
  } else if (is == "end" && steps_ > 0) {
    voice_.end(flag_of(answer, "success"));
    --steps_;
  } else if (is == "call" && call_) {
    CHECK(call_(answer));
    return false;
  } else {
    return bad_answer(subject_, "The plugin's process sent what is no answer to its work");
  }
  voice_.flush();
  return false;
}

Status Listener::say(wire::Value message) {
  const std::string level = text_of(message, "level");
  const std::string text = shown_text_of(message, "text");
  const std::string detail = shown_text_of(message, "detail");
  const std::string name = shown_text_of(message, "name");
  if (level == "debug") {
    voice_.log(fmt::format("{}\n{}", text, detail.empty() ? "" : detail + "\n"));
  } else if (level == "status") {
    voice_.status(text, detail);
  } else if (level != "warn") {
    voice_.info(text, detail);
  } else {
    return voice_.warn(name, text, detail);
  }
  return {};
}

}  // namespace sluice::plugins
