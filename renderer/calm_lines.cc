#include "renderer/calm_lines.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "model/action_named.h"

namespace sluice::renderer {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// Transfers of so long a time are one line.
constexpr std::int64_t kGather = 10 * kSecond;
constexpr std::size_t kNamed = 3;
constexpr std::size_t kSlowest = 3;
// A chain of more jobs is shown by its first and its last ones.
constexpr std::size_t kChain = 5;

bool is_failure(const wire::Event& event) {
  return event.outcome == "failure" || event.outcome == "error" || event.level == "failure" ||
         event.level == "error" || event.level == "bug";
}

std::string plural(std::size_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace

std::int64_t took(const wire::Event& event, std::int64_t began) {
  if (event.run && event.run->elapsed > 0) return event.run->elapsed;
  return event.session ? event.session->elapsed - began : 0;
}

std::string_view verdict(const wire::Event& event) {
  if (event.outcome == "success") return "succeeded";
  if (event.outcome == "terminated") return "was terminated";
  return event.outcome == "quit" ? "was ended early" : "failed";
}

namespace {

std::string spoken_verdict(const wire::Event& event) {
  const std::string_view verdict = sluice::renderer::verdict(event);
  return verdict.starts_with("was ") ? std::string(verdict) : "has " + std::string(verdict);
}

}  // namespace

namespace {

std::string counts(const history::Summary& summary) {
  std::string out;
  for (const auto& [count, what] : summary.told())
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, what);
  return out;
}

std::string slowest(const Tally& tally, const history::Summary& summary) {
  std::string out;
  const auto& jobs = summary.slowest;
  if (jobs.size() < 2 || tally.duration_of(jobs.front()) < kSecond) return out;
  for (const std::size_t job : jobs) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", clean_line(tally.name_of(job)),
                       brief_time(tally.duration_of(job)));
  }
  return out;
}

std::string critical(const Tally& tally, const history::CriticalPath& path, std::int64_t took) {
  const auto& jobs = path.jobs;
  if (jobs.size() < 2 || path.duration < kSecond) return {};
  std::string chain;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (jobs.size() > kChain && i == 1) {
      i = jobs.size() - kChain + 2;
      chain += " → …";
    }
    chain += (chain.empty() ? "" : " → ") + clean_line(tally.name_of(jobs[i]));
  }
  if (jobs.size() > kChain) chain += fmt::format(" ({} jobs)", jobs.size());
  return fmt::format("{} of {}: {}", brief_time(path.duration), brief_time(took), chain);
}

}  // namespace

Told told(const Tally& tally, std::int64_t took) {
  Told out;
  out.summary = tally.summary(kSlowest);
  if (out.summary) {
    out.counts = counts(*out.summary);
    out.slowest = slowest(tally, *out.summary);
    out.critical = critical(tally, out.summary->path, took);
  }
  if (out.counts.empty()) out.counts = "nothing to do";
  return out;
}

std::string log_end(const wire::FailureSection& failure, std::uint32_t lines) {
  if (lines == 0) return {};
  if (!failure.log_tail.empty()) return std::string(last_lines_of(failure.log_tail, lines));
  if (failure.job.log_file.empty()) return {};
  auto tail = last_lines(failure.job.log_file, lines);
  return tail ? std::move(*tail) : "The log can't be read: " + tail.error().message;
}

std::string CalmLines::text(std::string_view from) const {
  std::string out = settings_.terminal ? clean(from) : std::string(from);
  return settings_.pen.unicode ? out : ascii(out);
}

std::string_view CalmLines::mark(std::string_view unicode, std::string_view plain) const {
  return settings_.pen.unicode ? unicode : plain;
}

// A line of one row.
std::string CalmLines::cut(const Spans& spans) const {
  const std::size_t most = columns_ > 1 ? columns_ - 1 : static_cast<std::size_t>(-1);
  return row_of(spans, most, settings_.pen).bytes + "\n";
}

// The last `most` lines of a text, each with `before` it.
std::string CalmLines::below(std::string_view from, std::uint32_t most,
                             std::string_view before) const {
  std::string out;
  const std::string shown = text(last_lines_of(from, most));
  for (auto line : split_lines(shown)) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    out += fmt::format("{}{}\n", before, line);
  }
  return out;
}

void CalmLines::recall(const wire::Event& event) {
  tally_.record(event);
  if (event.type != "run.started") return;
  gathered_.clear();
  run_began_ = event.session ? event.session->elapsed : 0;
}

std::string CalmLines::render(const wire::Event& event, std::size_t columns) {
  columns_ = columns;
  recall(event);
  if (event.type == "run.started") {
    if (!settings_.spoken || settings_.quiet || !event.run) return {};
    return fmt::format("The {} of {} begins.\n", text(event.run->verb),
                       plural(event.run->elements, "element"));
  }
  std::string out;
  if (!gathered_.empty() && event.time >= gathered_since_ + kGather) out = gathered();
  if (event.type == "run.finished") return out + gathered() + summary(event);
  if (event.type == "job.finished") return out + job_finished(event);
  if (event.type == "error") return out + error_lines(event, settings_.terminal);
  if (settings_.quiet) return out;
  if (event.type.starts_with("session.")) return out + session_news(event);
  return out + said(event);
}

// ---- Jobs --------------------------------------------------------------------

std::string CalmLines::job_finished(const wire::Event& event) {
  if (!event.element || !event.job) return {};
  if (is_failure(event)) return gathered() + failed(event);
  if (settings_.quiet || event.outcome != "success") return {};
  const model::ActionTraits* action = model::traits_named(event.job->action);
  const std::string_view word =
      event.origin.empty() || (action != nullptr && action->yields == model::Yields::kNothing)
          ? done_word(action)
          : event.origin;
  const bool of_run = event.run && event.run->verb == event.job->action;
  if (action == nullptr || action->yields == model::Yields::kArtifact ||
      action->yields == model::Yields::kRefs)
    return done(event);
  // The sources of what is built, and what is pushed meanwhile, are no news.
  if (of_run || action->yields == model::Yields::kPulledArtifact) gather(event, word);
  return {};
}

std::string CalmLines::done(const wire::Event& event) const {
  const auto& job = *event.job;
  const std::string_view word = done_word(model::traits_named(job.action));
  if (settings_.spoken) {
    return fmt::format("{} {} in {}.\n", capitalized(word), text(event.element->name),
                       spoken_time(job.elapsed));
  }
  const std::string_view sign = mark("✔", "ok");
  std::string time = "  " + brief_time(job.elapsed);
  if (job.attempt > 1) time += fmt::format(", attempt {}", job.attempt);
  // The time is there, and the end of the name.
  std::string name = clean_line(event.element->name);
  const std::size_t beside = display_width(sign) + 2 + time.size();
  if (columns_ > beside) name = truncate_front(name, columns_ - beside);
  return cut({{std::string(sign), kSuccess}, {" " + name, kPlain}, {time, kDetail}});
}

std::string CalmLines::failed(const wire::Event& event) const {
  const auto& job = *event.job;
  std::string why = event.text;
  if (why.empty() && event.error) why = event.error->message;
  if (why.empty()) why = "it isn't said why";
  if (settings_.spoken) {
    return fmt::format("{} has failed in its {}, after {}: {}.\n", text(event.element->name),
                       text(job.action), spoken_time(job.elapsed), text(why));
  }
  const std::string link = job.log_file.empty() ? "" : file_url(job.log_file);
  // The name has room for its end, and what has failed for its front.
  std::string name = clean_line(event.element->name);
  if (columns_ > 0 && display_width(name) > columns_ / 2) name = truncate_front(name, columns_ / 2);
  Spans spans{
      {std::string(mark("✘", "FAILED")), kError},
      {" " + name, kPlain},
      {fmt::format("  {} failed after {}: ", clean_line(job.action), brief_time(job.elapsed)),
       kDetail},
      {clean_line(why), kError}};
  if (link.empty() || !settings_.pen.links) return cut(spans);
  const Span log{"log", kDetail, link};
  std::size_t room = columns_ > 8 ? columns_ - 6 : static_cast<std::size_t>(-1);
  Row row = row_of(spans, room, settings_.pen);
  return row.bytes + "  " + row_of({log}, 3, settings_.pen).bytes + "\n";
}

void CalmLines::gather(const wire::Event& event, std::string_view word) {
  if (gathered_.empty()) gathered_since_ = event.time;
  auto found = std::find_if(gathered_.begin(), gathered_.end(),
                            [&](const Gathered& one) { return one.word == word; });
  if (found == gathered_.end()) found = gathered_.insert(found, Gathered{std::string(word), 0, {}});
  if (found->names.size() < kNamed) found->names.push_back(clean_line(event.element->name));
  ++found->count;
}

std::string CalmLines::gathered() {
  std::string out;
  for (const auto& one : gathered_) {
    std::string names;
    for (const auto& name : one.names) names += (names.empty() ? "" : ", ") + name;
    const bool few = one.count <= one.names.size();
    if (settings_.spoken) {
      out += few ? fmt::format("{} {}.\n", capitalized(one.word), text(names))
                 : fmt::format("{} {}.\n", capitalized(one.word), plural(one.count, "element"));
      continue;
    }
    const bool up = one.word == done_word(&model::traits(model::Action::kPush));
    out += cut({{std::string(up ? mark("↑", "->") : mark("↓", "<-")), kSuccess},
                {few ? fmt::format(" {}  {}", names, one.word)
                     : fmt::format(" {} {}", one.count, one.word),
                 kPlain},
                {few ? "" : fmt::format("  {}, …", names), kDetail}});
  }
  gathered_.clear();
  return out;
}

// ---- Messages ----------------------------------------------------------------

std::string CalmLines::said(const wire::Event& event) const {
  const bool bad = event.level == "warn" || event.level == "error" || event.level == "bug";
  const bool wanted =
      bad || (event.level == "info" && !event.job) || (event.level == "debug" && settings_.debug);
  if (!wanted || (event.text.empty() && event.detail.empty())) return {};
  const std::string who = event.element ? clean_line(event.element->name) + ": " : "";
  std::string out;
  if (settings_.spoken) {
    out = fmt::format("{}{}{}\n", bad ? "Warning: " : "", text(who), text(event.text));
  } else {
    out = cut({{std::string(bad ? mark("▲", "!") : mark("·", "-")), bad ? kContent : kFormat},
               {" " + who, kPlain},
               {clean_line(event.text), bad ? kContent : kPlain}});
  }
  if (event.detail.empty() || settings_.message_lines == 0) return out;
  const std::string detail = text(event.detail);
  const auto lines = split_lines(detail);
  for (std::size_t i = 0; i < lines.size() && i < settings_.message_lines; ++i) {
    std::string_view line = lines[i];
    if (line.ends_with('\n')) line.remove_suffix(1);
    out += fmt::format("    {}\n", line);
  }
  if (lines.size() > settings_.message_lines) {
    out += fmt::format("    and {}\n",
                       plural(lines.size() - settings_.message_lines, "line") + " more");
  }
  return out;
}

std::string CalmLines::session_news(const wire::Event& event) const {
  std::string what;
  if (event.type == "session.suspended") what = "All jobs are suspended";
  if (event.type == "session.resumed") what = "All jobs go on";
  if (event.type == "session.limits" && event.limits) {
    what = plural(event.limits->builders, "builder") + ", " +
           plural(event.limits->fetchers, "fetcher");
  }
  if (what.empty()) return {};
  if (settings_.spoken) return what + ".\n";
  return cut({{std::string(mark("·", "-")), kFormat}, {" " + what, kPlain}});
}

// ---- The end -----------------------------------------------------------------

std::string CalmLines::summary(const wire::Event& event) const {
  const bool success = event.outcome == "success";
  const std::int64_t time = took(event, run_began_);
  const std::string verb = text(tally_.verb().empty() ? "run" : tally_.verb());
  const Told told = sluice::renderer::told(tally_, time);
  std::string out;
  if (settings_.spoken) {
    out = fmt::format("The {} {} after {}: {}.\n", verb, spoken_verdict(event), spoken_time(time),
                      told.counts);
  } else {
    // The line may be longer than a row: it says all there is to say.
    const auto& paint = settings_.pen.paint;
    out = fmt::format("{} {} {} in {}: {}\n",
                      paint(success ? mark("✔", "ok") : mark("✘", "FAILED"),
                            (success ? kSuccess : kError).with_bold()),
                      verb, verdict(event), brief_time(time), told.counts);
  }
  out += details(event, told);
  if (event.failures) {
    for (const auto& one : *event.failures) out += failure(one);
  }
  return out;
}

std::string CalmLines::details(const wire::Event& event, const Told& told) const {
  std::string out;
  const auto add = [&](std::string_view what, const std::string& value) {
    if (value.empty()) return;
    out += settings_.spoken
               ? fmt::format("{}: {}.\n", what, text(value))
               : fmt::format("  {} {}\n", settings_.pen.paint(lower(what) + ":", kDetail),
                             text(value));
  };
  if (settings_.quiet) return out;
  add("Slowest", told.slowest);
  std::string critical = told.critical;
  if (!settings_.pen.unicode) {
    for (auto at = critical.find("→"); at != std::string::npos; at = critical.find("→"))
      critical.replace(at, std::string_view("→").size(), "->");
  }
  add("Critical path", critical);
  if (event.resolved && !event.resolved->empty() && event.resolved->size() <= 40) {
    std::string keys;
    for (const auto& one : *event.resolved)
      keys += fmt::format("{}{} {}", keys.empty() ? "" : ", ", clean_line(one.name),
                          clean_line(one.brief));
    add("New keys", keys);
  }
  return out;
}

std::string CalmLines::failure(const wire::FailureSection& failure) const {
  const auto& paint = settings_.pen.paint;
  const std::string name = text(clean_line(failure.element.name));
  const std::string& log = failure.job.log_file;
  std::string out = "\n";
  if (settings_.spoken) {
    out += fmt::format("Failed: {}, in its {}: {}.\n", name, text(failure.job.action),
                       text(failure.text));
    if (!log.empty()) out += fmt::format("Its log is {}.\n", text(log));
  } else {
    out += fmt::format(
        "{} {}: {} {}\n", paint(mark("✘", "FAILED"), kError.with_bold()), name,
        paint(text(failure.text), kError),
        paint(fmt::format("({}, {})", text(failure.job.action), brief_time(failure.job.elapsed)),
              kDetail));
  }
  if (!failure.detail.empty())
    out += below(failure.detail, settings_.error_lines, settings_.spoken ? "" : "    ");
  if (!settings_.spoken && !log.empty()) {
    const Spans link{{text(clean_line(log)), kPlain, file_url(log)}};
    out += "  log: " + row_of(link, static_cast<std::size_t>(-1), settings_.pen).bytes + "\n";
  }
  if (!settings_.verbose) return out;
  const std::string end = log_end(failure, settings_.error_lines);
  if (end.empty()) return out;
  if (settings_.spoken) out += "The end of its log:\n";
  return out + below(end, settings_.error_lines,
                     settings_.spoken ? "" : paint(mark("  │ ", "  | "), kDetail));
}

}  // namespace sluice::renderer
