#include "renderer/metrics/figures.h"

#include <fmt/format.h>

namespace sluice::metrics {

namespace {

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

double seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

// The text, a family at a time. A family without a value isn't there.
class Text {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    head_ = fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <typename T>
  void value(const Labels& labels, T value, std::string_view suffix = {}) {
    text_ += head_;
    head_.clear();
    text_ += name_;
    text_ += suffix;
    if (!labels.empty()) {
      char before = '{';
      for (const auto& [label, content] : labels) {
        text_ += fmt::format("{}{}=\"{}\"", before, label, escaped(content));
        before = ',';
      }
      text_ += '}';
    }
    text_ += fmt::format(" {}\n", value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name_, head_, text_;
};

}  // namespace

void Figures::Histogram::add(double value) {
  for (std::size_t i = 0; i < kBuckets.size(); ++i) buckets[i] += value <= kBuckets[i] ? 1 : 0;
  ++count;
  sum += value;
}

void Figures::sections(Session& session, const wire::Event& event) {
  // What a job says bears the context that it was given with.
  if (event.type == "job.message") return;
  if (event.session) session.section = *event.session;
  if (event.queues) session.queues = *event.queues;
  if (event.cache) session.cache = event.cache;
  if (event.limits) session.limits = event.limits;
  if (event.progress) session.progress = event.progress;
  if (event.element) element(session, *event.element);
}

void Figures::element(Session& session, const wire::ElementSection& element) {
  if (element.name.empty() || element.state.empty()) return;
  std::string& state = session.elements[element.name];
  if (state == element.state) return;
  if (!state.empty()) --session.states[state];
  state = element.state;
  ++session.states[state];
}

void Figures::job(Session& session, const wire::Event& event) {
  const std::pair name{event.job->id, event.job->attempt};
  const std::string& action = event.job->action;
  if (event.type == "job.started") {
    if (session.finished.contains(name)) return;
    // No record says that an attempt before it, which was lost with its runner, has ended.
    session.running.erase(session.running.lower_bound({name.first, 0}),
                          session.running.lower_bound(name));
    session.running[name] = action;
    return;
  }
  session.running.erase(name);
  // A scheduler that was killed says what it isn't sure of again.
  if (!session.finished.insert(name).second) return;
  ++jobs_[{action, event.outcome}];
  durations_[action].add(seconds(event.job->elapsed));
  if (!event.origin.empty()) ++origins_[event.origin];
  if (!event.usage) return;
  cpu_[action] += seconds(event.usage->cpu);
  bytes_[action] += event.usage->bytes;
  travelled_["fetched"] += event.usage->fetched;
  travelled_["uploaded"] += event.usage->uploaded;
}

void Figures::record(const std::string& id, const wire::Event& event) {
  const auto [found, added] = sessions_.try_emplace(id);
  if (added) ++sessions_seen_;
  Session& session = found->second;
  sections(session, event);
  if (event.level == "warn" || event.level == "error" || event.level == "bug")
    ++messages_[event.level];
  const std::string_view type = event.type;
  if (type == "run.started") {
    session.elements.clear();
    session.states.clear();
    if (event.elements) {
      for (const auto& one : *event.elements) element(session, one);
    }
  } else if (type == "run.finished") {
    if (event.run) ++runs_[{event.run->verb, event.outcome}];
    session.estimate.reset();
    session.idle.reset();
  } else if ((type == "job.started" || type == "job.finished") && event.job) {
    job(session, event);
  } else if (type == "prompt.opened" && event.prompt) {
    if (session.prompts.insert(event.prompt->id).second) ++prompts_;
  } else if (type == "prompt.closed" && event.prompt) {
    session.prompts.erase(event.prompt->id);
  } else if (type.starts_with("runner.") && event.runner) {
    ++runner_events_[std::string(type.substr(7))];
    if (type == "runner.joined") {
      session.runners[event.runner->name] = event.runner->slots;
    } else {
      session.runners.erase(event.runner->name);
    }
  }
}

void Figures::status(const std::string& id, const wire::Event& event) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  sections(session, event);
  session.estimate = event.estimate;
  session.idle = event.idle;
}

std::string Figures::text() const {
  Text out;
  out.family("sluice_build_info", "gauge", "The version that says this.");
  out.value({{"version", SLUICE_VERSION}}, 1);
  out.family("sluice_sessions_total", "counter", "Sessions that were seen.");
  out.value({}, sessions_seen_);

  const auto counts = [&](const char* name, const char* help, const char* label,
                          const auto& values) {
    out.family(name, "counter", help);
    for (const auto& [key, count] : values) out.value({{label, key}}, count);
  };
  const auto pairs = [&](const char* name, const char* help, const char* first,
                         const auto& values) {
    out.family(name, "counter", help);
    for (const auto& [key, count] : values)
      out.value({{first, key.first}, {"outcome", key.second}}, count);
  };
  pairs("sluice_jobs_total", "Jobs that have ended, each attempt.", "action", jobs_);
  out.family("sluice_job_duration_seconds", "histogram", "How long jobs took.");
  for (const auto& [action, histogram] : durations_) {
    for (std::size_t i = 0; i < kBuckets.size(); ++i)
      out.value({{"action", action}, {"le", fmt::format("{}", kBuckets[i])}}, histogram.buckets[i],
                "_bucket");
    out.value({{"action", action}, {"le", "+Inf"}}, histogram.count, "_bucket");
    out.value({{"action", action}}, histogram.sum, "_sum");
    out.value({{"action", action}}, histogram.count, "_count");
  }
  counts("sluice_elements_total",
         "Elements whose job was a success, by where what they need came from.", "origin",
         origins_);
  counts("sluice_job_cpu_seconds_total", "Time of processors that jobs have used.", "action", cpu_);
  counts("sluice_job_bytes_total", "Bytes that jobs have made or brought.", "action", bytes_);
  counts("sluice_travelled_bytes_total", "Bytes that went between machines for jobs.", "direction",
         travelled_);
  pairs("sluice_runs_total", "Runs that have ended.", "verb", runs_);
  counts("sluice_messages_total", "Messages by level: warn, error, bug.", "level", messages_);
  counts("sluice_runner_events_total", "Runners from elsewhere: joined, left, quarantined.",
         "event", runner_events_);
  out.family("sluice_prompts_total", "counter", "Questions that were asked of people.");
  out.value({}, prompts_);

  // A gauge of each session; `say` gives its values to `value`.
  const auto gauge = [&](const char* name, const char* help, const auto& say) {
    out.family(name, "gauge", help);
    for (const auto& [id, session] : sessions_) {
      say(session, [&, &id = id](Text::Labels labels, auto value) {
        labels.insert(labels.begin(), {"session", id});
        out.value(labels, value);
      });
    }
  };
  gauge("sluice_session_info", "What a session is.", [](const Session& s, const auto& value) {
    value({{"project", s.section.project}, {"verb", s.section.verb}, {"state", s.section.state}},
          1);
  });
  gauge("sluice_session_start_time_seconds", "When it began, since 1970.",
        [](const Session& s, const auto& value) { value({}, seconds(s.section.started)); });
  gauge("sluice_session_elapsed_seconds", "How long it has gone on, suspensions left out.",
        [](const Session& s, const auto& value) { value({}, seconds(s.section.elapsed)); });
  gauge("sluice_elements", "Elements of the run, by state.",
        [](const Session& s, const auto& value) {
          for (const auto& [state, count] : s.states) value({{"state", state}}, count);
        });
  gauge("sluice_queue_jobs", "Jobs in queues.", [](const Session& s, const auto& value) {
    for (const auto& queue : s.queues) {
      value({{"queue", queue.name}, {"state", "waiting"}}, queue.waiting);
      value({{"queue", queue.name}, {"state", "active"}}, queue.active);
      value({{"queue", queue.name}, {"state", "processed"}}, queue.processed);
      value({{"queue", queue.name}, {"state", "skipped"}}, queue.skipped);
      value({{"queue", queue.name}, {"state", "failed"}}, queue.failed);
    }
  });
  gauge("sluice_active_jobs", "Jobs that run.", [](const Session& s, const auto& value) {
    std::map<std::string_view, std::uint64_t> by_action;
    for (const auto& [name, action] : s.running) ++by_action[action];
    for (const auto& [action, count] : by_action) value({{"action", action}}, count);
  });
  gauge("sluice_builders", "Builds at once, at most.", [](const Session& s, const auto& value) {
    if (s.limits) value({}, s.limits->builders);
  });
  gauge("sluice_fetchers", "Fetches at once, at most.", [](const Session& s, const auto& value) {
    if (s.limits) value({}, s.limits->fetchers);
  });
  gauge("sluice_idle_builders", "Builders that have nothing to do.",
        [](const Session& s, const auto& value) {
          if (s.idle) value({}, s.idle->builders);
        });
  gauge("sluice_run_elements", "Elements that the run works on, and what has become of them.",
        [](const Session& s, const auto& value) {
          if (!s.progress) return;
          value({{"state", "all"}}, s.progress->elements);
          value({{"state", "done"}}, s.progress->done);
          value({{"state", "failed"}}, s.progress->failed);
          value({{"state", "blocked"}}, s.progress->blocked);
        });
  gauge("sluice_run_remaining_seconds", "How long the run will still take.",
        [](const Session& s, const auto& value) {
          if (s.estimate) value({}, seconds(s.estimate->remaining));
        });
  gauge("sluice_cache_bytes", "How much the cache has.", [](const Session& s, const auto& value) {
    if (s.cache) value({}, s.cache->used);
  });
  gauge("sluice_cache_quota_bytes", "How much the cache may have; 0: no limit.",
        [](const Session& s, const auto& value) {
          if (s.cache) value({}, s.cache->quota);
        });
  gauge("sluice_runners", "Runners from elsewhere.",
        [](const Session& s, const auto& value) { value({}, s.runners.size()); });
  gauge("sluice_runner_slots", "Slots of runners from elsewhere.",
        [](const Session& s, const auto& value) {
          std::uint64_t slots = 0;
          for (const auto& [name, count] : s.runners) slots += count;
          value({}, slots);
        });
  gauge("sluice_open_prompts", "Questions that wait for an answer.",
        [](const Session& s, const auto& value) { value({}, s.prompts.size()); });
  return out.take();
}

}  // namespace sluice::metrics
