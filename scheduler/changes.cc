#include "scheduler/changes.h"

#include <algorithm>

#include <fmt/format.h>

#include "wire/codec.h"

namespace sluice::scheduler {

Status Changes::flush() {
  if (!pending_.empty()) {
    const std::vector<std::string_view> records(pending_.begin(), pending_.end());
    if (auto written = outputs_.journal(records); !written) {
      broken_ = true;
      held_.clear();
      pending_.clear();
      return written;
    }
    pending_.clear();
  }
  std::vector<Held> held;
  held.swap(held_);
  for (Held& each : held) {
    switch (each.kind) {
      case Held::Kind::kPublish:
        outputs_.publish(each.name, std::move(each.body), each.number);
        break;
      case Held::Kind::kSend: outputs_.send(each.peer, each.name, std::move(each.body)); break;
      case Held::Kind::kStartRunner: outputs_.start_runner(); break;
      case Held::Kind::kReload: outputs_.reload(std::move(each.body)); break;
      case Held::Kind::kWriteRefs: outputs_.write_refs(each.number, std::move(each.body)); break;
    }
  }
  return {};
}

void Changes::begin_replay(std::uint64_t published) {
  replaying_ = true;
  published_ = published;
}

namespace {

template <typename T>
Result<T> decode_change(std::string_view record) {
  wire::Limits limits;
  limits.items = 64u << 20;
  limits.bytes = limits.string = std::size_t{1} << 30;
  auto change = wire::decode<T>(record, limits);
  if (!change)
    change.error().message =
        fmt::format("the journal's record '{}': {}", T::kName, change.error().message);
  return change;
}

}  // namespace

Status Changes::replay(std::string_view record) {
  const std::string name = change_name(record);
  if (name == Published::kName) return {};
  ++count_;
  Status status = bad_journal(fmt::format("has a record '{}' that means nothing", name));
  const auto one = [&]<typename T>(T) {
    if (name != T::kName) return;
    auto change = decode_change<T>(record);
    status = change ? model_.apply(*change, effects_) : Status(forward(change));
  };
  one(AttemptEnded{});
  one(AttemptGiven{});
  one(AttemptStarted{});
  one(AttemptLost{});
  one(RefsFound{});
  one(RefsWritten{});
  one(SnapshotSuperseded{});
  one(KeysResolved{});
  one(ProcessStarted{});
  one(RunStarted{});
  one(RunSteered{});
  one(RunFinished{});
  one(PromptAnswered{});
  one(StoreLost{});
  one(Suspended{});
  one(Resumed{});
  one(LimitsSet{});
  one(SessionEnded{});
  return status;
}

void Changes::end_replay() {
  replaying_ = false;
  since_ = clock_.monotonic();
  base_ = model_->at.elapsed;
  if (count_ != 0 && !model_->suspended)
    base_ += std::max<std::int64_t>(0, clock_.wall_ns() - model_->at.time);
}

Status Changes::published(std::uint64_t upto) {
  if (upto <= published_ || broken_) return {};
  published_ = upto;
  pending_.push_back(pack_change(Published{upto}));
  return flush();
}

std::int64_t Changes::elapsed() const {
  if (model_->suspended || replaying_) return model_->at.elapsed;
  return base_ + (clock_.monotonic() - since_).count();
}

void Changes::resumed(const Stamp& at) {
  base_ = at.elapsed;
  since_ = clock_.monotonic();
}

void Changes::publish(std::string_view type, std::string packed) {
  if (!known())
    held_.push_back({Held::Kind::kPublish, std::string(type), std::move(packed), {}, count_});
}

void Changes::send(const std::string& peer, std::string_view name, std::string body) {
  held_.push_back({Held::Kind::kSend, std::string(name), std::move(body), peer, 0});
}

void Changes::start_runner() { held_.push_back({Held::Kind::kStartRunner, {}, {}, {}, 0}); }

void Changes::write_refs(std::uint64_t job, std::string arguments) {
  held_.push_back({Held::Kind::kWriteRefs, {}, std::move(arguments), {}, job});
}

void Changes::reload(std::string arguments) {
  held_.push_back({Held::Kind::kReload, {}, std::move(arguments), {}, 0});
}

}  // namespace sluice::scheduler
