#include "elements/plugin_element.h"

#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "elements/plugin_calls.h"
#include "model/names.h"
#include "plugins/host.h"
#include "plugins/listener.h"
#include "sandbox/scratch.h"

namespace sluice::elements {

namespace {

using plugins::text_of;
using plugins::write_entry;
using wire::Value;
using wire::Writer;

Result<model::StringMap> texts_of(Value map) {
  model::StringMap values;
  for (const auto [name, value] : map.entries()) {
    std::string_view key, text;
    if (!name.get_string(key) || !value.get_string(text))
      return fail("plugin", "host-protocol", "The sandbox's environment is no map of texts");
    // An artifact has the environment, in a message whose texts are UTF-8.
    if (key != valid_utf8(key) || text != valid_utf8(text))
      return fail(
          "plugin", "bad-environment",
          fmt::format("The sandbox's environment has what is not UTF-8 in {}", valid_utf8(key)));
    values.emplace_back(key, text);
  }
  return values;
}

// A build as who hears what its plugin says.
class Voice final : public plugins::Voice {
 public:
  explicit Voice(Build& build) : build_(build) {}
  void log(const std::string& text) override {
    if (JobLog* log = build_.reporter().log()) log->write(text);
  }
  void status(const std::string& text, const std::string& detail) override {
    build_.reporter().message(Level::kStatus, text, detail);
  }
  void info(const std::string& text, const std::string& detail) override {
    build_.reporter().message(Level::kInfo, text, detail);
  }
  Status warn(const std::string& name, const std::string& text,
              const std::string& detail) override {
    if (name.empty()) {
      build_.reporter().message(Level::kWarn, text, detail);
      return {};
    }
    auto warned = build_.reporter().warn(build_.data().element.fatal_warnings, name, text, detail);
    // An error with a place is the plugin's own, and not its host's.
    if (!warned) warned.error().provenance = build_.data().body.provenance;
    return warned;
  }
  void begin(const std::string& text, const std::string& detail, bool silent) override {
    steps_.emplace_back(build_.reporter(), text, detail, silent);
  }
  void end(bool success) override {
    if (success) steps_.back().success();
    steps_.pop_back();
  }
  void flush() override { build_.reporter().flush(); }

 private:
  Build& build_;
  std::deque<Reporter::Activity> steps_;
};

// The question of the job's element, with what its body and the job's dependencies say.
class Question {
 public:
  explicit Question(const Build& build) : build_(build), data_(build.data()) {}

  Result<std::string> pack() {
    const auto document = TRY(wire::Document::parse(data_.body.plugin.question));
    if (!document.root().is_map())
      return fail("job", "bad-job", "The job does not say what its plugin is asked");
    std::vector<std::pair<std::string_view, Value>> kept;
    for (const auto [key, value] : document.root().entries()) {
      std::string_view name;
      key.get_string(name);
      if (name == "dependencies") {
        for (const Value dependency : value.items()) entries_.push_back({dependency, {}});
      } else {
        kept.emplace_back(name, value);
      }
    }
    std::string out;
    Writer writer(out);
    writer.map(kept.size() + 7);
    for (const auto& [name, value] : kept) {
      writer.string(name);
      writer.raw(value.packed());
    }
    write_entry(writer, "variables", data_.body.variables);
    write_entry(writer, "environment", data_.body.environment);
    writer.string("public");
    plugins::write_node(writer, data_.body.public_data);
    write_entry(writer, "key", data_.job.keys.full);
    writer.string("workspaced");
    writer.boolean(data_.workspaced());
    writer.string("keeps_build_tree");
    writer.boolean(data_.settings.cache_buildtrees == "always" || data_.workspaced());
    writer.string("dependencies");
    add_artifacts();
    writer.array(entries_.size());
    for (const Entry& entry : entries_) write_dependency(writer, entry);
    return out;
  }

 private:
  // A dependency as the question has it, or as only its artifact says it.
  struct Entry {
    Value asked;
    std::optional<std::size_t> artifact;  // among the job's dependencies
  };

  void add_artifacts() {
    const auto& all = build_.dependencies();
    std::unordered_map<std::string_view, std::size_t> by_name;
    for (std::size_t i = 0; i < all.size(); ++i) by_name.emplace(all[i].full_name, i);
    std::vector<bool> asked(all.size());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const std::string name = text_of(entries_[i].asked, "name");
      const auto found = by_name.find(name);
      if (found == by_name.end()) continue;
      entries_[i].artifact = found->second;
      asked[found->second] = true;
      position_.emplace(all[found->second].index, i);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (asked[i]) continue;
      position_.emplace(all[i].index, entries_.size());
      entries_.push_back({{}, i});
    }
  }

  void write_dependency(Writer& writer, const Entry& entry) const {
    const bool asked = entry.asked.valid();
    writer.map((asked ? entry.asked.size() : 4) + (entry.artifact ? 3 : 0));
    if (asked) {
      for (const auto [key, value] : entry.asked.entries()) {
        writer.raw(key.packed());
        writer.raw(value.packed());
      }
    }
    if (!entry.artifact) return;
    const model::ArtifactRef& artifact = build_.dependencies()[*entry.artifact];
    if (!asked) {
      write_entry(writer, "name", artifact.full_name);
      write_entry(writer, "kind", artifact.kind);
      write_entry(writer, "project", artifact.project);
      write_entry(writer, "normal_name", model::normal_name(artifact.element));
    }
    writer.string("artifact");
    writer.unsigned_integer(*entry.artifact);
    write_entry(writer, "key", artifact.key);
    writer.string("needs");
    std::vector<std::size_t> needs;
    for (const model::ElementIndex index : artifact.runtime_dependencies) {
      if (const auto found = position_.find(index); found != position_.end())
        needs.push_back(found->second);
    }
    writer.array(needs.size());
    for (const std::size_t index : needs) writer.unsigned_integer(index);
  }

  const Build& build_;
  const JobData& data_;
  std::vector<Entry> entries_;
  std::unordered_map<model::ElementIndex, std::size_t> position_;  // the first entry of each
};

}  // namespace

// A host that has the element, from its configure_sandbox() to its assemble().
class PluginElement {
 public:
  static Result<std::shared_ptr<PluginElement>> start(Build& build) {
    auto made = std::make_shared<PluginElement>(
        build, TRY(sandbox::Scratch(build.data().scratch).directory("plugin-element")));
    made->question_ = TRY(Question(build).pack());
    return made;
  }

  PluginElement(Build& build, std::string directory)
      : build_(build), directory_(std::move(directory)), calls_(build, directory_),
        host_(build.data().settings.plugins,
              {build.data().body.plugin.readable, {directory_}, false, false}) {}

  // Has an action done. What it failed with is the error; `collect` is what that says to collect.
  Status ask(std::string_view action, const std::function<Status(Value)>& result,
             std::string* collect = nullptr) {
    // What the plugin says itself is what the artifact of a failure says.
    const plugins::Subject subject{fmt::format("{}: ", place().str()), plugin().file, place(),
                                   false};
    Voice voice(build_);
    const Stop stop = build_.cancel().stop();
    plugins::Listener listener(subject, voice, result, [&](Value call) -> Status {
      build_.reporter().flush();
      return host_.reply(TRY(calls_.answer(call)), stop);
    });
    const Status asked = host_.ask(
        request(action), [&](Value answer) { return listener.take(answer); }, stop);
    if (!asked) {
      const Error& error = asked.error();
      if (error.domain != "plugin" || error.provenance.known()) return asked;
      return tl::unexpected<Error>(plugins::of_plugin(subject, error));
    }
    if (!listener.failed()) return {};
    if (collect != nullptr) *collect = listener.collect();
    return tl::unexpected<Error>(*listener.failed());
  }

  // Takes how the plugin has set the sandbox up.
  Status take_sandbox(Value answer) {
    const Value said = answer.find("sandbox");
    if (!said.valid() || !said.is_map())
      return fail("plugin", "host-protocol",
                  "The plugin's process doesn't say what the sandbox is");
    CommandRunner& commands = build_.commands();
    if (const Value environment = said.find("environment");
        environment.valid() && environment.is_map()) {
      commands.environment() = TRY(texts_of(environment));
      commands.set_configured();
    }
    if (const Value own = said.find("own"); own.valid() && own.is_map()) {
      build_.artifact().set_environment(TRY(texts_of(own)));
    } else {
      build_.artifact().set_environment(build_.data().body.environment);
    }
    if (std::string directory = valid_utf8(text_of(said, "work_directory")); !directory.empty())
      commands.set_work_directory(std::move(directory));
    if (const Value marked = said.find("marked"); marked.valid() && marked.is_array()) {
      std::string_view path;
      for (const Value each : marked.items()) {
        if (each.get_string(path)) commands.mark_directory(valid_utf8(path));
      }
    }
    return {};
  }

  PluginCalls& calls() { return calls_; }

 private:
  const model::Plugin& plugin() const { return build_.data().body.plugin; }
  const Provenance& place() const { return build_.data().body.provenance; }

  std::string request(std::string_view action) const {
    std::string out;
    Writer writer(out);
    writer.map(8);
    write_entry(writer, "do", "work");
    writer.string("id");
    writer.unsigned_integer(1);
    write_entry(writer, "action", action);
    writer.string("question");
    writer.raw(question_);
    writer.string("project");
    writer.raw(plugin().project);
    write_entry(writer, "directory", directory_);
    writer.string("previous");
    writer.nil();
    writer.string("retries");
    writer.unsigned_integer(0);
    return out;
  }

  Build& build_;
  const std::string directory_;
  PluginCalls calls_;
  plugins::Host host_;
  std::string question_;
};

Status stage_by_plugin(Build& build) {
  build.plugin() = TRY(PluginElement::start(build));
  PluginElement& plugin = *build.plugin();
  const auto take = [&](Value answer) { return plugin.take_sandbox(answer); };
  CHECK(plugin.ask("configure-sandbox", take));
  build.commands().show_environment();
  return plugin.ask("stage-element", take);
}

Result<std::string> assemble_by_plugin(Build& build) {
  PluginElement& plugin = *build.plugin();
  std::string collect, on_failure;
  Status done = plugin.ask(
      "assemble",
      [&](Value answer) -> Status {
        CHECK(plugin.take_sandbox(answer));
        std::string_view path;
        const Value said = answer.find("collect");
        if (said.valid() && !said.is_nil() && !said.get_string(path))
          return fail("plugin", "host-protocol", "The plugin doesn't say what to collect");
        collect = path;
        auto data = TRY(plugins::node_of(answer.find("public")));
        if (data.kind != model::Node::Kind::kNull)
          build.artifact().set_public_data(std::move(data));
        return {};
      },
      &on_failure);
  CHECK(plugin.calls().keep_subsandboxes());
  if (done) return collect;
  build.artifact().collect_on_failure(on_failure);
  return forward(done);
}

Result<std::optional<std::string>> script_by_plugin(Build& build) {
  const auto plugin = TRY(PluginElement::start(build));
  std::string script;
  Status done = plugin->ask("script", [&](Value answer) -> Status {
    script = text_of(answer, "script");
    return {};
  });
  if (done) return script;
  if (done.error().domain == "impl") return std::nullopt;
  return forward(done);
}

}  // namespace sluice::elements
