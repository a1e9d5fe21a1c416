// Loki's push API: lines that are records in JSON, in streams that are few: their labels are the
// project and the level. Whatever else is wanted is found by Loki's `| json`.
#include <map>

#include <fmt/format.h>

#include "base/try.h"
#include "renderer/collect/destination.h"
#include "renderer/collect/http_post.h"
#include "wire/record_json.h"

namespace sluice::collect {

namespace {

constexpr std::string_view kPath = "/loki/api/v1/push";

class Loki final : public Destination {
 public:
  explicit Loki(std::unique_ptr<HttpPost> post) : post_(std::move(post)) {}

  std::optional<Message> encode(const Record& record) override {
    auto line = wire::json_line(record.packed);
    if (!line) return std::nullopt;
    line->pop_back();
    const wire::Event& event = record.event;
    Message message;
    message.body = wire::json_string(*line);
    message.stream = fmt::format(R"({{"service_name":"sluice","project":{},"level":"{}"}})",
                                 wire::json_string(event.session ? event.session->project : ""),
                                 level_of(event.level));
    return message;
  }

  Status deliver(const std::vector<Message>& batch) override {
    std::map<std::string, std::string> streams;
    for (const Message& message : batch) {
      std::string& values = streams[message.stream];
      values += fmt::format("{}[\"{}\",{}]", values.empty() ? "" : ",", message.time, message.body);
    }
    std::string body = "{\"streams\":[";
    for (const auto& [stream, values] : streams) {
      if (body.back() == '}') body += ',';
      body += fmt::format(R"({{"stream":{},"values":[{}]}})", stream, values);
    }
    CHECK(post_->post(body + "]}"));
    return {};
  }

 private:
  // The levels that Loki and Grafana know.
  static std::string_view level_of(std::string_view level) {
    switch (severity_of(level)) {
      case 2: return "critical";
      case 3: return "error";
      case 4: return "warn";
      case 7: return "debug";
      default: return "info";
    }
  }

  std::unique_ptr<HttpPost> post_;
};

}  // namespace

Result<std::unique_ptr<Destination>> make_loki(const std::string& address,
                                               const renderer::Arguments& arguments) {
  HttpPost::Settings settings;
  settings.url = address;
  const std::size_t host = address.find("://");
  const std::size_t path =
      host == std::string::npos ? std::string::npos : address.find('/', host + 3);
  if (path == std::string::npos || path + 1 == address.size())
    settings.url = address.substr(0, path) + std::string(kPath);
  if (arguments.has("--headers")) settings.headers = TRY(read_headers(arguments.text("--headers")));
  return std::make_unique<Loki>(TRY(HttpPost::create(std::move(settings))));
}

}  // namespace sluice::collect
