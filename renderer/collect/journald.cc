// systemd's journal, by its native protocol (systemd's documentation has it as
// "JOURNAL_NATIVE_PROTOCOL"): a datagram of fields for each entry, or a sealed file in memory for
// one that is too large for that.
//
// libsystemd says of an entry that it was sent also when there is no journal, and can't tell which
// ones a journald has read that is killed: so its function isn't used.
#include <fmt/format.h>

#include "base/text.h"
#include "renderer/collect/destination.h"
#include "renderer/collect/sockets.h"

namespace sluice::collect {

namespace {

constexpr const char* kSocket = "/run/systemd/journal/socket";
constexpr Duration kConfirm = std::chrono::seconds(10);

void field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  if (value.find('\n') == std::string_view::npos) {
    out += '=';
  } else {
    // Values with newlines have their length before them, as 64 bits, the lowest first.
    out += '\n';
    std::uint64_t size = value.size();
    for (int i = 0; i < 8; ++i, size >>= 8) out += static_cast<char>(size & 0xff);
  }
  out += value;
  out += '\n';
}

class Journald final : public Destination {
 public:
  explicit Journald(Place place) : datagrams_(std::move(place)) {}

  std::optional<Message> encode(const Record& record) override {
    const wire::Event& event = record.event;
    Message message;
    std::string& out = message.body;
    field(out, "MESSAGE", line_of(event));
    field(out, "PRIORITY", std::to_string(severity_of(event.level)));
    field(out, "SYSLOG_IDENTIFIER", "sluice");
    for (const auto& [name, value] : fields_of(event)) field(out, "SLUICE_" + upper(name), value);
    field(out, "SLUICE_TIME_USEC", std::to_string(event.time / 1000));
    if (!event.detail.empty()) field(out, "SLUICE_DETAIL", event.detail);
    if (event.error) field(out, "SLUICE_ERROR", event.error->message);
    return message;
  }

  Status deliver(const std::vector<Message>& batch) override {
    for (const Message& message : batch) {
      if (auto sent = datagrams_.send(message.body, true); !sent) return sent;
    }
    return datagrams_.confirm(kConfirm);
  }

  std::size_t most_messages() const override { return 200; }

 private:
  Datagrams datagrams_;
};

}  // namespace

Result<std::unique_ptr<Destination>> make_journald(const std::string& address,
                                                   const renderer::Arguments&) {
  auto place = read_place(address.empty() ? kSocket : address);
  if (!place) return forward(place);
  if (place->kind != Place::Kind::kUnix)
    return fail("app", "usage", fmt::format("'{}' is no path of journald's socket", address));
  return std::make_unique<Journald>(std::move(*place));
}

}  // namespace sluice::collect
