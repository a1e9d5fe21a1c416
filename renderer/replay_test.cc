#include "renderer/replay.h"

#include "renderer/test_support.h"

namespace sluice::renderer {

namespace {

using nlohmann::json;

constexpr std::int64_t kS = 1'000'000'000;
constexpr std::int64_t kBegan = 1'700'000'000 * kS;

json session(double elapsed, const std::string& state = "active") {
  return {{"id", "20261122-120000-000-0000"},
          {"project", "p"},
          {"verb", "build"},
          {"started", kBegan},
          {"elapsed", static_cast<std::int64_t>(elapsed * kS)},
          {"state", state}};
}

json element(const std::string& name, const std::string& state) {
  return {
      {"project", "p"},      {"name", name},   {"kind", "manual"}, {"key", std::string(64, 'a')},
      {"brief", "aaaaaaaa"}, {"strict", true}, {"state", state}};
}

json queue(const std::string& name, int waiting, int active, int processed, int skipped,
           int failed) {
  return {{"name", name},           {"waiting", waiting}, {"active", active},
          {"processed", processed}, {"skipped", skipped}, {"failed", failed}};
}

// A record at a moment, in seconds from the session's start; `paused` of these it was suspended.
json record(double at, const std::string& type, json more = json::object(), double paused = 0) {
  json event{{"src", "scheduler"}, {"epoch", 1}, {"seq", 1}, {"cursor", 1}, {"v", 1}};
  event["type"] = type;
  event["time"] = kBegan + static_cast<std::int64_t>(at * kS);
  event["session"] = session(at - paused, type == "session.suspended" ? "suspended" : "active");
  if (!type.starts_with("session."))
    event["run"] = {{"number", 1},
                    {"verb", "build"},
                    {"elapsed", static_cast<std::int64_t>((at - paused) * kS)},
                    {"elements", 4},
                    {"total", 4}};
  event.update(more);
  return event;
}

json of_job(int id, const std::string& action, const std::string& name, int attempt = 1) {
  return {{"element", element(name, "buildable")},
          {"job",
           {{"id", id},
            {"action", action},
            {"attempt", attempt},
            {"runner", "runner"},
            {"host", "here"},
            {"slot", 0},
            {"started", 0},
            {"elapsed", 0},
            {"log_file", "/logs/" + name}}}};
}

json merged(json a, const json& b) {
  a.update(b);
  return a;
}

// A run of four elements: lib needs base, which is cached, bad and app need lib.
json started() {
  return {{"heading",
           {{"directory", "/p"}, {"targets", {"app.bst"}}, {"builders", 2}, {"fetchers", 5}}},
          {"elements",
           {element("base.bst", "cached"), element("lib.bst", "buildable"),
            element("bad.bst", "waiting"), element("app.bst", "waiting")}},
          {"plan", {{"dependencies", {json::array(), {0}, {1}, {1, 2}}}}},
          {"queues", {queue("Fetch", 0, 0, 0, 4, 0), queue("Build", 3, 0, 0, 1, 0)}}};
}

wire::Event decoded(const json& event) {
  auto out = wire::decode_event(packed(event));
  REQUIRE(out);
  return *out;
}

// Plays records, and notes when each came, in milliseconds from the beginning.
struct Player {
  Player(std::vector<json> events, Replay::Settings settings) : records(std::move(events)) {
    settings.status = true;
    replay.emplace(settings, clock,
                   Replay::Callbacks{[this]() -> Result<std::string_view> {
                                       if (next == records.size()) return std::string_view();
                                       current = packed(records[next++]);
                                       return std::string_view(current);
                                     },
                                     [this](std::string_view bytes) {
                                       const auto event = wire::decode_event(bytes);
                                       REQUIRE(event);
                                       came.emplace_back(event->type, milliseconds());
                                     },
                                     [this](std::string_view bytes) {
                                       const auto event = wire::decode_event(bytes);
                                       REQUIRE(event);
                                       statuses.push_back(*event);
                                       status_times.push_back(milliseconds());
                                     },
                                     [this] { return room; }});
  }

  std::int64_t milliseconds() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock.monotonic() -
                                                                 std::chrono::seconds(1))
        .count();
  }

  // To the end; the clock moves as far as the replay says.
  void play() {
    for (int turn = 0; turn < 100000; ++turn) {
      const auto wait = replay->advance();
      REQUIRE(wait);
      if (!*wait) return;
      REQUIRE(**wait > Duration::zero());
      clock.advance(**wait);
    }
    FAIL("has no end");
  }

  FakeClock clock;
  std::vector<json> records;
  std::size_t next = 0;
  std::string current;
  bool room = true;
  std::vector<std::pair<std::string, std::int64_t>> came;
  std::vector<wire::Event> statuses;
  std::vector<std::int64_t> status_times;
  std::optional<Replay> replay;
};

using Came = std::vector<std::pair<std::string, std::int64_t>>;

}  // namespace

TEST_CASE("replay: the status that the scheduler would have said") {
  StatusMaker maker;
  CHECK_FALSE(maker.status(kBegan));
  maker.take(decoded(record(0, "session.started")));
  maker.take(decoded(record(1, "run.started", started())));
  maker.take(
      decoded(record(1, "run.planned", {{"plan", {{"expected", {0, 9 * kS, 2 * kS, 5 * kS}}}}})));
  // The runner is heard before the scheduler.
  json step = merged(record(2, "job.message", of_job(7, "build", "lib.bst")),
                     {{"src", "runner"}, {"level", "start"}, {"text", "Staging sources"}});
  maker.take(decoded(step));
  maker.take(decoded(record(
      2, "job.started",
      merged(of_job(7, "build", "lib.bst"),
             {{"queues", {queue("Fetch", 0, 0, 0, 4, 0), queue("Build", 2, 1, 0, 1, 0)}}}))));
  auto status = maker.status(kBegan + 5 * kS);
  REQUIRE(status);
  CHECK(status->type == "status");
  CHECK(status->session->elapsed == 5 * kS);
  CHECK(status->run->elapsed == 5 * kS);
  REQUIRE(status->queues->size() == 2);
  CHECK(status->queues->at(1).active == 1);
  CHECK(status->limits->builders == 2);
  REQUIRE(status->active->jobs.size() == 1);
  const wire::ActiveJob& job = status->active->jobs[0];
  CHECK(job.element == "lib.bst");
  CHECK(job.elapsed == 3 * kS);
  CHECK(job.expected == 9 * kS);
  CHECK(job.critical);
  CHECK(job.step == "Staging sources");
  CHECK(job.log_file == "/logs/lib.bst");
  // Left are 6 s of lib.bst, then bad.bst and app.bst, one after the other.
  REQUIRE(status->estimate);
  CHECK(status->estimate->critical == 13 * kS);
  CHECK(status->estimate->remaining == 13 * kS);
  CHECK(status->estimate->low < 13 * kS);
  CHECK(status->estimate->high > 13 * kS);
  CHECK(status->progress->elements == 4);
  CHECK(status->progress->done == 1);
  CHECK(status->progress->cached == 1);

  // Steps go on, and time doesn't while the session is suspended.
  step["level"] = "success";
  maker.take(decoded(step));
  step["level"] = "start";
  step["text"] = "Running commands";
  maker.take(decoded(step));
  maker.take(decoded(record(6, "session.suspended")));
  status = maker.status(kBegan + 60 * kS);
  CHECK(status->session->elapsed == 6 * kS);
  CHECK(status->session->state == "suspended");
  CHECK(status->active->jobs[0].elapsed == 4 * kS);
  CHECK(status->active->jobs[0].step == "Running commands");
  maker.take(decoded(record(60, "session.resumed", json::object(), 54)));

  maker.take(decoded(
      record(62, "job.finished",
             merged(of_job(7, "build", "lib.bst"),
                    {{"outcome", "success"},
                     {"queues", {queue("Fetch", 0, 0, 0, 4, 0), queue("Build", 2, 0, 1, 1, 0)}}}),
             54)));
  status = maker.status(kBegan + 62 * kS);
  CHECK(status->active->total == 0);
  CHECK(status->progress->built == 1);
  CHECK(status->progress->done == 2);

  // A failure blocks what waits for it, and asks.
  maker.take(decoded(record(62, "job.started", of_job(8, "build", "bad.bst"), 54)));
  maker.take(decoded(
      record(63, "job.finished",
             merged(of_job(8, "build", "bad.bst"),
                    {{"outcome", "failure"},
                     {"queues", {queue("Fetch", 0, 0, 0, 4, 0), queue("Build", 1, 0, 1, 1, 1)}}}),
             54)));
  maker.take(
      decoded(record(63, "prompt.opened", {{"prompt", {{"id", 1}, {"element", "bad.bst"}}}}, 54)));
  status = maker.status(kBegan + 63 * kS);
  CHECK(status->progress->failed == 1);
  CHECK(status->progress->blocked == 1);
  // Nothing is left that can be reached.
  CHECK_FALSE(status->estimate);
  REQUIRE(status->prompts->size() == 1);
  CHECK(status->prompts->at(0).element == "bad.bst");
  maker.take(
      decoded(record(64, "prompt.closed", {{"prompt", {{"id", 1}, {"element", "bad.bst"}}}}, 54)));
  maker.take(decoded(record(65, "run.finished", {{"outcome", "failure"}}, 54)));
  status = maker.status(kBegan + 66 * kS);
  CHECK_FALSE(status->prompts);
  CHECK_FALSE(status->run);
  CHECK(status->session->elapsed == 12 * kS);
}

TEST_CASE("replay: an attempt that was lost runs no more, and the next one does") {
  StatusMaker maker;
  maker.take(decoded(record(0, "run.started", started())));
  maker.take(decoded(record(1, "job.started", of_job(1, "build", "lib.bst"))));
  maker.take(
      decoded(record(3, "job.message",
                     merged(of_job(1, "build", "lib.bst"),
                            {{"level", "warn"}, {"text", "Attempt 1 was lost, trying again"}}))));
  CHECK(maker.status(kBegan + 3 * kS)->active->total == 0);
  maker.take(decoded(record(4, "job.started", of_job(1, "build", "lib.bst", 2))));
  const auto status = maker.status(kBegan + 6 * kS);
  REQUIRE(status->active->jobs.size() == 1);
  CHECK(status->active->jobs[0].attempt == 2);
  CHECK(status->active->jobs[0].elapsed == 2 * kS);
}

TEST_CASE("replay: records come when they are due") {
  const std::vector<json> records = {
      record(0, "session.started"), record(1, "run.started", started()),
      // What comes of another process has an earlier time.
      merged(record(0.5, "job.message", of_job(1, "build", "lib.bst")), {{"src", "runner"}}),
      record(61, "run.finished", {{"outcome", "success"}}), record(62, "session.ended")};
  SECTION("as it was") {
    Player player(records, {});
    player.play();
    CHECK(player.came == Came{{"session.started", 0},
                              {"run.started", 1000},
                              {"job.message", 1000},
                              {"run.finished", 61000},
                              {"session.ended", 62000}});
    // At least each second, and at most ten in one.
    REQUIRE(player.statuses.size() >= 61);
    CHECK(player.statuses.size() < 80);
    for (std::size_t i = 1; i < player.status_times.size(); ++i)
      CHECK(player.status_times[i] - player.status_times[i - 1] >= 100);
    CHECK(player.statuses[30].session->elapsed > 25 * kS);
  }
  SECTION("ten times as fast") {
    Player player(records, {.speed = 10});
    player.play();
    CHECK(player.came.back() == std::pair<std::string, std::int64_t>("session.ended", 6200));
    CHECK(player.statuses.size() >= 55);
  }
  SECTION("without waiting") {
    Player player(records, {.speed = 0});
    player.play();
    CHECK(player.came.size() == 5);
    CHECK(player.milliseconds() == 0);
  }
  SECTION("no pause is longer than it may be, and times jump") {
    Player player(records, {.max_pause = std::chrono::seconds(2)});
    player.play();
    CHECK(player.came[3] == std::pair<std::string, std::int64_t>("run.finished", 3000));
    CHECK(player.came[4].second == 4000);
    CHECK(player.statuses.back().session->elapsed >= 61 * kS);
  }
  SECTION("from a moment on") {
    Player player(records, {.skip = 30 * kS});
    player.play();
    CHECK(player.came[2].second == 0);
    CHECK(player.came[3].second == 31000);
  }
  SECTION("held, and then faster, from where it is") {
    Player player(records, {});
    const auto pass = [&](int seconds) {
      for (int i = 0; i < 10 * seconds; ++i) {
        REQUIRE(player.replay->advance());
        player.clock.advance(std::chrono::milliseconds(100));
      }
    };
    pass(11);
    player.replay->hold(true);
    pass(100);
    CHECK(player.came.size() == 3);
    CHECK(player.statuses.back().session->state == "paused");
    CHECK(player.statuses.back().session->elapsed == 11 * kS);
    player.replay->set_speed(10);
    player.replay->hold(false);
    player.play();
    CHECK(player.came[3] == std::pair<std::string, std::int64_t>("run.finished", 116000));
    CHECK(player.statuses.back().session->state == "active");
  }
  SECTION("what the terminal doesn't take waits, and nothing is lost") {
    Player player(records, {});
    REQUIRE(player.replay->advance());
    player.room = false;
    player.clock.advance(std::chrono::seconds(30));
    REQUIRE(player.replay->advance());
    CHECK(player.came.size() == 1);
    player.room = true;
    player.play();
    REQUIRE(player.came.size() == 5);
    // It goes on from where it was.
    CHECK(player.came[3].second > 80000);
  }
}

TEST_CASE("replay: from an element's first job on") {
  Player player(
      {record(0, "session.started"), record(10, "run.started", started()),
       record(20, "job.started", of_job(1, "build", "lib.bst")),
       record(30, "job.started", of_job(2, "build", "bad.bst")), record(31, "session.ended")},
      {.skip_to = "bad.bst"});
  player.play();
  CHECK(player.came[2].second == 0);
  CHECK(player.came[3].second == 0);
  CHECK(player.came[4].second == 1000);
}

}  // namespace sluice::renderer
