// A value of each type that travels, every field filled, made by the same field
// lists that encode and decode: a new field is in the samples by itself. For
// golden bytes, round trips and the fuzzer's corpus.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "wire/access.h"
#include "wire/events.h"
#include "wire/job_messages.h"
#include "wire/joined.h"
#include "wire/messages.h"

namespace sluice::testing {

// Fills fields with values that differ from each other and from the defaults.
// Vectors get two entries, one where they are nested, none where deeper than that.
class Filler {
 public:
  template <typename T>
  void operator()(std::string_view name, T& value) {
    fill(name, value);
  }
  template <typename T>
  void optional(std::string_view name, T& value) {
    fill(name, value);
  }
  template <typename T>
  void sparse(std::string_view name, T& value) {
    fill(name, value);
  }

  void fill(std::string_view, bool& value) { value = true; }
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void fill(std::string_view,
                                                                        T& value) {
    // Every width of MessagePack's integers, negative ones too where they fit.
    static constexpr std::int64_t kValues[] = {1,          100, 200,  40000,  70000,
                                               5000000000, -5,  -200, -40000, -5000000000};
    const std::int64_t next = kValues[count_++ % 10];
    value = next > 0 || std::is_signed_v<T> ? static_cast<T>(next) : static_cast<T>(-next);
  }
  void fill(std::string_view, double& value) { value = 0.5; }
  void fill(std::string_view name, std::string& value) { value = "a " + std::string(name); }
  void fill(std::string_view name, wire::Blob& value) {
    value.bytes = std::string("\0\xff", 2) + std::string(name);
  }
  void fill(std::string_view name, wire::Packed& value) {
    value.bytes.clear();
    wire::Writer writer(value.bytes);
    writer.map(1);
    writer.string(name);
    writer.array(2);
    writer.nil();
    writer.real(1.5);
  }
  template <typename T>
  void fill(std::string_view name, std::vector<T>& values) {
    if (depth_ >= 3) return;
    const int entries = depth_ == 0 ? 2 : 1;
    ++depth_;
    for (int i = 0; i < entries; ++i) fill_entry(name, values);
    --depth_;
  }
  template <typename T>
  void fill(std::string_view name, std::optional<T>& value) {
    fill(name, value.emplace());
  }
  template <typename A, typename B>
  void fill(std::string_view name, std::pair<A, B>& pair) {
    fill(name, pair.first);
    fill(name, pair.second);
  }
  template <typename T>
  requires std::is_enum_v<T>
  void fill(std::string_view, T& value) { value = static_cast<T>(2); }
  template <typename T>
  requires std::is_class_v<T>
  void fill(std::string_view, T& value) { fields(*this, value); }

 private:
  template <typename T>
  void fill_entry(std::string_view name, std::vector<T>& values) {
    fill(name, values.emplace_back());
  }
  template <typename A, typename B>
  void fill_entry(std::string_view name, std::vector<std::pair<A, B>>& values) {
    A first{};
    B second{};
    fill(name, first);
    fill(name, second);
    values.emplace_back(std::move(first), std::move(second));
  }

  int count_ = 0;
  int depth_ = 0;
};

template <typename T>
T sample() {
  T value{};
  Filler filler;
  filler.fill("", value);
  return value;
}

// Calls `visit.operator()<T>("T")` for each type that is a whole body on a link, in
// a file or in an argument. wire/messages_test.cc checks that none is missing. New
// ones go to the end: the fuzzer's corpus counts on the order.
template <typename Visit>
void for_each_message(Visit visit) {
#define SLUICE_MESSAGE(type) visit.template operator()<wire::type>(#type)
#define SLUICE_MODEL(type) visit.template operator()<model::type>(#type)
  SLUICE_MESSAGE(ErrorBody);
  SLUICE_MESSAGE(Hello);
  SLUICE_MESSAGE(Welcome);
  SLUICE_MESSAGE(Refused);
  SLUICE_MESSAGE(Ending);
  SLUICE_MESSAGE(Heartbeat);
  SLUICE_MESSAGE(Append);
  SLUICE_MESSAGE(Ack);
  SLUICE_MESSAGE(Resend);
  SLUICE_MESSAGE(Nack);
  SLUICE_MESSAGE(Next);
  SLUICE_MESSAGE(Batch);
  SLUICE_MESSAGE(Request);
  SLUICE_MESSAGE(Reply);
  SLUICE_MESSAGE(Peer);
  SLUICE_MESSAGE(Peers);
  SLUICE_MESSAGE(LoadArguments);
  SLUICE_MESSAGE(ReloadArguments);
  SLUICE_MESSAGE(ProjectServers);
  SLUICE_MESSAGE(LoadResult);
  SLUICE_MESSAGE(RefEdit);
  SLUICE_MESSAGE(WriteRefs);
  SLUICE_MESSAGE(RefFile);
  SLUICE_MESSAGE(WriteRefsResult);
  SLUICE_MESSAGE(ProjectRemotes);
  SLUICE_MESSAGE(RunArguments);
  SLUICE_MESSAGE(RunAccepted);
  SLUICE_MESSAGE(RetryArguments);
  SLUICE_MESSAGE(JobId);
  SLUICE_MESSAGE(RunnerHello);
  SLUICE_MESSAGE(Job);
  SLUICE_MESSAGE(JobElement);
  SLUICE_MESSAGE(JobBatch);
  SLUICE_MESSAGE(NewRef);
  SLUICE_MESSAGE(StartedJob);
  SLUICE_MESSAGE(Started);
  SLUICE_MESSAGE(JobResult);
  SLUICE_MESSAGE(Results);
  SLUICE_MESSAGE(ResultAck);
  SLUICE_MESSAGE(Cancel);
  SLUICE_MESSAGE(RunnerBeat);
  SLUICE_MESSAGE(Suspend);
  SLUICE_MESSAGE(Resume);
  SLUICE_MESSAGE(SessionSection);
  SLUICE_MESSAGE(RunSection);
  SLUICE_MESSAGE(ElementSection);
  SLUICE_MESSAGE(JobSection);
  SLUICE_MESSAGE(QueueSection);
  SLUICE_MESSAGE(ActiveJob);
  SLUICE_MESSAGE(ActiveSection);
  SLUICE_MESSAGE(CacheSection);
  SLUICE_MESSAGE(PlanSection);
  SLUICE_MESSAGE(ProgressSection);
  SLUICE_MESSAGE(EstimateSection);
  SLUICE_MESSAGE(IdleSection);
  SLUICE_MESSAGE(UsageSection);
  SLUICE_MESSAGE(ErrorSection);
  SLUICE_MESSAGE(HeadingProject);
  SLUICE_MESSAGE(HeadingSection);
  SLUICE_MESSAGE(FailureSection);
  SLUICE_MESSAGE(Event);
  SLUICE_MODEL(ElementBody);
  SLUICE_MODEL(Settings);
  SLUICE_MESSAGE(AnswerArguments);
  SLUICE_MESSAGE(PromptSection);
  SLUICE_MESSAGE(LogPlace);
  SLUICE_MESSAGE(LogEvent);
  SLUICE_MESSAGE(LimitsArguments);
  SLUICE_MESSAGE(JobLimits);
  SLUICE_MESSAGE(LimitsSection);
  SLUICE_MESSAGE(LoadInput);
  SLUICE_MESSAGE(LoadWanted);
  SLUICE_MESSAGE(SourceList);
  SLUICE_MESSAGE(JobInput);
  SLUICE_MESSAGE(RunnerSection);
  SLUICE_MESSAGE(Drain);
  SLUICE_MESSAGE(Watch);
  SLUICE_MESSAGE(JobProgress);
  SLUICE_MESSAGE(Progress);
  SLUICE_MESSAGE(Goodbye);
  SLUICE_MESSAGE(RunnerInfo);
  SLUICE_MESSAGE(RunnerList);
  SLUICE_MESSAGE(RunnerArguments);
  SLUICE_MESSAGE(EnrolArguments);
  SLUICE_MESSAGE(Enrolled);
  SLUICE_MESSAGE(RevokeArguments);
  SLUICE_MESSAGE(CurveKeys);
  SLUICE_MESSAGE(AccessKeys);
  SLUICE_MESSAGE(AccessEntry);
  SLUICE_MESSAGE(AccessList);
  SLUICE_MESSAGE(ListenPlan);
  SLUICE_MESSAGE(JoinTicket);
  SLUICE_MESSAGE(RunnerPlace);
  SLUICE_MESSAGE(Joined);
#undef SLUICE_MESSAGE
#undef SLUICE_MODEL
}

}  // namespace sluice::testing
