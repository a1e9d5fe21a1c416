#include "jobs/test_support.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "store/capture.h"
#include "store/check.h"
#include "store/directory.h"
#include "wire/snapshot.h"

namespace sluice::jobs::testing {

namespace {

template <typename T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().str());
  return std::move(*result);
}
void need(Status status) {
  if (!status) throw std::runtime_error(status.error().str());
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error(command);
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
    text.append(buffer.data(), n);
  ::pclose(pipe);
  return text;
}

}  // namespace

void write_text(const std::string& path, std::string_view text) {
  need(make_directories(path.substr(0, path.rfind('/'))));
  std::ofstream(path, std::ios::binary) << text;
}

std::string read_text(const std::string& path) {
  auto text = read_file(path);
  return text ? *text : std::string();
}

void make_root(const std::string& directory, const std::vector<std::string>& programs) {
  std::set<std::string> files;
  for (const std::string& program : programs) {
    std::string path = output_of("command -v " + program);
    while (!path.empty() && path.back() == '\n') path.pop_back();
    if (path.empty() || path[0] != '/') throw std::runtime_error("no program " + program);
    std::istringstream lines(output_of("ldd " + path + " 2>/dev/null"));
    for (std::string line; std::getline(lines, line);) {
      const auto slash = line.find('/');
      if (slash == std::string::npos) continue;
      files.insert(line.substr(slash, line.find(' ', slash) - slash));
    }
    const std::string target = directory + "/bin/" + program;
    need(make_directories(directory + "/bin"));
    need(write_file_atomic(target, need(read_file(path)), 0755));
    ::chmod(target.c_str(), 0755);
  }
  for (const std::string& file : files) {
    const std::string target = directory + file;
    need(make_directories(target.substr(0, target.rfind('/'))));
    need(write_file_atomic(target, need(read_file(file)), 0755));
    ::chmod(target.c_str(), 0755);
  }
}

std::string marked(const std::string& mark, const std::string& command) {
  return fmt::format("set +x; echo; echo {0} begin; {1}; echo {0} end", mark, command);
}

std::string between(const std::string& log, const std::string& mark) {
  const auto begin = log.find("\n" + mark + " begin\n");
  const auto end = log.find("\n" + mark + " end\n");
  if (begin == std::string::npos || end == std::string::npos) return "(no " + mark + ")";
  return log.substr(begin + mark.size() + 8, end - begin - mark.size() - 7);
}

World::World() {
  settings.cachedir = directory / "cache";
  settings.sourcedir = directory / "cache/sources";
  settings.builddir = directory / "cache/build";
  settings.logdir = directory / "cache/logs";
  cas = std::make_unique<store::Cas>(need(store::Cas::open(settings.cachedir)));
}

model::StringMap World::default_environment() {
  return {{"PATH", "/usr/bin:/bin"}, {"HOME", "/tmp"}, {"TERM", "dumb"}};
}

model::ArtifactRef World::add_artifact(const std::string& element, const std::string& path,
                                       model::Node public_data, model::StringMap environment) {
  model::ArtifactRef ref;
  ref.project = "test";
  ref.element = ref.full_name = element;
  ref.key = sha256_hex(element);
  ref.weak_key = sha256_hex("weak " + element);
  ref.files = need(store::capture(*cas, path));
  ref.build = true;
  ref.index = static_cast<model::ElementIndex>(next_job++);
  store::ArtifactInfo info;
  info.build_success = true;
  info.strong_key = info.strict_key = ref.key;
  info.weak_key = ref.weak_key;
  info.files = ref.files;
  store::ArtifactMeta meta;
  meta.public_data = std::move(public_data);
  meta.environment = std::move(environment);
  meta.sandbox_config = store::sandbox_config_node({"linux", "x86-64", 0, 0});
  need(store::write_meta(*cas, meta, info));
  ref.public_data = info.public_data;
  ref.low_diversity_meta = info.low_diversity_meta;
  store::Artifacts artifacts(*cas);
  need(artifacts.commit(ref.project, element, info));
  return ref;
}

void World::give_to(unsigned uid) {
  if (uid == 0) return;
  base();
  const std::string user = std::to_string(uid);
  SpawnOptions options;
  options.argv = {"chown", "-R", user + ":" + user, directory.str()};
  if (wait_for(need(spawn(options))).code != 0) throw std::runtime_error("chown");
}

const model::ArtifactRef& World::base() {
  if (!base_) {
    const std::string root = directory / "root";
    make_root(root, {"sh",       "cat",    "ls",    "id",    "env",    "stat",  "mkdir",
                     "rm",       "cp",     "ln",    "touch", "mount",  "sleep", "find",
                     "readlink", "setsid", "chmod", "mv",    "mkfifo", "sort",  "unshare",
                     "nsenter",  "umount", "tail",  "head",  "uname"});
    need(write_file_atomic(root + "/bin/probe", need(read_file(find_program("jobs_probe"))), 0755));
    ::chmod((root + "/bin/probe").c_str(), 0755);
    base_ = std::make_unique<model::ArtifactRef>(add_artifact("base.bst", root));
  }
  return *base_;
}

JobStart World::job(const Element& element) {
  wire::JobElement packed;
  packed.name = packed.full_name = element.name;
  packed.kind = element.kind;
  packed.project = "test";
  packed.project_directory = directory / "project";
  packed.sources_key = element.sources.empty() ? "" : sha256_hex("sources " + element.name);
  packed.fatal_warnings = element.fatal_warnings;
  model::ElementBody body;
  body.variables = element.variables;
  body.variables.emplace_back("build-root", "/buildstream/test/" + element.name);
  body.variables.emplace_back("install-root", "/buildstream-install");
  body.environment = default_environment();
  body.config = element.config;
  body.public_data = element.public_data;
  body.sandbox = {"linux", "x86-64", 0, 0};
  body.sources = element.sources;
  body.dependency_configs = element.dependency_configs;
  body.builds_as = element.builds_as;
  body.key_inputs = element.key_inputs;
  packed.body.bytes = wire::pack_body(body);
  JobStart start;
  start.job.id = {next_job++, 1};
  start.job.action = element.action;
  start.job.element.bytes = wire::encode(packed);
  start.job.dependencies = element.dependencies;
  for (const wire::SourceList& sources : element.dependency_sources)
    start.job.dependency_sources.push_back({wire::encode(sources)});
  start.job.sources = element.sources_root;
  start.job.keys = {sha256_hex("weak " + element.name), sha256_hex(element.name),
                    sha256_hex(element.name)};
  start.job.log_file = fmt::format("test/{}/{}.log", element.name, start.job.id.job);
  start.job.settings.bytes = wire::pack_settings(settings);
  start.scratch = fmt::format("{}/{}-1", settings.builddir, start.job.id.job);
  return start;
}

JobStart World::manual(const std::vector<std::string>& commands) {
  Element element;
  element.dependencies = {base()};
  model::Node list = model::Node::make_list();
  for (const std::string& command : commands)
    list.list.push_back(model::Node::make_scalar(command));
  element.config.set("build-commands", std::move(list));
  return job(element);
}

bool Outcome::said(std::string_view level, std::string_view text) const {
  for (const JobEvent& event : messages) {
    if (event.level == level && event.text == text) return true;
  }
  return false;
}

RunningJob::RunningJob(const JobStart& start, unsigned uid) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    throw std::runtime_error("socketpair");
  channel_.reset(fds[0]);
  UniqueFd theirs(fds[1]);
  SpawnOptions options;
  options.argv = {find_program("sluice-job")};
  if (uid != 0) {
    // That user need not be able to enter the build directory.
    static const TestDirectory programs{0755};
    for (const char* name : {"sluice-job", "sluice-unpack"}) {
      const std::string copy = programs / name;
      if (path_exists(copy)) continue;
      need(write_file_atomic(copy, need(read_file(find_program(name))), 0755));
      ::chmod(copy.c_str(), 0755);
    }
    const std::string user = std::to_string(uid);
    options.argv = {
        "setpriv", "--reuid", user, "--regid", user, "--clear-groups", programs / "sluice-job"};
  }
  options.standard_input = theirs.get();
  options.new_session = true;
  options.die_with_parent = true;
  process_ = need(spawn(options));
  auto settings = need(wire::unpack_settings(start.job.settings.bytes));
  log_path_ = settings.logdir + "/" + start.job.log_file;
  need(write_all(channel_.get(), frame(wire::encode(start))));
}

RunningJob::~RunningJob() {
  if (!process_.pidfd) return;
  if (!poll_exit(process_)) {
    [[maybe_unused]] auto sent = send_signal(process_, SIGKILL);
    wait_for(process_);
  }
}

void RunningJob::note(const JobNote& note) {
  need(write_all(channel_.get(), frame(wire::encode(note))));
}

Outcome RunningJob::finish() {
  Outcome outcome;
  FrameReader frames;
  bool done = false;
  while (!done) {
    pollfd fd{channel_.get(), POLLIN, 0};
    if (::poll(&fd, 1, 60000) <= 0)
      throw std::runtime_error("the job doesn't end; log:\n" + read_text(log_path_));
    char buffer[65536];
    const ssize_t n = ::read(channel_.get(), buffer, sizeof buffer);
    if (n <= 0) {
      outcome.died = true;
      break;
    }
    frames.append({buffer, static_cast<std::size_t>(n)});
    while (auto body = need(frames.next())) {
      auto event = need(wire::decode<JobEvent>(*body));
      if (event.kind == "result") {
        outcome.result = *event.result;
        done = true;
      } else {
        outcome.messages.push_back(std::move(event));
      }
    }
  }
  wait_for(process_);
  process_ = Process{};
  outcome.log = read_text(log_path_);
  return outcome;
}

Outcome run(const JobStart& start, unsigned uid) { return RunningJob(start, uid).finish(); }

bool wait_until(const std::function<bool()>& condition, Duration limit) {
  const Duration end = system_clock().monotonic() + limit;
  while (!condition()) {
    if (system_clock().monotonic() > end) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

unsigned ordinary_uid() { return ::geteuid() == 0 ? 65534 : 0; }

std::vector<unsigned> users() {
  if (::geteuid() == 0) return {0, ordinary_uid()};
  return {0};
}

Outcome build(World& world, unsigned uid, const std::vector<std::string>& commands) {
  auto start = world.manual(commands);
  world.give_to(uid);
  return run(start, uid);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string store_damage(const World& world) {
  const auto report = store::verify_all(*world.cas);
  if (!report) return report.error().str();
  std::string damage;
  for (const auto* list : {&report->corrupt, &report->incomplete}) {
    for (const std::string& what : *list) damage += what + "\n";
  }
  return damage;
}

}  // namespace sluice::jobs::testing
