#include "renderer/lines.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "model/states.h"

namespace sluice::renderer {

namespace {

constexpr std::string_view kIndent = "    ";
constexpr std::size_t kRuleWidth = 79;
constexpr std::size_t kLogRuleWidth = 70;

bool is_error(std::string_view level) {
  return level == "failure" || level == "error" || level == "bug";
}

// BuildStream's words, seven characters wide.
std::string level_word(std::string_view level) {
  return level == "warn" ? "WARNING" : pad_right(upper(level), 7);
}

std::uint8_t level_color(std::string_view level) {
  if (level == "debug" || level == "status") return kCyan;
  if (level == "info") return kMagenta;
  if (level == "warn" || level == "skipped") return kYellow;
  if (level == "start") return kBlue;
  if (level == "success") return kGreen;
  return is_error(level) ? kRed : 0;
}

std::uint8_t state_color(std::string_view text) {
  const auto state = model::named<model::ElementState>(text);
  switch (state ? tone_of(*state) : model::Tone::kBad) {
    case model::Tone::kDone: return kMagenta;
    case model::Tone::kReady: return kGreen;
    case model::Tone::kPending: return kBlue;
    case model::Tone::kBad: break;
  }
  return kRed;
}

std::string local_time(std::int64_t wall_ns, const char* format) {
  const std::time_t seconds = static_cast<std::time_t>(wall_ns / 1'000'000'000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char out[128];
  return std::string(out, std::strftime(out, sizeof out, format, &local));
}

std::string level_of_outcome(std::string_view outcome) {
  if (outcome == "success" || outcome == "skipped") return std::string(outcome);
  return outcome == "killed" ? "info" : "failure";
}

}  // namespace

Result<Lines> Lines::create(LineSettings settings) {
  Lines lines(std::move(settings));
  auto message = TRY(parse_message_format(lines.settings_.message_format));
  auto element = TRY(parse_element_format(lines.settings_.element_format));
  lines.message_format_ = std::move(message);
  lines.element_format_ = std::move(element);
  return lines;
}

void Lines::recall(const wire::Event& event) {
  if (event.type == "run.started" && event.heading) logdir_ = event.heading->logdir;
  if (!event.job) return;
  const std::pair job(event.job->id, event.job->attempt);
  if (event.type == "job.started" || event.type == "job.message") started_.insert(job);
  if (event.type == "job.finished") started_.erase(job);
}

std::string Lines::render(const wire::Event& event) {
  if (event.type == "run.started") {
    if (event.heading) logdir_ = event.heading->logdir;
    return heading(event);
  }
  if (event.type == "run.finished") return summary(event);
  const auto job = event.job ? std::pair(event.job->id, event.job->attempt)
                             : std::pair<std::uint64_t, std::uint32_t>();
  if (event.type == "job.started")
    return started_.insert(job).second ? job_started(event) : std::string();
  if (event.type == "job.finished") {
    started_.erase(job);
    return job_finished(event);
  }
  if (event.type == "job.message" && event.job && started_.insert(job).second) {
    wire::Event start = event;
    start.text.clear();
    start.detail.clear();
    return job_started(start) + render(event);
  }
  if (event.type == "error") return error_lines(event, settings_.terminal);
  if (event.type == "session.suspended" || event.type == "session.resumed") {
    Message message = message_of(event);
    message.level = "info";
    message.text = event.type == "session.suspended" ? "Session suspended" : "Session resumed";
    return line(message);
  }
  if (event.type == "session.limits" && event.limits) {
    Message message = message_of(event);
    message.level = "info";
    message.text = fmt::format("Maximum tasks: {} builders, {} fetchers", event.limits->builders,
                               event.limits->fetchers);
    return line(message);
  }
  // A type that we have not heard of may still have something to say.
  if (event.level.empty()) return {};
  Message message = message_of(event);
  if (message.level == "status" && !settings_.verbose) return {};
  if (message.level == "debug" && !settings_.debug) return {};
  return line(message);
}

Lines::Message Lines::message_of(const wire::Event& event) const {
  Message message;
  message.level = event.level;
  message.time = event.time;
  message.text = event.text;
  message.detail = event.detail;
  message.log_tail = event.log_tail;
  const bool timed =
      event.level == "success" || event.level == "failure" || event.level == "skipped";
  if (timed || event.elapsed != 0) message.elapsed = event.elapsed;
  if (event.element) {
    message.element = event.element->name;
    message.key = event.element->brief;
    message.strict = event.element->strict;
  }
  if (event.job) {
    message.action = event.job->action;
    message.log_file = event.job->log_file;
  }
  message.scheduler = event.src.starts_with("scheduler");
  return message;
}

std::string Lines::text(std::string_view from) const {
  return settings_.terminal ? clean(from) : std::string(from);
}

std::string Lines::short_log(const std::string& path) const {
  if (!logdir_.empty() && path.starts_with(logdir_ + "/"))
    return text(path.substr(logdir_.size() + 1));
  // The log's name is PROJECT/ELEMENT/KEY-ACTION.TIME.log, below a directory that no record has
  // told.
  std::size_t at = path.size();
  for (int part = 0; part < 3 && at != std::string::npos && at > 0; ++part)
    at = path.rfind('/', at - 1);
  return text(at == std::string::npos ? path : path.substr(at + 1));
}

std::string Lines::column(const FormatToken& token, const Message& message) const {
  if (token.variable.empty()) return paint_(token.text, kFormat);
  if (token.variable.starts_with("elapsed")) {
    const TimeFields time = time_fields(message.elapsed);
    const std::string colon = paint_(":", kFormat);
    std::string out = paint_(time.hours, kContent) + colon + paint_(time.minutes, kContent) +
                      colon + paint_(time.seconds, kContent);
    if (token.variable == "elapsed-us") out += paint_("." + time.micros, kContent);
    return out;
  }
  if (token.variable.starts_with("wallclock")) {
    const std::string colon = paint_(":", kFormat);
    std::string out = paint_(local_time(message.time, "%H"), kContent) + colon +
                      paint_(local_time(message.time, "%M"), kContent) + colon +
                      paint_(local_time(message.time, "%S"), kContent);
    if (token.variable == "wallclock-us") {
      out += paint_(fmt::format(".{:06}", message.time / 1000 % 1'000'000), kContent);
    }
    return out;
  }
  if (token.variable == "key") {
    const std::string blank(settings_.key_length, ' ');
    if (message.element.empty() || settings_.key_length == 0) return blank;
    const std::string key =
        message.key.empty() ? std::string(settings_.key_length, '?') : text(message.key);
    return paint_(key, is_error(message.level) ? kError : kContent.with_dim(!message.strict));
  }
  if (token.variable == "element") {
    const std::string action = message.action.empty() ? "main" : lower(message.action);
    const std::string name = message.element.empty() ? "core activity" : text(message.element);
    return paint_(pad_left(action, 8), kContent) + paint_(":", kFormat) +
           paint_(pad_right(name, 30), kContent);
  }
  if (token.variable == "action") {
    return paint_(level_word(message.level), Style{level_color(message.level), true, true});
  }
  // message: the start and the success of a job are told by the name of its log.
  if (message.scheduler && !message.log_file.empty() &&
      (message.level == "start" || message.level == "success")) {
    return paint_(short_log(message.log_file), kContent.with_dim(true));
  }
  return text(message.text);
}

std::string Lines::line(const Message& message) const {
  std::string out;
  for (const auto& token : message_format_) out += column(token, message);
  out += "\n";
  bool gap = false;
  const bool may_be_cut = !is_error(message.level) && !message.element.empty();
  // A user who wants no lines of a detail wants no blank ones in their place either (BuildStream
  // prints three).
  if (!message.detail.empty() && !(may_be_cut && settings_.message_lines == 0)) {
    const std::string cleaned = text(message.detail);
    auto lines = split_lines(cleaned);
    const std::size_t all = lines.size();
    bool cut = false;
    if (may_be_cut && all > settings_.message_lines) {
      lines.resize(settings_.message_lines);
      cut = true;
    } else if (!lines.empty()) {
      auto& last = lines.back();
      while (last.ends_with('\n')) last.remove_suffix(1);
    }
    std::string detail(kIndent);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i > 0) detail += kIndent;
      detail += lines[i];
    }
    out += "\n" + paint_(detail, is_error(message.level) ? kError.with_bold() : kDetail);
    if (cut) {
      out += kIndent;
      out +=
          paint_(fmt::format("Message contains {} additional lines", all - settings_.message_lines),
                 kContent.with_dim(true));
    }
    out += "\n";
    gap = true;
  }
  if (message.scheduler && message.level == "failure" && !message.log_file.empty()) {
    const std::string excerpt = log_excerpt(message);
    if (!excerpt.empty()) out += "\n" + excerpt;
    gap = gap || !excerpt.empty();
  }
  if (gap) out += "\n";
  return out;
}

std::string Lines::log_excerpt(const Message& message) const {
  const std::string in(kIndent);
  if (!settings_.verbose) {
    return in + paint_("Log file: ", kError) + in + paint_(short_log(message.log_file), kError) +
           "\n";
  }
  if (settings_.error_lines == 0) return {};
  const std::string rule = in + paint_(std::string(kLogRuleWidth, '='), kError) + "\n";
  std::string out =
      in +
      paint_(fmt::format("Printing the last {} lines from log file:", settings_.error_lines),
             kError) +
      "\n";
  out += in + paint_(text(message.log_file), kError) + "\n" + rule;
  std::string shown(last_lines_of(message.log_tail, settings_.error_lines));
  if (message.log_tail.empty()) {
    auto tail = last_lines(message.log_file, settings_.error_lines);
    shown = tail ? std::move(*tail) : "The log can't be read: " + tail.error().message;
  }
  shown = text(shown);
  out += paint_(indent(shown, kIndent), kDetail) + "\n" + rule;
  return out;
}

std::string Lines::values(const std::vector<std::pair<std::string, std::string>>& values,
                          bool style_key, bool style_value, unsigned depth) const {
  std::size_t widest = 0;
  for (const auto& [key, value] : values) widest = std::max(widest, display_width(key));
  std::string prefix;
  for (unsigned i = 0; i < depth; ++i) prefix += kIndent;
  std::string out;
  for (const auto& [key, value] : values) {
    out += prefix + paint_(key, style_key ? kContent : kFormat) + paint_(":", kFormat);
    if (value.find('\n') != std::string::npos) {
      out += "\n" + indent(value, prefix);
      continue;
    }
    out += " " + std::string(widest - display_width(key), ' ') +
           (style_value ? paint_(value, kContent) : value) + "\n";
  }
  return out;
}

std::string Lines::job_started(const wire::Event& event) const {
  Message message = message_of(event);
  message.level = "start";
  message.scheduler = true;
  message.elapsed.reset();
  if (message.text.empty()) message.text = capitalized(message.action);
  return line(message);
}

std::string Lines::job_finished(const wire::Event& event) const {
  Message message = message_of(event);
  if (message.level.empty()) message.level = level_of_outcome(event.outcome);
  message.scheduler = true;
  if (event.outcome == "killed") {
    message.elapsed.reset();
    if (message.text.empty()) message.text = "Job terminated";
  } else {
    message.elapsed = event.elapsed != 0 || !event.job ? event.elapsed : event.job->elapsed;
  }
  if (message.text.empty() && event.error) message.text = event.error->message;
  if (message.text.empty()) message.text = capitalized(message.action);
  return line(message);
}

std::string Lines::pipeline(const std::vector<wire::ElementSection>& elements) const {
  std::string out;
  for (const auto& element : elements) {
    std::string line;
    for (const auto& token : element_format_) {
      const Style key{kYellow, false, !element.strict};
      // A key that is not known yet is told by question marks.
      const std::string full = element.key.empty() ? std::string(64, '?') : text(element.key);
      const std::string brief =
          element.brief.empty() ? full.substr(0, settings_.key_length) : text(element.brief);
      if (token.variable.empty()) line += token.text;
      if (token.variable == "name")
        line += paint_(aligned(token, text(element.name)), Style{kBlue, true, {}});
      if (token.variable == "kind")
        line += paint_(aligned(token, text(element.kind)), Style{kCyan, false, {}});
      if (token.variable == "full-key") line += paint_(aligned(token, full), key);
      if (token.variable == "key") line += paint_(aligned(token, brief), key);
      if (token.variable == "state") {
        line += paint_(aligned(token, text(element.state)),
                       Style{state_color(element.state), false, {}});
      }
      // No workspace is shown; in colours an empty text is a reset.
      if (token.variable.starts_with("workspace"))
        line += aligned(token, "") + (paint_.colors ? "\x1b[0m" : "");
    }
    out += line + "\n";
  }
  return out;
}

std::string Lines::project(const wire::HeadingProject& project) const {
  std::string out = paint_("Project", kContent.with_bold()) + paint_(": ", kFormat.with_bold()) +
                    paint_(text(project.name), kContent.with_bold()) + "\n";
  std::vector<std::pair<std::string, std::string>> loaded;
  if (!project.junction.empty()) loaded.emplace_back("Junction path", text(project.junction));
  if (!project.loaded_by.empty()) loaded.emplace_back("Loaded by", text(project.loaded_by));
  out += values(loaded, false, true) + "\n";
  const auto section = [&](const char* title,
                           const std::vector<std::pair<std::string, std::string>>& content,
                           bool style_key) {
    if (content.empty()) return;
    out += paint_(std::string(kIndent) + title + "\n", kFormat) +
           values(content, style_key, true, 2) + "\n";
  };
  section("Project Options", project.options, false);
  section("Element Plugins", project.element_plugins, true);
  section("Source Plugins", project.source_plugins, true);
  return out;
}

std::string Lines::heading(const wire::Event& event) const {
  std::string out = "\n" + paint_("Sluice Version " SLUICE_VERSION "\n", kContent.with_bold());
  std::vector<std::pair<std::string, std::string>> shown;
  if (event.session) {
    shown.emplace_back("Session Start",
                       local_time(event.session->started, "%A, %d-%m-%Y at %H:%M:%S"));
    std::string where = text(event.session->project);
    if (event.heading) where += " (" + text(event.heading->directory) + ")";
    shown.emplace_back("Project", where);
  }
  if (event.heading) {
    std::string targets;
    for (const auto& target : event.heading->targets)
      targets += (targets.empty() ? "" : ", ") + text(target);
    shown.emplace_back("Targets", targets);
  }
  out += values(shown, false, true);
  if (event.heading) {
    const auto& heading = *event.heading;
    out += "\n" + paint_("User Configuration\n", kContent.with_bold());
    out += values({{"Configuration File", heading.config_file.empty() ? "Default Configuration"
                                                                      : text(heading.config_file)},
                   {"Cache Directory", text(heading.cachedir)},
                   {"Log Files", text(heading.logdir)},
                   {"Source Mirrors", text(heading.sourcedir)},
                   {"Build Area", text(heading.builddir)},
                   {"Strict Build Plan", heading.strict ? "Yes" : "No"},
                   {"Maximum Fetch Tasks", std::to_string(heading.fetchers)},
                   {"Maximum Build Tasks", std::to_string(heading.builders)},
                   {"Maximum Push Tasks", std::to_string(heading.pushers)},
                   {"Maximum Network Retries", std::to_string(heading.network_retries)}},
                  false, true);
    out += "\n";
    for (const auto& one : heading.projects) out += project(one);
  }
  if (event.elements) out += paint_("Pipeline\n", kContent.with_bold()) + pipeline(*event.elements);
  return out + paint_(std::string(kRuleWidth, '=') + "\n", kFormat);
}

std::string Lines::summary(const wire::Event& event) const {
  if (!event.queues || event.queues->empty()) return {};
  std::string out = "\n";
  if (event.resolved && !event.resolved->empty()) {
    out +=
        paint_("Resolved key Summary\n", kContent.with_bold()) + pipeline(*event.resolved) + "\n";
  }
  if (event.failures && !event.failures->empty()) {
    std::vector<std::pair<std::string, std::string>> failed;
    for (const auto& failure : *event.failures) {
      Message message;
      message.level = failure.level.empty() ? "failure" : failure.level;
      message.action = failure.job.action;
      message.element = failure.element.name;
      message.key = failure.element.brief;
      message.strict = failure.element.strict;
      message.elapsed = failure.job.elapsed;
      message.time = event.time;
      message.text = failure.text;
      message.detail = failure.detail;
      message.log_tail = failure.log_tail;
      message.log_file = failure.job.log_file;
      message.scheduler = true;
      failed.emplace_back(text(failure.element.name), line(message));
    }
    std::sort(failed.begin(), failed.end());
    out += paint_("Failure Summary\n", kContent.with_bold()) + values(failed, false, false);
  }

  out += paint_("Pipeline Summary\n", kContent.with_bold());
  std::vector<std::pair<std::string, std::string>> rows;
  if (event.run) {
    const std::uint32_t total = event.run->total != 0 ? event.run->total : event.run->elements;
    rows.emplace_back("Total", paint_(std::to_string(total), kContent));
    rows.emplace_back("Session", paint_(std::to_string(event.run->elements), kContent));
  }
  std::size_t widths[3] = {1, 1, 1};
  for (const auto& queue : *event.queues) {
    const std::uint32_t counts[3] = {queue.processed, queue.skipped, queue.failed};
    for (int i = 0; i < 3; ++i) widths[i] = std::max(widths[i], std::to_string(counts[i]).size());
  }
  for (const auto& queue : *event.queues) {
    const std::string processed = std::to_string(queue.processed),
                      skipped = std::to_string(queue.skipped),
                      failed = std::to_string(queue.failed);
    rows.emplace_back(text(queue.name) + " Queue",
                      paint_("processed ", kContent) + paint_(processed, kSuccess) +
                          paint_(", ", kFormat) + std::string(widths[0] - processed.size(), ' ') +
                          paint_("skipped ", kContent) + paint_(skipped, kContent) +
                          paint_(", ", kFormat) + std::string(widths[1] - skipped.size(), ' ') +
                          paint_("failed ", kContent) + paint_(failed, kError) + " " +
                          std::string(widths[2] - failed.size(), ' '));
  }
  return out + values(rows, false, false);
}

std::string error_lines(const wire::Event& event, bool terminal) {
  if (!event.error) return {};
  // The error of a task was told by its job, the failure of a run by its last line.
  if (event.error->scope == "task" || event.error->domain == "stream") return {};
  const auto text = [&](const std::string& from) { return terminal ? clean(from) : from; };
  Error error;
  error.message = text(event.error->message);
  error.detail = text(event.detail);
  error.provenance = {text(event.error->file), event.error->line, event.error->column};
  error.subject = text(event.error->subject);
  error.introduction = text(event.text);
  return error_text(error);
}

}  // namespace sluice::renderer
