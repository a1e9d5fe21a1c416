#include "cli/report.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "wire/events.h"

namespace sluice::cli {

namespace {

std::string indented(std::string_view text) {
  std::string out = "    ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "    ";
  }
  return out;
}

std::string_view base_name(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

std::string_view load_error_prefix(const Error& error) {
  const std::string_view file = base_name(error.provenance.file);
  if (error.reason == "missing-project-conf") return "";
  if (file == "project.conf") return "Error loading project";
  if (file == "buildstream.conf" || file == "buildstream2.conf") return "Error loading user configuration";
  return "";
}

Result<Report> Report::create(std::string verb, const std::string& json_log) {
  Report report;
  report.verb_ = std::move(verb);
  report.json_log_ = json_log;
  if (!json_log.empty()) {
    report.file_.reset(::open(json_log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
    if (!report.file_) return fail_errno(errno, "cannot write the JSON log " + json_log);
  }
  return report;
}

void Report::record(std::string_view type, std::string_view level, std::string_view text, const Error* error) {
  if (!file_) return;
  nlohmann::ordered_json record{{"v", wire::kEventVersion}, {"type", type}, {"time", system_clock().wall_ns()}, {"src", "cli"}};
  if (!level.empty()) record["level"] = level;
  record["text"] = text;
  if (error != nullptr) {
    if (!error->detail.empty()) record["detail"] = error->detail;
    nlohmann::ordered_json section{{"scope", "main"}, {"domain", error->domain}, {"reason", error->reason}, {"message", error->message}};
    if (error->provenance.known()) {
      section["file"] = error->provenance.file;
      section["line"] = error->provenance.line;
      section["column"] = error->provenance.column;
    }
    record["error"] = std::move(section);
  }
  const std::string line = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (!write_all(file_.get(), line)) {
    std::fprintf(stderr, "cannot write the JSON log %s\n", json_log_.c_str());
    file_.reset();
  }
}

void Report::error(const Error& error, std::string_view prefix) {
  std::string message = error.provenance.known() ? error.provenance.str() + ": " + error.message : error.message;
  if (!prefix.empty()) message = fmt::format("{}: {}", prefix, message);
  std::string text = "\n" + message + "\n";
  if (!error.detail.empty()) text += "\n" + indented(error.detail) + "\n";
  std::fflush(stdout);
  (void)write_all(2, text);
  record("error", "error", message, &error);
}

void Report::warning(std::string_view text) {
  (void)write_all(2, fmt::format("WARN: {}\n", text));
  if (!shared_) record("message", "warn", text, nullptr);
}

void Report::started() {
  if (!shared_) record("message", "start", verb_, nullptr);
}

void Report::succeeded() {
  if (!shared_) record("message", "success", verb_, nullptr);
}

}  // namespace sluice::cli
