// Loki's push API: lines that are records in JSON, in streams that are few: their labels are the
// project and the level. Whatever else is wanted is found by Loki's `| json`.
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/try.h"
#include "renderer/collect/destination.h"
#include "renderer/collect/http_post.h"
#include "wire/record_json.h"

namespace sluice::collect {

namespace {

constexpr std::string_view kPath = "/loki/api/v1/push";
// Loki refuses longer lines where it isn't told otherwise (max_line_size).
constexpr std::size_t kMostLine = std::size_t{256} << 10;

// A line that is too long (a run's thousands of elements) without its largest fields, whose names
// are in the field "left_out".
std::string shortened(const std::string& line) {
  using Json = nlohmann::ordered_json;
  Json record = parse_json<Json>(line);
  if (!record.is_object()) return line;
  Json left_out = Json::array();
  const auto text = [&] { return record.dump(-1, ' ', false, Json::error_handler_t::replace); };
  for (std::string now = line;; now = text()) {
    if (now.size() <= kMostLine || record.size() <= 1) return now;
    record.erase("left_out");
    auto largest = record.end();
    std::size_t most = 0;
    for (auto at = record.begin(); at != record.end(); ++at) {
      const std::size_t size = at->dump(-1, ' ', false, Json::error_handler_t::replace).size();
      if (size <= most) continue;
      most = size;
      largest = at;
    }
    left_out.push_back(largest.key());
    record.erase(largest);
    record["left_out"] = left_out;
  }
}

class Loki final : public Destination {
 public:
  explicit Loki(std::unique_ptr<HttpPost> post) : post_(std::move(post)) {}

  std::optional<Message> encode(const Record& record) override {
    auto line = wire::json_line(record.packed);
    if (!line) return std::nullopt;
    line->pop_back();
    const wire::Event& event = record.event;
    Message message;
    message.body = wire::json_string(line->size() > kMostLine ? shortened(*line) : *line);
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
