#include "scheduler/durations.h"

#include <utility>

#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/try.h"

namespace sluice::scheduler {

namespace {

Result<UniqueFd> file_without_name(std::string_view content) {
  UniqueFd fd(::memfd_create("durations", MFD_CLOEXEC));
  if (!fd) return fail_errno(errno, "memfd_create");
  CHECK(write_all(fd.get(), content));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_errno(errno, "lseek");
  return fd;
}

Result<std::string> content_of(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno(errno, "fstat");
  std::string content(static_cast<std::size_t>(info.st_size), '\0');
  for (std::size_t at = 0; at < content.size();) {
    const ssize_t n = ::pread(fd, content.data() + at, content.size() - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno(errno, "pread");
    at += static_cast<std::size_t>(n);
  }
  return content;
}

}  // namespace

std::string durations_file(const std::string& cachedir) {
  return cachedir + "/sluice/durations.sqlite";
}

DurationsHelper::~DurationsHelper() {
  for (const auto* child : {&reader_, &writer_}) {
    if (*child) reactor_.remove_fd((*child)->process.pidfd.get());
  }
}

std::optional<DurationsHelper::Child> DurationsHelper::start(
    const std::vector<std::string>& arguments, const std::string& input, bool reads) {
  auto in = file_without_name(input);
  auto out = file_without_name({});
  if (!in || !out) {
    log::error("durations: {}", (!in ? in.error() : out.error()).str());
    return std::nullopt;
  }
  SpawnOptions options;
  options.argv = {find_program("sluice-durations")};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.standard_input = in->get();
  options.standard_output = out->get();
  options.die_with_parent = reads;
  auto process = spawn(options);
  if (!process) {
    log::error("durations: {}", process.error().str());
    return std::nullopt;
  }
  return Child{std::move(*process), std::move(*out)};
}

bool DurationsHelper::read(const std::string& cachedir, const std::vector<std::string>& projects) {
  if (reader_ || !path_exists(durations_file(cachedir))) return false;
  std::vector<std::string> arguments{"read", durations_file(cachedir)};
  arguments.insert(arguments.end(), projects.begin(), projects.end());
  reader_ = start(arguments, {}, true);
  if (!reader_) return false;
  reactor_.on_fd(reader_->process.pidfd.get(), POLLIN, [this](short) { read_ended(); });
  return true;
}

void DurationsHelper::read_ended() {
  const auto status = poll_exit(reader_->process);
  if (!status) return;
  reactor_.remove_fd(reader_->process.pidfd.get());
  const Child child = std::move(*std::exchange(reader_, std::nullopt));
  JobDurations durations;
  if (status->code != 0) {
    log::error("durations: sluice-durations ended with status {}", status->code);
  } else if (auto content = content_of(child.output.get()); !content) {
    log::error("durations: {}", content.error().str());
  } else {
    wire::Limits limits;
    limits.items = 64u << 20;
    limits.bytes = limits.string = std::size_t{1} << 30;
    auto decoded = wire::decode<JobDurations>(*content, limits);
    if (decoded) {
      durations = std::move(*decoded);
    } else {
      log::error("durations: {}", decoded.error().str());
    }
  }
  on_read_(durations.jobs);
}

void DurationsHelper::flush(const std::string& cachedir) {
  if (writer_ || unwritten_.jobs.empty()) return;
  const JobDurations durations = std::exchange(unwritten_, {});
  writer_ = start({"write", durations_file(cachedir)}, wire::encode(durations), false);
  if (!writer_) return;
  reactor_.on_fd(writer_->process.pidfd.get(), POLLIN, [this](short) {
    const auto status = poll_exit(writer_->process);
    if (!status) return;
    if (status->code != 0)
      log::error("durations: sluice-durations ended with status {}", status->code);
    reactor_.remove_fd(writer_->process.pidfd.get());
    writer_.reset();
    on_written_();
  });
}

}  // namespace sluice::scheduler
