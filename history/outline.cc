#include "history/outline.h"

#include "base/try.h"
#include "wire/codec.h"
#include "wire/record_file.h"

namespace sluice::history {

namespace {

std::string text_at(const wire::Value& map, std::string_view key) {
  std::string_view text;
  if (const auto field = map.find(key); field.valid()) field.get_string(text);
  return std::string(text);
}

std::int64_t number_at(const wire::Value& map, std::string_view key) {
  std::int64_t number = 0;
  if (const auto field = map.find(key); field.valid()) field.get(number);
  return number;
}

class Tracer {
 public:
  explicit Tracer(Outline& out) : out_(out) {}

  void take(std::string_view packed) {
    const auto document = wire::Document::parse(packed);
    if (!document || !document->root().is_map()) return;
    const wire::Value record = document->root();
    std::string_view type;
    if (const auto field = record.find("type"); field.valid()) field.get_string(type);
    out_.ended = std::max(out_.ended, number_at(record, "time"));
    if (const auto session = record.find("session"); session.valid() && session.is_map()) {
      out_.duration = std::max(out_.duration, number_at(session, "elapsed"));
      if (out_.verb.empty()) out_.verb = text_at(session, "verb");
    }
    const bool of_last_run = note_run(record);
    if (type == "run.started" && of_last_run) {
      run_started(record);
    } else if (type == "run.finished" && of_last_run) {
      outcome_ = text_at(record, "outcome");
    } else if (type == "session.ended") {
      ended_ = true;
    } else if (type == "error") {
      const auto error = record.find("error");
      failed_ = failed_ || (error.valid() && error.is_map() && text_at(error, "scope") != "task" &&
                            text_at(error, "domain") != "stream");
    }
  }

  void finish(bool over) {
    if (out_.runs > 0 && !outcome_.empty()) {
      out_.outcome = outcome_;
    } else if (over && !ended_) {
      out_.outcome = "died";
    } else if (out_.runs > 0) {
      out_.outcome = over ? "failure" : "";
    } else {
      out_.outcome = failed_ ? "failure" : over ? "success" : "";
    }
  }

 private:
  // Whether a record is of the last run, which it may be the first to tell of (as in a history).
  bool note_run(const wire::Value& record) {
    const auto run = record.find("run");
    if (!run.valid() || !run.is_map()) return false;
    const std::int64_t number = number_at(run, "number");
    if (number <= number_) return number != 0 && number == number_;
    number_ = number;
    ++out_.runs;
    outcome_.clear();
    out_.verb = text_at(run, "verb");
    out_.targets.clear();
    return true;
  }

  void run_started(const wire::Value& record) {
    out_.targets.clear();
    const auto heading = record.find("heading");
    if (!heading.valid() || !heading.is_map()) return;
    const auto targets = heading.find("targets");
    if (!targets.valid() || !targets.is_array()) return;
    for (const wire::Value target : targets.items()) {
      std::string_view name;
      if (target.get_string(name)) out_.targets.emplace_back(name);
    }
  }

  Outline& out_;
  std::int64_t number_ = 0;  // of the last run
  std::string outcome_;      // of that, when it has ended
  bool failed_ = false;
  bool ended_ = false;
};

}  // namespace

Result<Outline> outline(const wire::SessionPaths& paths, bool over) {
  Outline out;
  Tracer tracer(out);
  TRY(wire::read_records(paths, 1, [&](std::string_view packed) {
    tracer.take(packed);
    return true;
  }));
  tracer.finish(over);
  return out;
}

}  // namespace sluice::history
