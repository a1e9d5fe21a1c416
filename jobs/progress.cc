#include "jobs/progress.h"

#include <algorithm>
#include <cctype>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

namespace sluice::jobs {

namespace {

constexpr std::size_t kTail = 4096;
// A job that opens steps and never ends one is a fault of its own.
constexpr std::size_t kDeepest = 32;

// How a shell's trace shows an element's command, up to the command.
constexpr std::string_view kTraced = "+ sh -c -e '";

// A line without a letter or digit, like the one that ends a command in a trace.
bool says_nothing(std::string_view line) {
  return std::none_of(line.begin(), line.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalnum(byte) != 0;
  });
}

// "[00:00:12] START ..." or "[--:--:--] ...", which the job itself has written: steps are told
// apart from lines.
bool is_message(std::string_view line) {
  constexpr std::string_view kTime = "[--:--:--]";
  if (line.size() < kTime.size()) return false;
  for (std::size_t i = 0; i < kTime.size(); ++i) {
    const bool digit = kTime[i] == '-' && std::isdigit(static_cast<unsigned char>(line[i])) != 0;
    if (line[i] != kTime[i] && !digit) return false;
  }
  return true;
}

}  // namespace

void Steps::note(std::string_view level, const std::string& text) {
  if (level == "start") {
    if (open_.size() < kDeepest) open_.push_back(text);
    if (open_.back().size() > wire::kMostStep) limit_text(open_.back(), wire::kMostStep);
  } else if (level == "success" || level == "failure" || level == "skipped") {
    if (!open_.empty()) open_.pop_back();
  }
}

std::string last_line(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  std::string tail(std::min<std::size_t>(kTail, static_cast<std::size_t>(info.st_size)), '\0');
  const ssize_t n =
      ::pread(fd.get(), tail.data(), tail.size(), info.st_size - static_cast<off_t>(tail.size()));
  if (n <= 0) return {};
  tail.resize(static_cast<std::size_t>(n));
  // The tail may begin within a character, which clean() shows as U+FFFD.
  for (std::string_view rest = tail; !rest.empty();) {
    const std::size_t end = rest.find_last_not_of("\r\n");
    if (end == std::string_view::npos) return {};
    rest = rest.substr(0, end + 1);
    const std::size_t before = rest.find_last_of("\r\n");
    const std::string_view raw = before == std::string_view::npos ? rest : rest.substr(before + 1);
    std::string line = clean(raw);
    std::replace(line.begin(), line.end(), '\t', ' ');
    if (!says_nothing(line) && !is_message(line)) {
      if (line.starts_with(kTraced)) line.erase(0, kTraced.size());
      if (line.size() > wire::kMostLine) limit_text(line, wire::kMostLine);
      return line;
    }
    if (before == std::string_view::npos) return {};
    rest = rest.substr(0, before);
  }
  return {};
}

bool ProgressTeller::watch(const wire::Watch& watch) {
  if (watch.lines && !watch_.lines) said_.clear();
  watch_ = watch;
  if (!watching()) said_.clear();
  return watching();
}

std::optional<wire::Progress> ProgressTeller::news(const std::vector<Job>& jobs) {
  if (!watching()) return std::nullopt;
  wire::Progress progress;
  std::map<wire::JobId, wire::JobProgress> now;
  for (const Job& job : jobs) {
    wire::JobProgress says{.id = job.id, .step = job.step, .line = {}};
    if (watch_.lines && !job.log_path.empty()) says.line = last_line(job.log_path);
    const auto said = said_.find(job.id);
    if (said == said_.end() || said->second.step != says.step || said->second.line != says.line)
      progress.jobs.push_back(says);
    now.emplace(job.id, std::move(says));
  }
  said_ = std::move(now);
  if (progress.jobs.empty()) return std::nullopt;
  return progress;
}

}  // namespace sluice::jobs
