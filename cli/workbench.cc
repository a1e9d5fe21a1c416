#include "cli/workbench.h"

#include <algorithm>

#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "elements/kinds.h"
#include "elements/staging.h"

namespace sluice::cli {

namespace {

constexpr std::size_t kShownOutput = 4096;

}  // namespace

Result<std::unique_ptr<Workbench>> Workbench::open(Report& report, store::Cas& cas,
                                                   elements::JobData data) {
  std::unique_ptr<Workbench> bench(new Workbench(report, std::move(data)));
  // A limit of builds: there is no runner here that makes a control group.
  bench->data_.settings.max_memory = 0;
  bench->data_.local = true;
  (void)sandbox::sweep_scratch(bench->data_.settings.builddir);
  auto scratch = TRY(sandbox::make_scratch_root(bench->data_.settings.builddir,
                                                fmt::format("cli-{}", ::getpid())));
  bench->scratch_ = std::move(scratch);
  bench->data_.scratch = bench->scratch_.path + "/root";
  CHECK(make_directories(bench->data_.scratch, 0700));
  bench->messages_.reset(::memfd_create("messages", MFD_CLOEXEC));
  if (!bench->messages_) return fail_errno(errno, "memfd_create");
  bench->log_ = TRY(elements::JobLog::create(bench->scratch_.path + "/log"));
  const auto& keys = bench->data_.job.keys;
  bench->reporter_.emplace(
      bench->messages_.get(), &*bench->log_,
      elements::Reporter::Element{bench->data_.element.full_name, elements::brief_key(keys.full)});
  bench->cancel_.emplace(sandbox::Cancel::Never{});
  bench->realiser_.emplace(TRY(store::Realiser::open(cas)));
  bench->build_.emplace(bench->data_, cas, *bench->realiser_, *bench->reporter_, *bench->cancel_);
  return bench;
}

Workbench::~Workbench() {
  build_.reset();
  if (!scratch_.path.empty()) (void)sandbox::remove_stubborn(scratch_.path);
}

Status Workbench::stage(bool integrate) {
  const elements::Selection all = elements::everything(data_.job.dependencies);
  if (auto staged = told(build_->root().stage(all, "/")); !staged || !integrate) return staged;
  const std::uint64_t before = log_->size();
  auto done = told(build_->commands().integrate(all));
  if (!done && done.error().detail.empty()) {
    const std::uint64_t written = log_->size() - before;
    done.error().detail = log_->read_from(
        log_->size() - std::min<std::uint64_t>(written, kShownOutput), kShownOutput);
  }
  return done;
}

Status Workbench::stage_build(const model::Digest& sources) {
  const elements::Kind* kind = elements::kind_of(data_);
  if (kind == nullptr) {
    return fail("plugin", "unknown-kind",
                fmt::format("Elements of kind '{}' can't be built", data_.element.kind),
                data_.body.provenance);
  }
  data_.job.sources = sources;
  return told(kind->stage(*build_));
}

Status Workbench::told(Status status) {
  reporter_->flush();
  wire::FrameReader frames;
  const off_t size = ::lseek(messages_.get(), 0, SEEK_CUR);
  ::lseek(messages_.get(), 0, SEEK_SET);
  if (auto bytes = read_all(messages_.get(), static_cast<std::size_t>(size) + 1))
    frames.append(*bytes);
  (void)!::ftruncate(messages_.get(), 0);
  ::lseek(messages_.get(), 0, SEEK_SET);
  for (auto body = frames.next(); body && *body; body = frames.next()) {
    const auto event = wire::decode<wire::JobEvent>(**body);
    if (!event || event->level != "warn") continue;
    report_.warning(event->detail.empty() ? event->text : event->text + "\n\n" + event->detail);
  }
  return status;
}

}  // namespace sluice::cli
