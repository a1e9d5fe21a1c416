#include "tests/support/long_session.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::testing {

namespace {

using nlohmann::json;

constexpr std::int64_t kMs = 1'000'000, kSecond = 1000 * kMs;
constexpr std::int64_t kStarted = 1'795'348'605 * kSecond;
constexpr std::size_t kBuilders = 8, kFetchers = 4;
constexpr std::array<const char*, 3> kSteps = {"Staging dependencies at: /", "Running commands",
                                               "Caching artifact"};
constexpr std::array<const char*, 6> kLines = {
    "checking for stdlib.h... yes",
    "[ 41%] Building CXX object lib/IR/CMakeFiles/LLVMCore.dir/Core.cpp.o",
    "make[3]: Entering directory '/buildstream/build'",
    "  CC      src/main.o",
    "日本語の出力 e\xcc\x81 — done",
    "ninja: [117/2048] cc -O2 -g -fPIC -c ../src/a-file-with-a-rather-long-name.c"};

struct Element {
  std::string name;
  std::vector<std::uint32_t> dependencies;
  enum { kCached, kPull, kBuild } how = kBuild;
  std::int64_t takes = 0, expected = 0;  // ns
  bool fails = false;
  enum { kWaits, kRuns, kDone, kFailed, kBlocked } state = kWaits;
};

struct Running {
  std::uint32_t element = 0;
  std::uint64_t job = 0;
  std::int64_t began = 0, ends = 0;
};

class Simulation {
 public:
  Simulation(unsigned count, unsigned seed) : random_(seed) {
    for (unsigned i = 0; i < count; ++i) elements_.push_back(element(i, count));
    find_critical();
  }

  std::vector<Moment> run() {
    record("session.started", {});
    start();
    while (schedule()) {
      // What comes next: the end of a job, or a status.
      std::int64_t next = last_status_ + 500 * kMs;
      for (const auto& one : running_) next = std::min(next, one.ends);
      now_ = std::max(now_, next);
      while (finish_one()) {
      }
      if (now_ >= last_status_ + 100 * kMs) status();
    }
    end();
    return std::move(moments_);
  }

 private:
  std::uint32_t pick(std::uint32_t least, std::uint32_t most) {
    return least + random_() % (most - least + 1);
  }

  Element element(unsigned i, unsigned count) {
    static constexpr std::array<const char*, 5> kFolders = {"base", "components", "desktop/gnome",
                                                            "sdk", "extensions/codecs-and-more"};
    Element out;
    const char* folder = kFolders[std::min<std::size_t>(i * kFolders.size() / count, 4)];
    out.name = i % 37 == 5   ? fmt::format("{}/日本語-{}.bst", folder, i)
               : i % 41 == 7 ? fmt::format("{}/e\xcc\x81le\xcc\x81ment-{}.bst", folder, i)
               : i % 43 == 11
                   ? fmt::format("{}/a-name-that-is-much-longer-than-any-other-{}.bst", folder, i)
                   : fmt::format("{}/element-{}.bst", folder, i);
    for (unsigned k = pick(0, 3); k > 0 && i > 0; --k) {
      const std::uint32_t other = pick(i > 60 ? i - 60 : 0, i - 1);
      if (std::find(out.dependencies.begin(), out.dependencies.end(), other) ==
          out.dependencies.end())
        out.dependencies.push_back(other);
    }
    out.how = i < count / 10       ? Element::kCached
              : i < count * 4 / 10 ? Element::kPull
                                   : Element::kBuild;
    const bool pull = out.how == Element::kPull;
    out.takes = pull ? pick(200, 3000) * kMs : pick(400, 20'000) * kMs;
    if (!pull && pick(0, 19) == 0) out.takes *= 8;
    out.expected = out.takes * pick(80, 120) / 100;
    out.fails = i == count * 5 / 8 || i == count * 3 / 4;
    if (out.how == Element::kCached) out.state = Element::kDone;
    return out;
  }

  // The longest chain of what is expected.
  void find_critical() {
    std::vector<std::int64_t> chain(elements_.size());
    std::vector<std::uint32_t> before(elements_.size());
    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < elements_.size(); ++i) {
      chain[i] = elements_[i].state == Element::kDone ? 0 : elements_[i].expected;
      before[i] = i;
      std::int64_t longest = 0;
      for (const auto other : elements_[i].dependencies) {
        if (chain[other] <= longest) continue;
        longest = chain[other];
        before[i] = other;
      }
      chain[i] += longest;
      if (chain[i] > chain[last]) last = i;
    }
    critical_.assign(elements_.size(), false);
    critical_time_ = chain[last];
    for (std::uint32_t at = last;; at = before[at]) {
      critical_[at] = true;
      if (before[at] == at) break;
    }
  }

  json session() const {
    return {{"id", "20261130-120000-0000"}, {"project", "distro"}, {"verb", "build"},
            {"started", kStarted},          {"elapsed", now_},     {"state", "active"}};
  }
  json run_section(std::uint32_t position = 0) const {
    json out{{"number", 1},
             {"verb", "build"},
             {"elapsed", now_},
             {"elements", elements_.size()},
             {"total", elements_.size()}};
    if (position > 0) out["position"] = position;
    return out;
  }
  json section(std::uint32_t i) const {
    return {{"project", "distro"},
            {"name", elements_[i].name},
            {"kind", "manual"},
            {"key", fmt::format("{:064x}", i * 7919)},
            {"brief", fmt::format("{:08x}", i * 7919)},
            {"strict", true},
            {"state", elements_[i].state == Element::kDone ? "cached" : "waiting"}};
  }
  json job(const Running& one) const {
    const Element& element = elements_[one.element];
    return {{"id", one.job},
            {"action", element.how == Element::kPull ? "pull" : "build"},
            {"attempt", 1},
            {"runner", "runner-1"},
            {"host", "here"},
            {"slot", one.job % kBuilders},
            {"started", kStarted + one.began},
            {"elapsed", now_ - one.began},
            {"log_file", fmt::format("/logs/distro/element-{}/{:08x}-build.20261130-120000.log",
                                     one.element, one.element * 7919)}};
  }

  void record(const std::string& type, json sections) {
    sections["v"] = 1;
    sections["type"] = type;
    sections["time"] = kStarted + now_;
    sections["session"] = session();
    add(false, sections);
  }
  void add(bool live, const json& event) {
    const auto bytes = json::to_msgpack(event);
    moments_.push_back({Duration(now_), live, {bytes.begin(), bytes.end()}});
  }

  void start() {
    json elements = json::array(), dependencies = json::array();
    for (std::uint32_t i = 0; i < elements_.size(); ++i) {
      elements.push_back(section(i));
      dependencies.push_back(elements_[i].dependencies);
    }
    record("run.started", {{"run", run_section()},
                           {"heading",
                            {{"directory", "/distro"},
                             {"targets", {"all.bst"}},
                             {"logdir", "/logs"},
                             {"builders", kBuilders},
                             {"fetchers", kFetchers}}},
                           {"elements", elements},
                           {"plan", {{"dependencies", dependencies}}}});
  }

  std::size_t running(bool pulls) const {
    return static_cast<std::size_t>(
        std::count_if(running_.begin(), running_.end(), [&](const Running& one) {
          return (elements_[one.element].how == Element::kPull) == pulls;
        }));
  }

  // Starts what can start. False when nothing runs, and nothing can.
  bool schedule() {
    for (std::uint32_t i = 0; i < elements_.size(); ++i) {
      Element& element = elements_[i];
      if (element.state != Element::kWaits) continue;
      bool ready = true;
      for (const auto other : element.dependencies) {
        const auto state = elements_[other].state;
        ready = ready && state == Element::kDone;
        if (state == Element::kFailed || state == Element::kBlocked)
          element.state = Element::kBlocked;
      }
      if (element.state == Element::kBlocked) continue;
      const bool pull = element.how == Element::kPull;
      if (!(pull || ready) || running(pull) >= (pull ? kFetchers : kBuilders)) continue;
      element.state = Element::kRuns;
      running_.push_back({i, ++jobs_, now_, now_ + element.takes});
      record("job.started",
             {{"run", run_section(i + 1)}, {"element", section(i)}, {"job", job(running_.back())}});
    }
    return !running_.empty();
  }

  bool finish_one() {
    const auto found = std::find_if(running_.begin(), running_.end(),
                                    [&](const Running& one) { return one.ends <= now_; });
    if (found == running_.end()) return false;
    const Running one = *found;
    running_.erase(found);
    Element& element = elements_[one.element];
    element.state = element.fails ? Element::kFailed : Element::kDone;
    json event{{"run", run_section(one.element + 1)},
               {"element", section(one.element)},
               {"job", job(one)},
               {"outcome", element.fails ? "failure" : "success"}};
    if (element.fails) {
      event["level"] = "failure";
      event["text"] = "Command failed";
      event["log_tail"] = tail();
    } else {
      event["origin"] = element.how == Element::kPull ? "pulled" : "built";
    }
    if (one.element % 53 == 17) {
      json warning = event;
      warning["level"] = "warn";
      warning["text"] = "Overlapping files";
      warning["detail"] = "/usr/share/doc: two elements have it\n/usr/bin/x: likewise\n";
      warning.erase("outcome");
      warning.erase("origin");
      record("job.message", warning);
    }
    record("job.finished", event);
    return true;
  }

  static std::string tail() {
    return "cc -c main.c\nmain.c:3:10: fatal error: no-such-file.h: No such file or directory\n"
           "::set-env name=EVIL::1\nmake: *** [Makefile:2: all] Error 1\n";
  }

  json progress() const {
    std::map<int, unsigned> states;
    unsigned pulled = 0, built = 0, cached = 0;
    for (const auto& one : elements_) {
      ++states[one.state];
      if (one.state != Element::kDone) continue;
      (one.how == Element::kPull ? pulled : one.how == Element::kBuild ? built : cached)++;
    }
    return {{"elements", elements_.size()},
            {"done", states[Element::kDone]},
            {"cached", cached},
            {"pulled", pulled},
            {"built", built},
            {"failed", states[Element::kFailed]},
            {"blocked", states[Element::kBlocked]}};
  }

  void status() {
    last_status_ = now_;
    json jobs = json::array();
    std::int64_t left = 0;
    for (const auto& one : elements_) {
      if (one.state == Element::kWaits || one.state == Element::kRuns) left += one.expected;
    }
    for (const auto& one : running_) {
      const Element& element = elements_[one.element];
      const std::int64_t elapsed = now_ - one.began;
      const auto step = static_cast<std::size_t>(
          std::min<std::int64_t>(2, elapsed * 3 / std::max<std::int64_t>(element.takes, 1)));
      json job{{"element", element.name},
               {"key", fmt::format("{:08x}", one.element * 7919)},
               {"action", element.how == Element::kPull ? "pull" : "build"},
               {"job", one.job},
               {"elapsed", elapsed},
               {"runner", "runner-1"}};
      if (element.how == Element::kBuild) {
        job["expected"] = element.expected;
        job["step"] = kSteps[step];
        if (step == 1)
          job["line"] = kLines[static_cast<std::size_t>(elapsed / kSecond) % kLines.size()];
      }
      if (critical_[one.element]) job["critical"] = true;
      jobs.push_back(job);
    }
    const std::size_t builds = running(false), pulls = running(true);
    unsigned waiting = 0;
    for (const auto& one : elements_) waiting += one.state == Element::kWaits ? 1 : 0;
    const auto queue = [&](const char* name, std::size_t active, unsigned waits) {
      return json{{"name", name},   {"waiting", waits}, {"active", active},
                  {"processed", 0}, {"skipped", 0},     {"failed", 0}};
    };
    left /= static_cast<std::int64_t>(kBuilders);
    json event{{"v", 1},
               {"type", "status"},
               {"time", kStarted + now_},
               {"session", session()},
               {"run", run_section()},
               {"queues", {queue("Pull", pulls, 0), queue("Build", builds, waiting)}},
               {"progress", progress()},
               {"estimate",
                {{"remaining", left},
                 {"low", left * 8 / 10},
                 {"high", left * 14 / 10},
                 {"critical", critical_time_}}},
               {"limits", {{"builders", kBuilders}, {"fetchers", kFetchers}}},
               {"active", {{"jobs", jobs}, {"total", jobs.size()}}},
               {"cache", {{"used", 56ull << 30}, {"quota", 64ull << 30}}}};
    if (builds < kBuilders && waiting > 0) {
      event["idle"] = {{"builders", kBuilders - builds},
                       {"why", "what is left waits for what is being built"}};
    }
    add(true, event);
  }

  void end() {
    json failures = json::array();
    for (std::uint32_t i = 0; i < elements_.size(); ++i) {
      if (elements_[i].state != Element::kFailed) continue;
      Running one{i, i, now_ - elements_[i].takes, now_};
      failures.push_back({{"element", section(i)},
                          {"job", job(one)},
                          {"level", "failure"},
                          {"text", "Command failed"},
                          {"detail", "make all"},
                          {"log_tail", tail()}});
    }
    const auto queue = json{{"name", "Build"}, {"waiting", 0}, {"active", 0},
                            {"processed", 1},  {"skipped", 0}, {"failed", failures.size()}};
    record("run.finished", {{"run", run_section()},
                            {"outcome", "failure"},
                            {"queues", {queue}},
                            {"progress", progress()},
                            {"failures", failures}});
    record("session.ended", {});
  }

  std::mt19937 random_;
  std::vector<Element> elements_;
  std::vector<bool> critical_;
  std::int64_t critical_time_ = 0, now_ = 0, last_status_ = 0;
  std::uint64_t jobs_ = 0;
  std::vector<Running> running_;
  std::vector<Moment> moments_;
};

}  // namespace

std::vector<Moment> long_session(unsigned elements, unsigned seed) {
  return Simulation(elements, seed).run();
}

}  // namespace sluice::testing
