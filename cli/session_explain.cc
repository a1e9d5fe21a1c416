// `session explain`: why elements were built in a session of the past.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/credentials.h"
#include "base/text.h"
#include "cli/ask.h"
#include "cli/build_reasons.h"
#include "cli/commands.h"
#include "cli/sessions.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::ordered_json;

// Bytes of a value that has changed, and entries of a list.
constexpr std::size_t kMostValue = 2000, kMostEntries = 100;

Json value_of(const std::optional<std::string>& value) {
  if (!value) return nullptr;
  std::string text = without_credentials(*value);
  limit_text(text, kMostValue);
  return text;
}

std::string how(const DependencyChange& change) {
  if (change.how == "key") return "has another key";
  if (change.how == "order") return "dependencies stand in another order";
  return "was " + change.how;
}

Json json_of(const BuildReason& reason) {
  Json out = {{"what", reason.what}, {"text", sentence(reason)}};
  if (!reason.session.empty()) out["session"] = reason.session;
  if (!reason.before.empty()) out["before"] = reason.before;
  if (!reason.after.empty()) out["after"] = reason.after;
  if (!reason.comparison) return out;
  const Comparison& c = *reason.comparison;
  for (const Change& change : c.changes) {
    if (out["changes"].size() == kMostEntries) break;
    out["changes"].push_back({{"what", change.what},
                              {"where", change.where},
                              {"before", value_of(change.before)},
                              {"after", value_of(change.after)}});
  }
  for (const DependencyChange& change : c.dependencies) {
    if (out["dependencies"].size() == kMostEntries) break;
    out["dependencies"].push_back({{"name", change.name}, {"how", how(change)}});
  }
  if (!c.unknown.empty()) out["unknown"] = c.unknown;
  return out;
}

std::string text_of(const std::string& name, const BuildReason& reason) {
  std::string out = fmt::format("{}\n  {}\n", name, sentence(reason));
  if (!reason.comparison) return out;
  const auto value = [](const std::optional<std::string>& text) {
    return text ? without_credentials(*text) : "nothing";
  };
  for (const Change& change : reason.comparison->changes) {
    out += fmt::format("  {} {}\n{}{}", change.what, change.where,
                       indent("- " + value(change.before) + "\n", "    "),
                       indent("+ " + value(change.after) + "\n", "    "));
  }
  for (const DependencyChange& change : reason.comparison->dependencies)
    out += fmt::format("  {} {}\n", change.name, how(change));
  return out;
}

}  // namespace

int run_session_explain(Invocation& invocation, const SessionExplainCommand& command) {
  const auto session = find_session(command.id);
  if (!session) return failed(invocation, session.error());
  const auto history = history::read(session->paths);
  if (!history) return failed(invocation, history.error());
  const auto reasons = build_reasons(*history, command.element);
  if (!reasons) return failed(invocation, reasons.error());
  if (reasons->empty() && !command.element.empty()) {
    return failed(invocation,
                  {"session",
                   "not-built",
                   fmt::format("{} wasn't built in session {}", command.element, session->paths.id),
                   {},
                   {}});
  }
  std::string out;
  if (command.json) {
    Json elements = Json::object();
    for (const auto& [name, reason] : *reasons) elements[name] = json_of(reason);
    const Json json = {{"format", "sluice-build-reasons/1"},
                       {"session", session->paths.id},
                       {"elements", std::move(elements)}};
    out = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  } else {
    for (const auto& [name, reason] : *reasons) out += text_of(name, reason);
    out = clean(out);
  }
  if (auto written = print(out); !written) return failed(invocation, written.error());
  return kSuccess;
}

}  // namespace sluice::cli
