// Runners that have a store of their own, from the scheduler's side, without any store.
#include "scheduler/travel.h"

#include "scheduler/test_world.h"

namespace sluice::scheduler {
namespace {

void listens(CoreOptions& options) { options.listens = true; }

model::ElementBody body_with(std::vector<model::Source> sources) {
  model::ElementBody body;
  body.sources = std::move(sources);
  return body;
}

model::Source source_of(std::string kind, char digest = 'd') {
  model::Source source;
  source.kind = std::move(kind);
  source.local_digest = {std::string(64, digest), 1};
  return source;
}

// "a" and "all", which is built of it; each with a body.
model::Snapshot small_snapshot(const model::ElementBody& body = {}) {
  model::Snapshot snapshot = make_snapshot({{"a"}, {"all", {"a"}}}, {"all"});
  for (model::Element& element : snapshot.elements) element.body = wire::pack_body(body);
  return snapshot;
}

void hello_from_afar(World& world, const std::string& runner) {
  wire::RunnerHello message;
  message.hello.protocol = "jobs/1";
  message.hello.role = "runner";
  message.hello.instance = runner;
  message.hello.epoch = 1;
  message.host = "host-b";
  message.slots = 1;
  message.remote = true;
  world.say(runner, message);
}

wire::JobResult uploaded(const wire::Job& job, const std::string& message = "good") {
  wire::JobResult result;
  result.id = job.id;
  result.status = Outcome::kSuccess;
  result.artifact_message = {message, 1};
  result.log = {"the-log", 1};
  result.log_tail = "tail";
  // What it says of digests is nothing.
  result.artifact.emplace();
  result.artifact->files = {"a lie", 1};
  return result;
}

}  // namespace

TEST_CASE("What stays on the session's machine, and why (J80)") {
  const model::ElementBody plain = body_with({source_of("local"), source_of("patch")});
  CHECK(why_it_stays(Action::kBuild, plain, {}).empty());
  for (const Action action : {Action::kFetch, Action::kTrack, Action::kPull, Action::kPush})
    CHECK_FALSE(why_it_stays(action, plain, {}).empty());
  model::ElementBody plugin = plain;
  plugin.plugin.file = "/project/plugins/own.py";
  CHECK_THAT(why_it_stays(Action::kBuild, plugin, {}), Catch::Matchers::Contains("own.py"));
  // Its own sources were staged where the plugin is.
  model::Source of_plugin = source_of("own");
  of_plugin.plugin.file = "/project/plugins/source.py";
  CHECK(why_it_stays(Action::kBuild, body_with({of_plugin}), {}).empty());
  CHECK_THAT(why_it_stays(Action::kBuild, plain, {{{of_plugin}}}),
             Catch::Matchers::Contains("source.py"));
  CHECK_THAT(why_it_stays(Action::kBuild, plain, {{{source_of("patch")}}}),
             Catch::Matchers::Contains("patch sources"));
  CHECK(why_it_stays(Action::kBuild, plain, {{{source_of("tar"), source_of("local")}}}).empty());
}

TEST_CASE("No password or token leaves the session's machine (J80)") {
  const std::string secret = "https://user:secret@host/x.tar";
  std::vector<model::Source> with(6, source_of("tar"));
  with[0].url = secret;
  with[1].original_url = secret;
  with[2].urls = {"https://host/x.tar", secret};
  with[3].more_urls = {{"https://host/x.git", {secret}}};
  with[4].track_urls = {"https://host/x?private_token=abc"};
  with[5].config = model::Node::make_map();
  with[5].config.set("urls", model::Node::make_scalar(secret));
  for (const model::Source& source : with) {
    CHECK_THAT(why_it_stays(Action::kBuild, body_with({source}), {}),
               Catch::Matchers::Contains("credentials"));
    CHECK_THAT(why_it_stays(Action::kBuild, body_with({}), {{{source}}}),
               Catch::Matchers::Contains("credentials"));
  }
  model::Source plain = source_of("tar");
  plain.url = "https://host/x.tar";
  CHECK(why_it_stays(Action::kBuild, body_with({plain}), {{{plain}}}).empty());

  World world(listens);
  model::Snapshot snapshot = small_snapshot();
  model::Remote service;
  service.url = secret;
  snapshot.settings.storage_service = service;
  snapshot.settings.remote_execution.action_cache = service;
  hello_from_afar(world, "far");
  auto arguments = world.build(world.write(std::move(snapshot)));
  arguments.remotes = {{{}, {service}}};
  world.run(arguments);
  const auto jobs = world.out->take_jobs("far");
  REQUIRE_FALSE(jobs.empty());
  for (const wire::Job& job : jobs) CHECK(wire::encode(job).find("secret") == std::string::npos);
}

TEST_CASE(
    "Further inputs: trees of local sources, and what a workspace's build goes on from (J81)") {
  FakeStore store;
  wire::Job job;
  const auto inputs = [&](const model::ElementBody& body) {
    std::vector<std::string> found;
    const auto listed = further_inputs(store, "test", "e.bst", body, job);
    REQUIRE(listed);
    for (const auto& input : *listed)
      found.push_back(input.kind + " " + input.ref + " " + input.digest.hash.substr(0, 12));
    return found;
  };
  CHECK(inputs(body_with({source_of("local", '1'), source_of("tar"), source_of("local", '2')})) ==
        std::vector<std::string>{"tree  111111111111", "tree  222222222222"});
  model::ElementBody workspace = body_with({source_of("workspace", '3')});
  CHECK(inputs(workspace) == std::vector<std::string>{"tree  333333333333"});
  workspace.sources[0].config =
      model::Node::make_map({{"last_build", model::Node::make_scalar("last")}});
  CHECK(inputs(workspace) == std::vector<std::string>{"tree  333333333333"});
  store.artifacts["last"] = {};
  CHECK(inputs(workspace) ==
        std::vector<std::string>{"tree  333333333333",
                                 "artifact artifacts/refs/test/e/last message-last"});
  job.sources = {std::string(64, '4'), 1};
  CHECK(inputs(workspace).empty());
}

TEST_CASE("An artifact from afar is adopted, and only then is the element cached (J86)") {
  World world;
  hello_from_afar(world, "far");
  world.run(world.build(world.write(small_snapshot())));
  for (const std::string name : {"a", "all"}) {
    const auto jobs = world.out->take_jobs("far");
    REQUIRE(jobs.size() == 1);
    CHECK(name_of(jobs[0]) == name);
    CHECK(jobs[0].inputs.empty());
    world.started("far", jobs[0].id);
    world.say("far", wire::Results{{uploaded(jobs[0])}});
  }
  CHECK(world.outcome() == "success");
  REQUIRE(world.store.adopted.size() == 2);
  const Adoption& all = world.store.adopted[1];
  CHECK(all.project == "test");
  CHECK(all.element == "all");
  CHECK(all.keys.full == key_of("all"));
  REQUIRE(all.dependencies.size() == 1);
  CHECK(all.dependencies[0].key == key_of("a"));
  CHECK_FALSE(all.has_sources);
  CHECK(all.log_name.ends_with(".log"));
  // The log lies there before the job's end is said (J85).
  REQUIRE(world.store.logs.size() == 2);
  CHECK(world.store.logs[1] == "/nowhere/logs/test/all/" + all.log_name + ": the-log");
}

TEST_CASE("A result that can't be taken is lost, by name, and the job given again (J86, J87)") {
  World world;
  hello_from_afar(world, "far");
  world.run(world.build(world.write(small_snapshot())));
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const auto jobs = world.out->take_jobs("far");
    REQUIRE(jobs.size() == 1);
    CHECK(jobs[0].id.attempt == static_cast<std::uint32_t>(attempt));
    world.started("far", jobs[0].id);
    wire::JobResult result = uploaded(jobs[0], "of another element");
    if (attempt == 2) {
      result = {};
      result.id = jobs[0].id;
      result.status = Outcome::kError;
      result.error = wire::ErrorBody{
          .domain = "remote", .reason = "missing-input", .message = "It isn't there"};
    }
    world.say("far", wire::Results{{result}});
  }
  CHECK(world.outcome() == "failure");
  CHECK(world.store.artifacts.empty());
  bool said = false;
  for (const auto& event : world.out->of("job.message"))
    said = said || event.detail.find("It is another artifact") != std::string::npos;
  CHECK(said);
}

TEST_CASE("A failure from afar is one, with its log, whether it could be cached or not (J85)") {
  World world;
  hello_from_afar(world, "far");
  world.run(world.build(world.write(small_snapshot())));
  const auto jobs = world.out->take_jobs("far");
  REQUIRE(jobs.size() == 1);
  world.started("far", jobs[0].id);
  wire::JobResult result = uploaded(jobs[0], GENERATE("good", ""));
  if (result.artifact_message.hash.empty()) result.artifact_message = {};
  result.status = Outcome::kFailure;
  result.error =
      wire::ErrorBody{.domain = "sandbox", .reason = "command-failed", .message = "Command failed"};
  world.say("far", wire::Results{{result}});
  CHECK(world.outcome() == "failure");
  CHECK(world.store.logs.size() == 1);
  CHECK(world.store.artifacts.size() == (result.artifact_message.empty() ? 0u : 1u));
  REQUIRE(world.out->of("job.finished").size() == 1);
  CHECK(world.out->of("job.finished")[0].text == "Command failed");
}

TEST_CASE("What stays is done by a runner of the session's own (J80)") {
  World world;
  model::ElementBody plugin;
  plugin.plugin.file = "/project/own.py";
  hello_from_afar(world, "far");
  world.run(world.build(world.write(small_snapshot(plugin))));
  CHECK(world.out->take_jobs("far").empty());
  world.hello("near", 1);
  CHECK(world.out->take_jobs("far").empty());
  CHECK(world.work("near") == std::vector<std::string>{"build:a", "build:all"});
  CHECK(world.outcome() == "success");
}

}  // namespace sluice::scheduler
