// sluice-report: a session's records as a page in one file.
#include <chrono>
#include <cstdio>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "base/try.h"
#include "history/history.h"
#include "renderer/page/measured.h"
#include "renderer/page/page.h"
#include "renderer/page/reasons.h"
#include "renderer/page/session_digest.h"
#include "renderer/report/options.h"
#include "renderer/report/summary.h"
#include "wire/record_json.h"
#include "wire/session.h"

namespace sluice::renderer {

namespace {

Status make_report(const ReportOptions& options) {
  const wire::SessionPaths paths = TRY(wire::SessionPaths::of(options.session));
  history::Gatherer gatherer({});
  const std::string events =
      TRY(session_digest(paths, [&](std::string_view packed) { (void)gatherer.add(packed); }));
  gatherer.settle(paths.over());
  const history::History history = gatherer.take();
  std::string earlier = "null";
  if (!options.compare.empty()) {
    const wire::SessionPaths other = TRY(wire::SessionPaths::of(options.compare));
    earlier = fmt::format("{{\"id\":{},\"events\":{}}}", wire::json_string(other.id),
                          TRY(session_digest(other)));
  }
  // The page says of the elements that it is unknown, where it is.
  const auto why = reasons_json(paths.id, "", std::chrono::minutes(2));
  if (!why) (void)write_all(2, clean(error_text(why.error())));
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  ReportPage page;
  page.title = fmt::format("{} - Sluice", summary_title(history));
  page.without_script = summary_html(history);
  page.data = fmt::format(
      R"({{"format":"sluice-page/1","program":"sluice {}","made":{},"ended":{},"events":{},"measured":{},"earlier":{},"why":{}}})",
      SLUICE_VERSION, std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
      paths.over(), events, measured_json(history), earlier, why ? *why : "{}");
  const std::string html = report_page(page);
  if (options.output.empty() || options.output == "-") return write_all(1, html);
  // Logs may say what is nobody else's business.
  return write_file_atomic(options.output, html, 0600);
}

int run(int argc, char** argv) {
  const auto options = parse_report_options({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "sluice-report: %s\n", options.error().message.c_str());
    return 2;
  }
  if (options->help) {
    std::fputs(report_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("sluice-report " SLUICE_VERSION);
    return 0;
  }
  const auto made = make_report(*options);
  if (!made) {
    (void)write_all(2, clean(error_text(made.error())));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace sluice::renderer

int main(int argc, char** argv) { return sluice::renderer::run(argc, argv); }
