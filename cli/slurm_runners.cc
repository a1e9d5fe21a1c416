#include "cli/slurm_runners.h"

#include <algorithm>
#include <csignal>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "base/tool.h"
#include "base/try.h"
#include "cli/ask.h"
#include "engine_scripts.h"
#include "wire/job_messages.h"

namespace sluice::cli {

namespace {

using std::chrono::seconds;

// Slurm is asked as often as something happens, and seldom when nothing does.
constexpr Duration kShortest = seconds(1);
constexpr Duration kLongest = seconds(15);
constexpr Duration kSilence = seconds(60);
constexpr Duration kAskTimeout = seconds(3);
// The word that ends a script's join file (compose/slurm/join.sh).
constexpr std::string_view kEnd = "END_OF_JOIN_FILE";
constexpr std::string_view kShebang = "#!/bin/sh\n";

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

std::string slurm_script(const RunnerOrder& order) {
  std::string script(kShebang);
  script += "set -- " + shell_word(order.program);
  for (const std::string& option : order.options) script += " " + shell_word(option);
  script += '\n';
  std::string_view text = kSlurmScript;
  if (text.starts_with(kShebang)) text.remove_prefix(kShebang.size());
  script += text;
  return script + fmt::format("{}\n{}\n", order.join, kEnd);
}

SlurmRunners::SlurmRunners(Invocation& invocation, const SessionInfo& session, RunnerOrder order,
                           std::vector<std::string> options, unsigned wanted)
    : invocation_(invocation), session_(session), order_(std::move(order)),
      options_(std::move(options)), job_name_("sluice-" + session.paths.id),
      script_(slurm_script(order_)), plan_(wanted) {}

Result<SlurmRunners::Answer> SlurmRunners::ask(const std::vector<std::string>& argv,
                                               const std::string& input) {
  Tool tool;
  tool.argv = argv;
  tool.input = input;
  tool.errors = Tool::Errors::kApart;
  // Ctrl-C is for this command.
  tool.own_session = true;
  tool.silence = kSilence;
  auto run = TRY(run_tool(tool, Stop{-1, [] { return false; }}));
  if (run.silent) return fail("slurm", "no-answer", fmt::format("{} gave no answer", argv.front()));
  return Answer{run.status, std::move(run.output), trimmed(std::move(run.errors))};
}

std::vector<std::string> SlurmRunners::sbatch(const std::vector<std::string>& more) const {
  // A node need not have the directory that this is called in, where Slurm would write the output.
  std::vector<std::string> argv{"sbatch", "--chdir=/tmp"};
  argv.insert(argv.end(), options_.begin(), options_.end());
  // A job that was lost is replaced here, and not by Slurm as well.
  argv.insert(argv.end(), {"--no-requeue", "--job-name=" + job_name_});
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

Status SlurmRunners::dry_run() {
  const Answer answer = TRY(ask(sbatch({"--test-only"}), script_));
  if (answer.status == 0) return {};
  return fail("slurm", "refused", "Slurm would take no such job", {}, answer.errors);
}

void SlurmRunners::say(const SlurmPlan::Step& step) {
  for (const std::string& text : step.said) invocation_.report.info(clean(text));
  for (const std::string& text : step.warnings) invocation_.report.warning(clean(text));
  if (!step.said.empty() || !step.warnings.empty()) changed_ = true;
}

void SlurmRunners::learn_who_has_joined() {
  // No answer means that nothing is known, not that nobody has joined.
  const auto reply = cli::ask(session_, "scheduler", "runners", kAskTimeout);
  if (!reply || reply->status != "done") return;
  const auto list = wire::decode<wire::RunnerList>(reply->result.bytes);
  if (!list) return;
  for (const auto& runner : list->runners) joined_.insert(runner.name);
}

void SlurmRunners::submit() {
  const auto refused = [this](const std::string& why) {
    say(plan_.refused(why, system_clock().monotonic()));
  };
  const auto answer = ask(sbatch({"--parsable"}), script_);
  if (!answer) return refused(answer.error().message);
  if (answer->status != 0) return refused(answer->errors);
  const auto job = read_sbatch(answer->output);
  if (!job) return refused(job.error().message);
  plan_.submitted(job->id, job->cluster);
  changed_ = true;
  invocation_.report.info(fmt::format("Slurm job {} is submitted", job->id));
}

void SlurmRunners::look() {
  auto answer = ask(squeue_command(job_name_, plan_.live()));
  std::string trouble;
  if (!answer) {
    trouble = answer.error().message;
  } else if (answer->status != 0) {
    trouble = answer->errors;
  }
  Result<std::vector<SlurmJob>> jobs;
  if (trouble.empty()) {
    jobs = read_squeue(answer->output);
    if (!jobs) trouble = jobs.error().message;
  }
  if (trouble != trouble_ && !trouble.empty())
    invocation_.report.warning(clean(fmt::format("Slurm says nothing of its jobs: {}", trouble)));
  trouble_ = trouble;
  // While Slurm doesn't answer, nothing is known to have ended.
  if (!trouble.empty()) return;
  learn_who_has_joined();
  const auto step = plan_.look(*jobs, joined_, system_clock().monotonic());
  say(step);
  if (step.submit && signals_ == 0) submit();
}

void SlurmRunners::wait() {
  pause_ = changed_ ? kShortest : std::min(kLongest, pause_ * 2);
  changed_ = false;
  bool over = false;
  const unsigned before = signals_;
  const auto timer = reactor_.after(pause_, [&over] { over = true; });
  while (!over && signals_ == before) reactor_.run_once(pause_);
  if (!over) reactor_.cancel(timer);
}

std::vector<SlurmJob> SlurmRunners::jobs_of(bool running) const {
  std::vector<SlurmJob> jobs = plan_.live();
  std::erase_if(jobs, [&](const SlurmJob& job) { return (job.state == "RUNNING") != running; });
  return jobs;
}

void SlurmRunners::cancel_all() {
  for (const auto& argv : scancel_commands(plan_.live(), {})) {
    const auto answer = ask(argv);
    if (!answer || (answer->status != 0 && !answer->errors.empty())) {
      invocation_.report.warning(clean(fmt::format("scancel: {}; these jobs may go on: {}",
                                                   answer ? answer->errors : answer.error().message,
                                                   fmt::join(argv.begin() + 1, argv.end(), " "))));
    }
  }
}

// Lets the runners finish what they build; a second signal ends that.
void SlurmRunners::drain() {
  invocation_.report.info(
      "The runners finish what they build, and leave; another signal ends them at once");
  for (const auto& argv : scancel_commands(jobs_of(false), {})) static_cast<void>(ask(argv));
  // The runner is the job's script itself.
  for (const auto& argv : scancel_commands(jobs_of(true), {"--signal=TERM", "--full"}))
    static_cast<void>(ask(argv));
  changed_ = true;
  while (signals_ < 2 && !plan_.live().empty() && session_.paths.lives()) {
    wait();
    look();
  }
}

int SlurmRunners::run() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (auto status = reactor_.on_signal(signal, [this] { ++signals_; }); !status)
      return failed(invocation_, status.error());
  }
  if (auto status = dry_run(); !status) return failed(invocation_, status.error());
  while (true) {
    look();
    if (signals_ > 0 || plan_.over() || !session_.paths.lives()) break;
    wait();
  }
  if (signals_ > 0) drain();
  cancel_all();
  return kSuccess;
}

}  // namespace sluice::cli
