// Records as JSON, one on a line (wire/record_json.h), on a connection for each batch.
#include <fmt/format.h>

#include "renderer/collect/destination.h"
#include "renderer/collect/sockets.h"
#include "wire/record_json.h"

namespace sluice::collect {

namespace {

constexpr Duration kTimeout = std::chrono::seconds(30);

class Ndjson final : public Destination {
 public:
  explicit Ndjson(Place place) : place_(std::move(place)) {}

  std::optional<Message> encode(const Record& record) override {
    Message message;
    message.body = wire::json_line(record.packed).value_or("");
    return message;
  }

  Status deliver(const std::vector<Message>& batch) override {
    std::string text;
    for (const Message& message : batch) text += message.body;
    return send_and_confirm(place_, text, kTimeout);
  }

 private:
  const Place place_;
};

}  // namespace

Result<std::unique_ptr<Destination>> make_ndjson(const std::string& address,
                                                 const renderer::Arguments&) {
  auto place = read_place(address);
  if (!place) return forward(place);
  if (place->kind == Place::Kind::kUdp)
    return fail("app", "usage", fmt::format("'{}': ndjson goes by tcp:// or unix:", address));
  return std::make_unique<Ndjson>(std::move(*place));
}

}  // namespace sluice::collect
