#include "renderer/report/summary.h"

#include <fmt/format.h>

#include "base/text.h"
#include "history/measures.h"
#include "renderer/page/digest.h"

namespace sluice::renderer {

namespace {

// Failures that are shown with their logs.
constexpr std::size_t kMostFailures = 100;

std::string words(std::string_view outcome) {
  if (outcome.empty()) return "goes on";
  return outcome == "success" ? "succeeded" : std::string(outcome);
}

std::string failure_html(const history::History& history, const history::Run& run,
                         const history::Failure& failure) {
  const history::Job& job = history.jobs[failure.job];
  std::string out =
      fmt::format("<div class=\"card failure\"><p><b>{}</b> {}</p>",
                  html_text(run.elements[failure.element].name), html_text(clean(job.text)));
  if (!job.log_tail.empty()) out += fmt::format("<pre>{}</pre>", html_text(clean(job.log_tail)));
  if (!job.log_file.empty())
    out += fmt::format("<p><code class=\"path\">{}</code></p>", html_text(job.log_file));
  return out + "</div>";
}

}  // namespace

std::string summary_title(const history::History& history) {
  std::string out = history.project;
  if (!history.runs.empty()) {
    std::string separator = ": ";
    for (const std::string& target : history.runs.back().targets)
      out += std::exchange(separator, " ") + target;
  }
  return out.empty() ? history.session : out;
}

std::string summary_html(const history::History& history) {
  std::string out = fmt::format("<article class=\"static\"><h2>{}</h2><p>Session {} {}.</p>",
                                html_text(summary_title(history)), html_text(history.session),
                                html_text(words(history.outcome())));
  if (history.runs.empty()) return out + "</article>";
  const history::Run& run = history.runs.back();
  const history::Summary summary = history::summarise(history, run);
  std::string counts = fmt::format("{} elements in {}", summary.elements, time_code(run.duration));
  for (std::size_t i = 0; i < summary.counts.size(); ++i) {
    if (summary.counts[i] != 0)
      counts += fmt::format(", {} {}", summary.counts[i], history::kFateNames[i]);
  }
  out += fmt::format("<p>{}.</p>", html_text(counts));
  if (!summary.failures.empty())
    out += fmt::format("<h3>Failures ({})</h3><div class=\"cards\">", summary.failures.size());
  for (std::size_t i = 0; i < std::min(kMostFailures, summary.failures.size()); ++i)
    out += failure_html(history, run, summary.failures[i]);
  if (!summary.failures.empty()) out += "</div>";
  return out +
         "<p class=\"muted\">Timeline, elements and the rest are drawn by "
         "JavaScript.</p></article>";
}

}  // namespace sluice::renderer
