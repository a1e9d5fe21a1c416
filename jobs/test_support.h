// For the tests of jobs/: a store with a small root made of this machine's shell, jobs on
// it, and the real sluice-job to do them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/process.h"
#include "jobs/names.h"
#include "model/model.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "tests/support/test_directory.h"
#include "wire/job_messages.h"
#include "wire/job_protocol.h"

namespace sluice::jobs::testing {

void write_text(const std::string& path, std::string_view text);
std::string read_text(const std::string& path);

// Copies programs with the shared libraries that ldd names.
void make_root(const std::string& directory, const std::vector<std::string>& programs);

struct World {
  World();
  TestDirectory directory{0755};
  model::Settings settings;
  std::unique_ptr<store::Cas> cas;

  // An artifact with the files below `path` in the store, as if it had been built.
  model::ArtifactRef add_artifact(const std::string& element, const std::string& path,
                                  model::Node public_data = model::Node::make_map(),
                                  model::StringMap environment = default_environment());
  // The root with sh, some tools, and jobs_probe as `probe`; made once.
  const model::ArtifactRef& base();
  static model::StringMap default_environment();

  // A job that builds an element of the kind with the configuration; variables build-root and
  // install-root are set as BuildStream's defaults.
  struct Element {
    std::string name = "element.bst";
    std::string kind = "manual";
    std::string builds_as;
    model::Node config = model::Node::make_map();
    model::StringMap variables;
    std::vector<model::ArtifactRef> dependencies;
    std::vector<wire::SourceList> dependency_sources;
    model::Node public_data = model::Node::make_map();
    std::vector<model::Source> sources;
    std::vector<model::DependencyConfig> dependency_configs;
    std::vector<std::string> fatal_warnings;
    std::string key_inputs;
    model::Digest sources_root;
    model::Action action = model::Action::kBuild;
  };
  JobStart job(const Element& element);
  // A manual element on base() with these build commands.
  JobStart manual(const std::vector<std::string>& commands);

  std::uint64_t next_job = 1;
  // Makes everything below the directory `uid`'s, for jobs that run as that user.
  void give_to(unsigned uid);

 private:
  std::unique_ptr<model::ArtifactRef> base_;
};

// What a job said and how it ended.
struct Outcome {
  std::vector<JobEvent> messages;
  wire::JobResult result;
  bool died = false;
  std::string log;  // contents of its log file
  bool said(std::string_view level, std::string_view text) const;
};

// A running job process.
class RunningJob {
 public:
  // `uid`, `gid` other than 0: run as that user (tests that run as root).
  explicit RunningJob(const JobStart& start, unsigned uid = 0);
  ~RunningJob();
  pid_t pid() const { return process_.pid; }
  const Process& process() const { return process_; }
  void note(const JobNote& note);
  // Waits for the result.
  Outcome finish();

 private:
  Process process_;
  UniqueFd channel_;
  std::string log_path_;
};

Outcome run(const JobStart& start, unsigned uid = 0);

// Looks every 5 ms until it is true; false after `limit`.
bool wait_until(const std::function<bool()>& condition, Duration limit = std::chrono::seconds(20));

// A command whose output between() finds in a log.
std::string marked(const std::string& mark, const std::string& command);
std::string between(const std::string& log, const std::string& mark);

// A user that tests may become; 0 when this process is not root, and stays as it is then.
unsigned ordinary_uid();
// Both users where there are two; the only one otherwise.
std::vector<unsigned> users();

// A build of those commands by that user.
Outcome build(World& world, unsigned uid, const std::vector<std::string>& commands);

bool has(const std::string& text, std::string_view part);

// What is corrupt or incomplete in the store, one a line; "" when it is whole.
std::string store_damage(const World& world);

}  // namespace sluice::jobs::testing
