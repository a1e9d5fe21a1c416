// Events as the lines that BuildStream 2.8 prints for them:
//
//   [elapsed][key][action:element] ACTION message
//
// with the detail of a message indented below it, the end of the log below a job's failure, the
// heading of a run and the summary at its end. The text is for a person; nothing parses it (the
// json style is for programs).
//
// Kept between events are only the log directory, by which the names of logs are shortened, and
// which jobs run: their messages come from the runner, their start from the scheduler, and in the
// log either may be first. Here the start is.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "renderer/format.h"
#include "renderer/style.h"
#include "wire/events.h"

namespace sluice::renderer {

struct LineSettings {
  bool colors = false;
  bool verbose = true;  // STATUS messages; the end of the log below failures
  bool debug = false;   // DEBUG messages
  std::uint32_t error_lines = 20;
  std::uint32_t message_lines = 20;
  std::uint32_t key_length = 8;
  // The lines are for a terminal: texts are cleaned of what would steer it (base/text.h).
  bool terminal = false;
  std::string message_format{kDefaultMessageFormat};
  std::string element_format{kDefaultElementFormat};
};

class Lines {
 public:
  // An error says that a format string can't be parsed.
  static Result<Lines> create(LineSettings settings);

  // What the event adds to the log: whole lines with their newlines, often none. An event of a
  // failure that has no log_tail gets it from the log file, if there is one here.
  std::string render(const wire::Event& event);
  // Takes an event whose lines aren't wanted.
  void recall(const wire::Event& event);

 private:
  // One line of the log, with all that may stand in it.
  struct Message {
    std::string level;  // as in Event::level
    std::string action;
    std::string element;  // "": core activity
    std::string key;      // brief
    bool strict = true;
    std::optional<std::int64_t> elapsed;
    std::int64_t time = 0;  // wall clock, ns
    std::string text, detail;
    std::string log_file, log_tail;
    bool scheduler = false;  // about the job as a whole, not one of its steps
  };

  explicit Lines(LineSettings settings)
      : settings_(std::move(settings)), paint_{settings_.colors} {}

  Message message_of(const wire::Event& event) const;
  std::string line(const Message& message) const;
  std::string column(const FormatToken& token, const Message& message) const;
  std::string log_excerpt(const Message& message) const;
  std::string values(const std::vector<std::pair<std::string, std::string>>& values, bool style_key,
                     bool style_value, unsigned depth = 1) const;
  std::string short_log(const std::string& path) const;
  std::string text(std::string_view from) const;  // cleaned when it goes to a terminal

  std::string job_started(const wire::Event& event) const;
  std::string job_finished(const wire::Event& event) const;
  std::string pipeline(const std::vector<wire::ElementSection>& elements) const;
  std::string heading(const wire::Event& event) const;
  std::string project(const wire::HeadingProject& project) const;
  std::string summary(const wire::Event& event) const;

  LineSettings settings_;
  Painter paint_;
  std::vector<FormatToken> message_format_, element_format_;
  std::string logdir_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> started_;  // job and attempt
};

// The text of an error of no job (base/text.h); "" of others, which are told elsewhere. `terminal`:
// cleaned of what would steer it.
std::string error_lines(const wire::Event& event, bool terminal);

// The last `count` lines of a text.
std::string_view last_lines_of(std::string_view text, std::uint32_t count);
// The last `count` lines of a file without trailing blanks; reads at most its last 256 KiB.
Result<std::string> last_lines(const std::string& path, std::uint32_t count);

}  // namespace sluice::renderer
