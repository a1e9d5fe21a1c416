#include "renderer/status_area.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "model/actions.h"
#include "renderer/spans.h"

namespace sluice::renderer {

namespace {

// The heading and a row of jobs go before hints.
constexpr std::size_t kRowsBeside = 4;

// "==== text ====", as wide as there is room; without a fill that can be seen the text is only
// moved to the middle.
Spans centered(Spans text, std::size_t columns, char fill) {
  const std::size_t width = width_of(text) + 2;
  if (width >= columns) return text;
  const std::string side((columns - width) / 2, fill);
  text.insert(text.begin(), Span{side + " ", kFormat});
  if (fill != ' ') text.push_back({" " + side, kFormat});
  return text;
}

// What a queue has done; one that isn't known is called by its title.
std::string done_name(const std::string& queue) {
  for (const model::ActionTraits& action : model::kActions) {
    if (action.title == queue) return std::string(action.done);
  }
  return clean_line(queue);
}

Spans session_row(const wire::Event& status, std::int64_t since, bool stale) {
  Spans spans;
  if (!status.session) return spans;
  const auto& session = *status.session;
  const TimeFields time = time_fields(session.elapsed + since);
  spans = {{time.hours, kContent},   {":", kFormat},
           {time.minutes, kContent}, {":", kFormat},
           {time.seconds, kContent}, {" " + clean_line(session.project), kContent}};
  if (status.run) {
    spans.push_back({" (", kFormat});
    spans.push_back({std::to_string(status.run->elements), kContent});
    spans.push_back({"/", kFormat});
    spans.push_back({std::to_string(std::max(status.run->total, status.run->elements)), kContent});
    spans.push_back({")", kFormat});
  }
  if (session.state != "active" && !session.state.empty())
    spans.push_back({" " + clean_line(session.state), kContent.with_bold()});
  if (status.limits && status.limits->changed) {
    spans.push_back(
        {fmt::format(" {} builders, {} fetchers", status.limits->builders, status.limits->fetchers),
         kContent});
  }
  if (stale) spans.push_back({fmt::format(" no news for {} s", since / 1'000'000'000), kError});
  return spans;
}

Spans queues_row(const wire::Event& status) {
  Spans spans;
  if (!status.queues) return spans;
  for (const auto& queue : *status.queues) {
    if (!spans.empty()) spans.push_back({"→ ", kFormat});
    spans.push_back({"(", kFormat});
    spans.push_back({done_name(queue.name), kContent});
    spans.push_back({":", kFormat});
    spans.push_back({std::to_string(queue.processed), kSuccess});
    spans.push_back({" " + std::to_string(queue.skipped), kContent});
    spans.push_back({" ", kPlain});
    spans.push_back({std::to_string(queue.failed), kError});
    if (queue.waiting > 0) spans.push_back({fmt::format(", {} waiting", queue.waiting), kFormat});
    spans.push_back({")", kFormat});
  }
  return spans;
}

// What waits for a runner that isn't there.
Spans waiting_row(const wire::Event& status) {
  if (status.text.empty()) return {};
  return {{clean_line(status.text), kError}};
}

Spans cache_row(const wire::Event& status) {
  Spans spans;
  if (!status.cache) return spans;
  const auto& cache = *status.cache;
  std::string usage = pretty_size(cache.used);
  Style style = kSuccess;
  if (cache.quota > 0) {
    const double share = static_cast<double>(cache.used) / static_cast<double>(cache.quota);
    usage += fmt::format(" / {} ({}%)", pretty_size(cache.quota), static_cast<int>(share * 100));
    style = share >= 0.95 ? kError : share >= 0.8 ? kContent : kSuccess;
  }
  return {{"~~~~~~ ", kFormat},
          {"cache", kContent},
          {": ", kFormat},
          {usage, style},
          {" ~~~~~~", kFormat}};
}

Spans job_spans(const wire::ActiveJob& job, std::int64_t since) {
  const TimeFields time = time_fields(job.elapsed + since);
  return {{"[", kFormat},  {time.hours, kContent},
          {":", kFormat},  {time.minutes, kContent},
          {":", kFormat},  {time.seconds, kContent},
          {"][", kFormat}, {clean_line(job.action), kContent},
          {":", kFormat},  {clean_line(job.element), kContent}};
}

// The widest arrangement of the jobs that fits, filled row by row.
std::vector<std::size_t> column_widths(const std::vector<std::size_t>& jobs, std::size_t columns) {
  for (std::size_t count = std::min(jobs.size(), columns); count > 1; --count) {
    std::vector<std::size_t> widths(count, 0);
    for (std::size_t i = 0; i < jobs.size(); ++i)
      widths[i % count] = std::max(widths[i % count], jobs[i]);
    std::size_t sum = count - 1;
    for (const auto width : widths) sum += width;
    if (sum <= columns) return widths;
  }
  return {jobs.empty() ? 0 : *std::max_element(jobs.begin(), jobs.end())};
}

void add_jobs(std::vector<Row>& rows, const wire::ActiveSection& active, std::int64_t since,
              std::size_t columns, std::size_t room, const Pen& pen) {
  std::vector<Spans> jobs;
  std::vector<std::size_t> sizes;
  for (const auto& job : active.jobs) {
    jobs.push_back(job_spans(job, since));
    sizes.push_back(width_of(jobs.back()) + 1);  // its "]"
  }
  if (jobs.empty()) return;
  const auto widths = column_widths(sizes, columns);
  const std::size_t lines = (jobs.size() + widths.size() - 1) / widths.size();
  const bool all = lines <= room && active.total <= jobs.size();
  const std::size_t show = all ? lines : std::min(lines, room > 0 ? room - 1 : 0);
  for (std::size_t line = 0; line < show; ++line) {
    Spans spans;
    for (std::size_t i = 0; i < widths.size() && line * widths.size() + i < jobs.size(); ++i) {
      const std::size_t index = line * widths.size() + i;
      if (i > 0) spans.push_back({" ", kPlain});
      spans.insert(spans.end(), jobs[index].begin(), jobs[index].end());
      spans.push_back({std::string(widths[i] - sizes[index], ' ') + "]", kFormat});
    }
    rows.push_back(row_of(spans, columns, pen));
  }
  if (!all && room > 0) {
    const std::size_t total = std::max<std::size_t>(active.total, jobs.size());
    const std::size_t shown = std::min(show * widths.size(), jobs.size());
    rows.push_back(
        row_of({{fmt::format("... and {} more", total - shown), kFormat}}, columns, pen));
  }
}

}  // namespace

bool ticking(const wire::Event& status) {
  return !status.session ||
         (status.session->state != "suspended" && status.session->state != "paused");
}

std::vector<Row> status_rows(const wire::Event& status, Duration since, Size size,
                             const Painter& paint, std::string_view hint) {
  std::vector<Row> rows;
  const Pen pen{paint};
  if (size.rows < 3 || size.columns < 2) return rows;
  // One row is the cursor's, and one above shows that lines scroll there.
  const std::size_t columns = size.columns - 1;
  std::size_t room = size.rows - 2;
  std::vector<std::string_view> hints;
  for (std::string_view rest = hint; !rest.empty();) {
    const auto tab = std::min(rest.find('\t'), rest.size());
    hints.push_back(rest.substr(0, tab));
    rest.remove_prefix(std::min(tab + 1, rest.size()));
  }
  if (room < hints.size() + kRowsBeside) hints.clear();
  room -= hints.size();
  const bool stale = ticking(status) && since >= kStale;
  const std::int64_t passed = ticking(status) ? since.count() : 0;
  for (auto& [spans, fill] :
       {std::pair{session_row(status, passed, stale), '='}, std::pair{queues_row(status), ' '},
        std::pair{waiting_row(status), ' '}, std::pair{cache_row(status), ' '}}) {
    if (rows.size() < room && !spans.empty())
      rows.push_back(row_of(centered(spans, columns, fill), columns, pen));
  }
  if (status.active) add_jobs(rows, *status.active, passed, columns, room - rows.size(), pen);
  for (auto text : hints) {
    if (text.starts_with('!')) text.remove_prefix(1);
    rows.push_back(row_of({{clean_line(text), kFormat}}, columns, pen));
  }
  return rows;
}

}  // namespace sluice::renderer
