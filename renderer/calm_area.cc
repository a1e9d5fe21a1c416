#include "renderer/calm_area.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "renderer/status_area.h"

namespace sluice::renderer {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kLeastRows = 5;   // of the area, where the terminal has them
constexpr std::size_t kKeysFrom = 7;    // rows of an area that names the keys
constexpr std::size_t kWide = 60;       // columns from which on there is room for more than names
constexpr std::size_t kVeryWide = 110;  // ... and for both a step and a line
constexpr std::size_t kLeastBar = 8, kMostBar = 48;
constexpr double kFull = 0.8;  // of the cache's quota: worth a word

// A time that is written anew each second: without tenths.
std::string clock(std::int64_t elapsed) {
  const std::int64_t seconds = std::max<std::int64_t>(elapsed, 0) / kSecond;
  return seconds < 10 ? fmt::format("{}s", seconds) : brief_time(seconds * kSecond);
}

// A time that is no more than a guess.
std::string about(std::int64_t time) {
  const std::int64_t seconds = std::max<std::int64_t>(time, 0) / kSecond;
  if (seconds < 10) return "10s";
  if (seconds < 60) return fmt::format("{}s", (seconds + 9) / 10 * 10);
  const std::int64_t minutes = (seconds + 30) / 60;
  if (minutes < 60) return fmt::format("{}m", minutes);
  return fmt::format("{}h{:02}m", minutes / 60, minutes / 10 * 10 % 60);
}

// A text as it will be written, so that columns can be counted.
std::string shown(std::string_view text, const Pen& pen) {
  const std::string clean = clean_line(text);
  return pen.unicode ? clean : ascii(clean);
}

std::string name_in(const std::string& name, std::size_t columns, const Pen& pen) {
  const std::size_t width = display_width(name);
  if (width <= columns) return name + std::string(columns - width, ' ');
  if (pen.unicode) {
    std::string out = truncate_front(name, columns);
    return out + std::string(columns - display_width(out), ' ');
  }
  return columns < 4 ? name.substr(0, columns) : "..." + name.substr(name.size() - (columns - 3));
}

std::string right(std::string text, std::size_t columns) {
  const std::size_t width = display_width(text);
  return std::string(width < columns ? columns - width : 0, ' ') + text;
}

std::string bar(std::size_t width, const Progress& progress, const Pen& pen) {
  const std::size_t all = std::max<std::uint32_t>(progress.all, 1);
  const std::size_t done = std::min<std::size_t>(progress.done + progress.failed, all);
  const std::size_t eighths = width * 8 * done / all;
  if (!pen.unicode) return std::string(eighths / 8, '#') + std::string(width - eighths / 8, '.');
  static constexpr std::string_view kParts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  std::string out;
  std::size_t at = 0;
  for (; at < eighths / 8; ++at) out += "█";
  if (eighths % 8 != 0 && at < width) {
    out += kParts[eighths % 8];
    ++at;
  }
  for (; at < width; ++at) out += "░";
  return out;
}

Spans bar_row(const wire::Event& status, const Progress& progress, std::int64_t passed,
              std::size_t columns, const Pen& pen) {
  Spans text;
  if (progress.all > 0) text.push_back({fmt::format("{}/{}", progress.done, progress.all), kPlain});
  if (status.session) {
    const auto& session = *status.session;
    const std::int64_t elapsed =
        status.run && status.run->elapsed > 0 ? status.run->elapsed : session.elapsed;
    text.push_back({"  " + clock(elapsed + passed), kPlain});
    if (session.state != "active" && !session.state.empty())
      text.push_back({"  " + shown(session.state, pen), kContent.with_bold()});
  }
  if (status.estimate && status.estimate->high > 0) {
    const std::string low = about(status.estimate->low - passed),
                      high = about(status.estimate->high - passed);
    text.push_back({low == high ? fmt::format("  about {} left", high)
                                : fmt::format("  {}{}{} left", low, pen.unicode ? "–" : "-", high),
                    kPlain});
  }
  const std::size_t used = width_of(text) + 1;
  if (progress.all > 0 && used + kLeastBar <= columns) {
    text.insert(text.begin(), {" ", kPlain});
    text.insert(text.begin(), {bar(std::min(columns - used, kMostBar), progress, pen),
                               progress.failed > 0 ? Style{kRed} : kSuccess});
  }
  return text;
}

const model::ActionTraits* of_title(std::string_view title) {
  for (const model::ActionTraits& one : model::kActions) {
    if (one.title == title) return &one;
  }
  return nullptr;
}

Spans info_row(const wire::Event& status, std::int64_t since, std::size_t jobs_shown, bool asked,
               const Pen& pen) {
  std::vector<Span> parts;
  const bool stale = ticking(status) && since >= kStale.count();
  if (stale) parts.push_back({fmt::format("no news for {} s", since / kSecond), kError});
  if (!status.text.empty()) parts.push_back({shown(status.text, pen), kContent});
  if (status.prompts && !status.prompts->empty() && !asked)
    parts.push_back({fmt::format("{} to be answered", status.prompts->size()), kContent});
  if (status.active && status.active->total > jobs_shown)
    parts.push_back({fmt::format("{} running", status.active->total), kPlain});
  std::uint32_t waiting = 0, downloads = 0, uploads = 0;
  if (status.queues) {
    for (const auto& queue : *status.queues) {
      const model::ActionTraits* action = of_title(queue.name);
      if (action == nullptr) continue;
      if (action->resource == model::Resource::kDownload) downloads += queue.active;
      if (action->resource == model::Resource::kUpload) uploads += queue.active;
      waiting += queue.waiting;
    }
  }
  if (waiting > 0) parts.push_back({fmt::format("{} waiting", waiting), kPlain});
  if (downloads > 0)
    parts.push_back(
        {pen.unicode ? fmt::format("↓ {}", downloads) : fmt::format("{} downloading", downloads),
         kPlain});
  if (uploads > 0)
    parts.push_back(
        {pen.unicode ? fmt::format("↑ {}", uploads) : fmt::format("{} uploading", uploads),
         kPlain});
  if (status.progress) {
    const std::uint64_t hits = std::uint64_t{status.progress->cached} + status.progress->pulled;
    if (const std::uint64_t all = hits + status.progress->built; all > 0)
      parts.push_back({fmt::format("hits {}%", hits * 100 / all), kPlain});
  }
  if (status.idle && status.idle->builders > 0) {
    parts.push_back(
        {fmt::format("{} idle{}{}", status.idle->builders, status.idle->why.empty() ? "" : ": ",
                     shown(status.idle->why, pen)),
         kPlain});
  }
  if (status.limits && status.limits->changed)
    parts.push_back({fmt::format("{} builders", status.limits->builders), kPlain});
  if (status.cache && status.cache->quota > 0) {
    const double share =
        static_cast<double>(status.cache->used) / static_cast<double>(status.cache->quota);
    if (share >= kFull)
      parts.push_back({fmt::format("cache {}% full", static_cast<int>(share * 100)), kContent});
  }
  Spans out;
  for (auto& part : parts) {
    if (!out.empty()) out.push_back({pen.unicode ? " · " : ", ", kFormat});
    out.push_back(std::move(part));
  }
  return out;
}

Spans failures_row(const Tally& tally, const Progress& progress, const wire::Event& status,
                   std::size_t columns, const Pen& pen) {
  const std::size_t count = std::max<std::size_t>(progress.failed, tally.failed().size());
  Spans out{{fmt::format("{} {} failed", pen.unicode ? "✘" : "!", count), kError}};
  std::string blocked;
  if (status.progress && status.progress->blocked > 0)
    blocked =
        fmt::format("{}{} can't be reached", pen.unicode ? " · " : ", ", status.progress->blocked);
  const auto& failed = tally.failed();
  std::size_t room = columns - std::min(columns, width_of(out) + display_width(blocked) + 2);
  std::string names;
  // The newest ones come first.
  for (auto name = failed.rbegin(); name != failed.rend(); ++name) {
    const std::string next = (names.empty() ? ": " : ", ") + shown(*name, pen);
    if (!names.empty() && display_width(names + next) + 3 > room) {
      names += pen.unicode ? ", …" : ", ...";
      break;
    }
    names += next;
  }
  out.push_back({names, kError});
  out.push_back({blocked, kPlain});
  return out;
}

Spans job_row(const wire::ActiveJob& job, const std::string& verb, std::int64_t passed,
              std::size_t names, std::size_t columns, const Pen& pen) {
  const std::string_view mark =
      job.critical ? (pen.unicode ? "◆ " : "* ") : (pen.unicode ? "• " : "- ");
  Spans out{{std::string(mark), job.critical ? kContent : kFormat},
            {name_in(shown(job.element, pen), names, pen), job.critical ? kContent : kPlain}};
  out.push_back({" " + right(clock(job.elapsed + passed), 6), kPlain});
  if (columns < kWide) return out;
  const std::string expected = job.expected > 0 ? "/" + clock(job.expected) : "";
  out.push_back(
      {expected + std::string(expected.size() < 8 ? 8 - expected.size() : 0, ' '), kDetail});
  if (job.critical) out.push_back({"critical ", kContent});
  if (job.action != verb) out.push_back({shown(job.action, pen) + " ", kFormat});
  const std::string step = shown(job.step, pen);
  std::string line = shown(job.line, pen);
  line.erase(0, line.find_first_not_of(' '));
  if (!step.empty() && (line.empty() || columns >= kVeryWide))
    out.push_back({step + (line.empty() ? "" : "  "), kDetail});
  if (!line.empty()) out.push_back({line, kPlain});
  return out;
}

// The rows of a hint; what must be seen and is longer than a row goes on in the next, broken at a
// blank.
struct HintRow {
  std::string text;
  bool question = false;
};

std::vector<HintRow> hint_rows(std::string_view hint, std::size_t columns, const Pen& pen) {
  std::vector<HintRow> out;
  for (std::string_view rest = hint; !rest.empty();) {
    const auto tab = std::min(rest.find('\t'), rest.size());
    std::string_view row = rest.substr(0, tab);
    rest.remove_prefix(std::min(tab + 1, rest.size()));
    const bool question = row.starts_with('!');
    if (question) row.remove_prefix(1);
    std::string text = shown(row, pen);
    while (question && display_width(text) > columns) {
      std::size_t end = 0;
      for (auto at = text.find(' '); at != std::string::npos; at = text.find(' ', at + 1)) {
        if (display_width(std::string_view(text).substr(0, at)) > columns) break;
        if (at > 0) end = at;
      }
      if (end == 0) break;
      out.push_back({text.substr(0, end), true});
      text.erase(0, text.find_first_not_of(' ', end));
    }
    out.push_back({std::move(text), question});
  }
  return out;
}

}  // namespace

Progress progress_of(const wire::Event& status, const Tally& tally) {
  if (status.progress)
    return {status.progress->done, status.progress->elements, status.progress->failed};
  // A session that doesn't say it: what the queues have done stands for it.
  Progress out;
  if (!status.run || !status.queues || status.queues->empty()) return out;
  const auto& last = status.queues->back();
  out.all = status.run->elements;
  out.failed = static_cast<std::uint32_t>(tally.failed().size());
  out.done = std::min(last.processed + last.skipped, out.all);
  return out;
}

std::string signature(const wire::Event& status) {
  std::string out = status.text;
  if (status.session) out += "|" + status.session->state;
  if (status.progress) {
    out += fmt::format("|{} {} {}", status.progress->done, status.progress->elements,
                       status.progress->failed);
  }
  if (status.active) {
    for (const auto& job : status.active->jobs)
      out += fmt::format("|{}{}", job.job, job.critical ? "!" : "");
  }
  if (status.limits) out += fmt::format("|{}", status.limits->builders);
  return out;
}

void CalmArea::forget() {
  slots_.clear();
  reserved_ = names_ = 0;
}

void CalmArea::place_jobs(const std::vector<wire::ActiveJob>& jobs, std::size_t rows) {
  std::vector<const wire::ActiveJob*> order;
  for (const auto& job : jobs) order.push_back(&job);
  std::stable_sort(order.begin(), order.end(),
                   [](const wire::ActiveJob* a, const wire::ActiveJob* b) {
                     if (a->critical != b->critical) return a->critical;
                     return a->elapsed > b->elapsed;
                   });
  if (order.size() > rows) order.resize(rows);
  const auto chosen = [&](std::uint64_t id) {
    return std::any_of(order.begin(), order.end(),
                       [&](const wire::ActiveJob* job) { return job->job == id; });
  };
  for (auto& slot : slots_) {
    if (slot != 0 && !chosen(slot)) slot = 0;
  }
  if (slots_.size() > rows) {
    std::erase(slots_, 0u);
    slots_.resize(std::min(slots_.size(), rows));
  }
  slots_.resize(rows, 0);
  for (const auto* job : order) {
    if (std::find(slots_.begin(), slots_.end(), job->job) != slots_.end()) continue;
    const auto free = std::find(slots_.begin(), slots_.end(), 0u);
    if (free != slots_.end()) *free = job->job;
  }
}

std::vector<Row> CalmArea::rows(const wire::Event& status, const Tally& tally, Duration since,
                                Size size, const Pen& pen, std::string_view hint) {
  std::vector<Row> out;
  if (size.rows < 3 || size.columns < 12) return out;
  const std::size_t columns = size.columns - 1, most = size.rows - 2;
  std::vector<HintRow> hints = hint_rows(hint, columns, pen);
  const bool asked = !hints.empty() && hints.front().question;
  const bool needed = asked || hints.size() > 1;

  static const std::vector<wire::ActiveJob> kNone;
  const auto& jobs = status.active ? status.active->jobs : kNone;
  const std::size_t running = status.active ? status.active->total : 0;
  const std::size_t third = std::max<std::size_t>(kLeastRows, size.rows / 3);
  // The bar, the jobs, two rows of counts, and the keys.
  const std::size_t wanted = std::max(reserved_, running) + 4;
  std::size_t room =
      std::min(most, std::max(third, std::min<std::size_t>(wanted, size.rows * 2 / 5)));
  if (!needed && room < kKeysFrom) hints.clear();
  if (needed) room = std::min(most, std::max(room, hints.size() + 2));
  const Progress progress = progress_of(status, tally);
  const bool failures = progress.failed > 0 || !tally.failed().empty();
  // What is left when the rows are given away in this order: the bar, what is asked, failures.
  std::size_t left = room;
  const auto take = [&](std::size_t rows) {
    if (rows > left) return false;
    left -= rows;
    return true;
  };
  const bool hinted = !hints.empty() && (needed ? take(std::min(hints.size(), left)) : take(1));
  const bool barred = take(1);
  const bool failed = failures && take(1);
  // Two jobs come before the counts.
  const bool counted = left >= 3 && take(1);
  reserved_ = std::max(reserved_, running);
  const std::size_t job_rows = std::min(reserved_, left);
  place_jobs(jobs, job_rows);

  const bool ticks = ticking(status);
  const std::int64_t passed = ticks ? since.count() : 0;
  if (barred) out.push_back(row_of(bar_row(status, progress, passed, columns, pen), columns, pen));
  std::size_t widest =
      columns < kWide ? columns - std::min<std::size_t>(columns, 10) : columns * 2 / 5;
  std::size_t shown_jobs = 0;
  const auto in_slot = [&](std::uint64_t slot) {
    return std::find_if(jobs.begin(), jobs.end(),
                        [&](const wire::ActiveJob& job) { return slot != 0 && job.job == slot; });
  };
  for (const auto slot : slots_) {
    const auto job = in_slot(slot);
    if (job == jobs.end()) continue;
    names_ = std::max(names_, std::min(display_width(shown(job->element, pen)), widest));
    ++shown_jobs;
  }
  const std::string verb = status.run ? status.run->verb : std::string();
  for (const auto slot : slots_) {
    const auto job = in_slot(slot);
    out.push_back(job == jobs.end()
                      ? Row()
                      : row_of(job_row(*job, verb, passed, names_, columns, pen), columns, pen));
  }
  if (counted) {
    out.push_back(row_of(info_row(status, since.count(), shown_jobs, asked, pen), columns, pen));
  }
  if (failed)
    out.push_back(row_of(failures_row(tally, progress, status, columns, pen), columns, pen));
  if (hinted) {
    for (const auto& [text, question] : hints) {
      if (out.size() == room) break;
      out.push_back(row_of({{text, question ? kContent.with_bold() : kFormat}}, columns, pen));
    }
  }
  return out;
}

}  // namespace sluice::renderer
