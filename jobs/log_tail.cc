#include "jobs/log_tail.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"

namespace sluice::jobs {

namespace {

constexpr Duration kInterval = std::chrono::milliseconds(100);
constexpr std::size_t kMost = 16384;  // bytes at once, and bytes of the past for who comes late

std::string topic_of_job(const wire::JobId& id) { return fmt::format("log/{}/", id.job); }

}  // namespace

LogTail::LogTail(wire::Reactor& reactor, std::unique_ptr<wire::LivePublisher> live,
                 const Runner& runner)
    : reactor_(reactor), live_(std::move(live)), runner_(runner) {
  live_->on_subscribed([this](const std::string&) {
    if (timer_ == 0) timer_ = reactor_.every(kInterval, [this] { look(); });
  });
}

LogTail::~LogTail() {
  if (timer_ != 0) reactor_.cancel(timer_);
}

void LogTail::look() {
  std::erase_if(offsets_,
                [&](const auto& entry) { return runner_.running().count(entry.first) == 0; });
  bool anybody = live_->wanted("log/");
  for (const auto& [id, job] : runner_.running()) {
    if (!live_->wanted(topic_of_job(id))) {
      offsets_.erase(id);
      continue;
    }
    anybody = true;
    publish(id, job);
  }
  // Subscriptions to jobs that have ended keep nobody awake.
  if (anybody || !offsets_.empty()) return;
  if (runner_.running().empty()) return;
  reactor_.cancel(timer_);
  timer_ = 0;
}

void LogTail::publish(const wire::JobId& id, const Runner::Running& job) {
  const UniqueFd fd(::open(job.section.log_file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  auto [offset, fresh] = offsets_.emplace(id, size > kMost ? size - kMost : 0);
  if (offset->second >= size) return;
  std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(size - offset->second, kMost)),
                   '\0');
  const ssize_t n = ::pread(fd.get(), text.data(), text.size(), static_cast<off_t>(offset->second));
  if (n <= 0) return;
  text.resize(static_cast<std::size_t>(n));
  live_->publish(
      topic_of_job(id),
      [&] {
        wire::EventHead head;
        head.type = "log";
        head.time = system_clock().wall_ns();
        head.text = text;
        std::string place;
        wire::Writer writer(place);
        writer.map(1);
        writer.string("offset");
        writer.unsigned_integer(offset->second);
        const std::string section = wire::pack_section("job", job.section);
        return wire::pack_event(head, {job.context, section, place});
      },
      job.ticket);
  offset->second += text.size();
}

}  // namespace sluice::jobs
