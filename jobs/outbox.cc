#include "jobs/outbox.h"

#include <cerrno>

#include <unistd.h>

#include "base/log.h"
#include "base/try.h"

namespace sluice::jobs {

namespace {

constexpr std::uint64_t kCompactAbove = 1u << 20;

template <typename T>
std::string entry(std::string_view name, const T& value) {
  std::string out;
  wire::Writer writer(out);
  writer.array(2);
  writer.string(name);
  out += wire::encode(value);
  return out;
}

}  // namespace

Result<Outbox> Outbox::open(const std::string& path) {
  Outbox box;
  box.path_ = path;
  unsigned skipped = 0;
  auto log = AppendLog::open(path, [&box, &skipped](std::uint64_t, std::string_view payload) {
    const auto document = wire::Document::parse(payload);
    std::string_view name;
    std::vector<wire::Value> entry;
    if (document) {
      for (const wire::Value item : document->root().items()) entry.push_back(item);
    }
    if (entry.size() != 2 || !entry[0].get_string(name)) {
      ++skipped;
      return;
    }
    const std::string_view body = entry[1].packed();
    if (name == "result") {
      auto result = wire::decode<wire::JobResult>(body);
      if (result) {
        const wire::JobId id = result->id;
        box.results_.insert_or_assign(id, std::move(*result));
        return;
      }
    } else if (name == "forget") {
      const auto id = wire::decode<wire::JobId>(body);
      if (id) {
        box.results_.erase(*id);
        return;
      }
    }
    ++skipped;
  });
  if (!log) return forward(log);
  if (skipped > 0) log::warn("{}: {} records can't be read, and are skipped", path, skipped);
  box.log_.emplace(std::move(*log));
  CHECK(box.compact());
  return box;
}

Status Outbox::compact() {
  if (!results_.empty() || log_->size() < kCompactAbove) return {};
  log_.reset();
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, path_);
  auto log = TRY(AppendLog::open(path_, [](std::uint64_t, std::string_view) {}));
  log_.emplace(std::move(log));
  return {};
}

Status Outbox::add(std::vector<wire::JobResult> results) {
  std::vector<std::string> packed;
  packed.reserve(results.size());
  for (wire::JobResult& result : results) {
    packed.push_back(entry("result", result));
    const wire::JobId id = result.id;
    results_.insert_or_assign(id, std::move(result));
  }
  if (!log_) return fail("job", "outbox", "the outbox can't be written");
  const std::vector<std::string_view> views(packed.begin(), packed.end());
  return log_->append_batch(views, nullptr);
}

Status Outbox::forget(const std::vector<wire::JobId>& ids) {
  std::vector<std::string> packed;
  for (const wire::JobId& id : ids) {
    if (results_.erase(id) > 0) packed.push_back(entry("forget", id));
  }
  if (packed.empty()) return {};
  if (!log_) return fail("job", "outbox", "the outbox can't be written");
  const std::vector<std::string_view> views(packed.begin(), packed.end());
  CHECK(log_->append_batch(views, nullptr));
  return compact();
}

}  // namespace sluice::jobs
