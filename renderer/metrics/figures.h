// Figures: numbers of sessions, made of their records and status events, as Prometheus' text format
// (0.0.4) has them.
//
// Counters and histograms are over all sessions that were taken; gauges are of each session that
// goes on, with its id as a label, and are gone with it. No label has an element's name, or
// anything else that there may be any number of. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/events.h"

namespace sluice::metrics {

// Upper bounds of a histogram's buckets, in seconds.
inline constexpr std::array kBuckets = {0.1,   0.3,   1.0,    3.0,    10.0,   30.0,
                                        100.0, 300.0, 1000.0, 3000.0, 10000.0};

class Figures {
 public:
  // Takes the next record of a session, or a status event.
  void record(const std::string& session, const wire::Event& event);
  void status(const std::string& session, const wire::Event& event);
  // The session is over: nothing more is said of it but what is counted.
  void forget(const std::string& session) { sessions_.erase(session); }

  std::string text() const;

 private:
  struct Histogram {
    std::array<std::uint64_t, kBuckets.size()> buckets{};
    std::uint64_t count = 0;
    double sum = 0;
    void add(double value);
  };
  struct Session {
    wire::SessionSection section;
    std::map<std::string, std::string> elements;  // full name: state
    std::map<std::string, std::uint64_t> states;  // how many elements are in each
    std::vector<wire::QueueSection> queues;
    std::set<std::pair<std::uint64_t, std::uint32_t>> finished;              // job, attempt
    std::map<std::pair<std::uint64_t, std::uint32_t>, std::string> running;  // its action
    std::map<std::string, std::uint32_t> runners;  // from elsewhere: name, slots
    std::set<std::uint64_t> prompts;
    std::optional<wire::CacheSection> cache;
    std::optional<wire::LimitsSection> limits;
    std::optional<wire::ProgressSection> progress;
    std::optional<wire::EstimateSection> estimate;
    std::optional<wire::IdleSection> idle;
  };
  using Labels = std::pair<std::string, std::string>;

  void sections(Session& session, const wire::Event& event);
  void element(Session& session, const wire::ElementSection& element);
  void job(Session& session, const wire::Event& event);

  std::map<std::string, Session> sessions_;
  std::uint64_t sessions_seen_ = 0;
  std::map<Labels, std::uint64_t> jobs_;  // action, outcome
  std::map<std::string, Histogram> durations_;
  std::map<std::string, std::uint64_t> origins_;
  std::map<std::string, double> cpu_;  // action: seconds
  std::map<std::string, std::uint64_t> bytes_;
  std::map<std::string, std::uint64_t> travelled_;  // direction
  std::map<Labels, std::uint64_t> runs_;            // verb, outcome
  std::map<std::string, std::uint64_t> messages_;   // level
  std::map<std::string, std::uint64_t> runner_events_;
  std::uint64_t prompts_ = 0;
};

}  // namespace sluice::metrics
