#include "renderer/ci.h"

#include <algorithm>
#include <cctype>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/try.h"
#include "base/workflow.h"
#include "project/places.h"
#include "renderer/heartbeat.h"

namespace sluice::renderer {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// A step's summary has at most 1 MiB, or there is none; of more failures the first are told in
// full.
constexpr std::size_t kFailuresInFull = 20, kFailuresListed = 200;
constexpr std::size_t kMostSummary = 900 << 10, kMostOfLog = 40 << 10, kMostCell = 1000;

std::string name_of(const wire::ElementSection& element) { return clean_line(element.name); }

// The name of a section of GitLab's: nothing else may stand in it.
std::string section_name(std::uint64_t job, std::string_view element) {
  std::string out = fmt::format("sluice_{}_", job);
  for (const char c : element) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-';
    out += plain ? c : '_';
  }
  limit_text(out, 128);
  return out;
}

// ---- Markdown, of the step's summary

// A text as the cell of a table has it: nothing in it is markup.
std::string cell(std::string_view text) {
  std::string out, line = clean_line(text);
  limit_text(line, kMostCell);
  for (const char c : line) {
    if (std::string_view("\\`*_{}[]()#+-.!|<>&~@").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// A block of code that holds the text, whatever backticks it has.
std::string block(std::string_view text) {
  std::size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(std::max<std::size_t>(3, longest + 1), '`');
  std::string out = fence + "text\n" + clean(text);
  if (!out.ends_with('\n')) out += '\n';
  return out + fence + "\n";
}

std::string markdown(const wire::Event& event, const Tally& tally, std::int64_t time,
                     std::uint32_t error_lines) {
  std::string out = fmt::format("### sluice {}: {} after {}\n\n", cell(tally.verb()),
                                verdict(event), brief_time(time));
  out += "| elements | number |\n| --- | ---: |\n";
  const Told told = sluice::renderer::told(tally, time);
  if (told.summary) {
    for (const auto& [count, what] : told.summary->told())
      out += fmt::format("| {} | {} |\n", what, count);
    out += fmt::format("| all | {} |\n", told.summary->elements);
  }
  out += "\n";
  if (!told.slowest.empty()) out += "Slowest: " + cell(told.slowest) + "\n\n";
  if (!told.critical.empty()) out += "Critical path: " + cell(told.critical) + "\n\n";
  if (!event.failures || event.failures->empty()) return out;
  out += "| failed | in its | after | why |\n| --- | --- | ---: | --- |\n";
  std::size_t listed = 0;
  for (const auto& one : *event.failures) {
    if (++listed > kFailuresListed) break;
    out += fmt::format("| {} | {} | {} | {} |\n", cell(one.element.name), cell(one.job.action),
                       brief_time(one.job.elapsed), cell(one.text));
  }
  out += "\n";
  std::size_t in_full = 0;
  for (const auto& one : *event.failures) {
    if (++in_full > kFailuresInFull) break;
    std::string end = log_end(one, error_lines);
    if (end.empty()) continue;
    if (end.size() > kMostOfLog) end = "[...]" + end.substr(end.size() - kMostOfLog);
    if (out.size() + end.size() > kMostSummary) break;
    out += fmt::format("<details><summary>{}</summary>\n\n{}\n</details>\n\n",
                       cell(one.element.name), block(end));
  }
  return out;
}

class Ci final : public Renderer {
 public:
  Ci(Sink& sink, const Clock& clock, CalmSettings lines, CiSettings settings, Duration silence)
      : Renderer(sink), error_lines_(lines.error_lines), quiet_(lines.quiet),
        settings_(std::move(settings)), lines_(std::move(lines)), heartbeat_(clock, silence) {}

  Seen record(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) {
      output_.add(malformed_line(event.error()));
      return {};
    }
    begin(*event);
    const std::string lines = lines_.render(*event, 0);
    heartbeat_.record(*event, !lines.empty());
    show(*event, lines);
    return seen(*event);
  }

  void recall(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) return;
    begin(*event);
    lines_.recall(*event);
    heartbeat_.record(*event, false);
  }

  std::string topic() const override { return quiet_ ? "" : heartbeat_.topic(); }

  void live(std::string_view packed) override {
    const std::string words = heartbeat_.live(packed);
    if (!words.empty()) add(words + "\n");
  }

  Result<std::optional<Duration>> poll() override {
    CHECK(output_.flush());
    return quiet_ ? std::nullopt : heartbeat_.due();
  }

 private:
  void begin(const wire::Event& event) {
    if (event.type != "run.started") return;
    began_ = event.session ? event.session->elapsed : 0;
    if (event.heading) directory_ = event.heading->directory;
  }

  void show(const wire::Event& event, std::string_view lines) {
    if (event.type == "run.finished") {
      add(lines);
      annotate(event);
      if (!settings_.summary.empty()) append_summary(event);
      return;
    }
    if (lines.empty()) return;
    if (event.type == "job.finished" && event.outcome == "success" && event.job && event.element) {
      // What was gathered stands before the element's own line.
      const auto own = lines.rfind('\n', lines.size() - 2);
      const std::size_t start = own == std::string_view::npos ? 0 : own + 1;
      wire::FailureSection done;
      done.job = *event.job;
      done.log_tail = event.log_tail;
      const bool readable =
          !done.log_tail.empty() || ::access(done.job.log_file.c_str(), R_OK) == 0;
      const std::string end = readable ? log_end(done, error_lines_) : std::string();
      if (!end.empty()) {
        add(lines.substr(0, start));
        return group(event, end);
      }
    }
    add(lines);
    if (!settings_.github) return;
    if (event.type == "error" && event.error) {
      const auto& error = *event.error;
      Error told;
      told.message = clean(error.message);
      told.detail = clean(event.detail);
      told.provenance = {project::committed_file_of(error.file, here()), error.line, error.column};
      output_.add(workflow_error(told, clean_line(event.text), here(), settings_.workspace));
    } else if (event.level == "warn") {
      output_.add(workflow_command(
          "warning", {{"title", event.element ? name_of(*event.element) : std::string()}},
          clean(event.text)));
    }
  }

  // An element's log, closed until somebody opens it.
  void group(const wire::Event& event, std::string end) {
    if (!end.ends_with('\n')) end += '\n';
    const auto& job = *event.job;
    const std::string title =
        fmt::format("✔ {} ({})", name_of(*event.element), brief_time(job.elapsed));
    if (settings_.github) {
      output_.add(workflow_command("group", {}, neutral(title)));
      add(clean(end));
      output_.add("::endgroup::\n");
      return;
    }
    const std::string section = section_name(job.id, event.element->name);
    output_.add(fmt::format("\x1b[0Ksection_start:{}:{}[collapsed=true]\r\x1b[0K{}\n",
                            job.started / kSecond, section, title));
    add(clean(end));
    output_.add(fmt::format("\x1b[0Ksection_end:{}:{}\r\x1b[0K\n", event.time / kSecond, section));
  }

  // Lines of which some may be a build's.
  void add(std::string_view lines) {
    if (settings_.github && !lines.empty()) {
      output_.add(workflow_text(lines, settings_.token));
    } else {
      output_.add(lines);
    }
  }

  static std::string neutral(std::string text) {
    for (auto at = text.find("##["); at != std::string::npos; at = text.find("##["))
      text.replace(at, 3, "## [");
    return text;
  }

  void annotate(const wire::Event& event) {
    if (!settings_.github || !event.failures) return;
    for (const auto& one : *event.failures) {
      Error error;
      error.message = clean(one.text);
      error.detail = clean(log_end(one, error_lines_));
      error.provenance.file = project::committed_file_of(one.element.name, here());
      output_.add(workflow_error(
          error, fmt::format("{}: {} failed", name_of(one.element), clean_line(one.job.action)),
          here(), settings_.workspace));
    }
  }

  std::string here() const { return directory_.empty() ? settings_.directory : directory_; }

  void append_summary(const wire::Event& event) {
    const std::string text = markdown(event, lines_.tally(), took(event, began_), error_lines_);
    UniqueFd file(::open(settings_.summary.c_str(),
                         O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666));
    if (!file || !write_all(file.get(), text))
      add(fmt::format("The step's summary can't be written to {}\n",
                      clean_line(settings_.summary)));
  }

  const std::uint32_t error_lines_;
  const bool quiet_;
  const CiSettings settings_;
  CalmLines lines_;
  Heartbeat heartbeat_;
  std::string directory_;  // of the project
  std::int64_t began_ = 0;
};

}  // namespace

std::unique_ptr<Renderer> make_ci(Sink& sink, const Clock& clock, CalmSettings lines,
                                  CiSettings settings, Duration silence) {
  return std::make_unique<Ci>(sink, clock, std::move(lines), std::move(settings), silence);
}

}  // namespace sluice::renderer
