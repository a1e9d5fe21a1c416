#include "cli/check_json.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/actions.h"

namespace sluice::cli {

using nlohmann::ordered_json;

namespace {

constexpr std::string_view kReason = "not-reproducible";  // as jobs/check.cc has it

ordered_json known(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

ordered_json checked(const history::Element& element, const history::Job& job) {
  const bool differs = job.failed() && job.error && job.error->reason == kReason;
  ordered_json differences = ordered_json::array();
  if (differs) {
    for (std::string_view line : split_lines(job.detail)) {
      if (line.ends_with('\n')) line.remove_suffix(1);
      differences.push_back(std::string(line));
    }
  }
  return {{"element", element.name},
          {"key", known(job.key)},
          {"reproducible", job.succeeded() ? ordered_json(true)
                           : differs       ? ordered_json(false)
                                           : ordered_json()},
          {"message", job.succeeded() ? ordered_json() : known(job.text)},
          {"differences", std::move(differences)},
          {"log", known(job.log_file)}};
}

}  // namespace

std::string check_json(const history::History& history, const history::Run& run) {
  const std::string_view check = model::traits(model::Action::kCheck).name;
  ordered_json elements = ordered_json::array();
  for (const history::Element& element : run.elements) {
    // The last attempt counts.
    for (auto at = element.jobs.rbegin(); at != element.jobs.rend(); ++at) {
      const history::Job& job = history.jobs[*at];
      if (job.action != check) continue;
      elements.push_back(checked(element, job));
      break;
    }
  }
  const ordered_json document{{"format", "sluice-check/1"},
                              {"session", history.session},
                              {"outcome", known(run.outcome)},
                              {"elements", std::move(elements)}};
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::cli
