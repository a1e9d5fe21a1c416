// Spans to a collector of OpenTelemetry, as they end (renderer/trace/otlp.h).
#include "renderer/trace/otlp.h"

#include <map>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/try.h"
#include "renderer/collect/destination.h"
#include "renderer/collect/http_post.h"

namespace sluice::collect {

namespace {

class Otlp final : public Destination {
 public:
  explicit Otlp(std::unique_ptr<HttpPost> post) : post_(std::move(post)) {}

  std::optional<Message> encode(const Record& record) override {
    const wire::Event& event = record.event;
    if (!event.session) return std::nullopt;
    std::unique_ptr<Session>& session = sessions_[event.session->id];
    if (!session) session = std::make_unique<Session>();
    session->spans.take(event);
    if (session->ended.empty()) return std::nullopt;
    Message message;
    message.body = std::exchange(session->ended, {});
    return message;
  }

  void forget(const std::string& session) override { sessions_.erase(session); }

  Status deliver(const std::vector<Message>& batch) override {
    std::vector<std::string_view> spans;
    for (const Message& message : batch) spans.push_back(message.body);
    const std::string answer = TRY(post_->post(trace::otlp_request(spans)));
    if (const std::string complaint = trace::otlp_complaint(answer); !complaint.empty())
      (void)write_all(2, fmt::format("sluice-collect: otlp: {}\n", complaint));
    return {};
  }

  std::size_t most_messages() const override { return 500; }

 private:
  struct Session {
    std::string ended;  // spans
    trace::Spans spans{
        {[this](const trace::JobSpan& job) { add(trace::otlp_job(spans.session().session, job)); },
         [this](const trace::RunSpan& run) { add(trace::otlp_run(spans.session().session, run)); },
         [this](const trace::SessionSpan& session) { add(trace::otlp_session(session)); }}};
    void add(const std::string& span) { ended += (ended.empty() ? "" : ",") + span; }
  };
  std::unique_ptr<HttpPost> post_;
  std::map<std::string, std::unique_ptr<Session>> sessions_;
};

}  // namespace

Result<std::unique_ptr<Destination>> make_otlp(const std::string& address,
                                               const renderer::Arguments& arguments) {
  HttpPost::Settings settings;
  settings.url = trace::otlp_endpoint(address);
  if (arguments.has("--headers")) settings.headers = TRY(read_headers(arguments.text("--headers")));
  return std::make_unique<Otlp>(TRY(HttpPost::create(std::move(settings))));
}

}  // namespace sluice::collect
