// RFC 5424, to a unix socket or by UDP (a datagram for each record), or by TCP with octets counted
// (RFC 6587). UDP gives no answer: what is lost on the way, or while nobody listens there, is lost.
#include <algorithm>
#include <ctime>

#include <unistd.h>

#include <fmt/format.h>

#include "base/text.h"
#include "renderer/collect/destination.h"
#include "renderer/collect/sockets.h"

namespace sluice::collect {

namespace {

constexpr int kFacility = 1;  // of users' programs
// Of a datagram, which servers cut, and of a record by TCP: rsyslog takes 8 KiB by default.
constexpr std::size_t kMostText = 4096;
constexpr Duration kTimeout = std::chrono::seconds(30);
// The number that RFC 5612 keeps for examples; there is none of Sluice's own.
constexpr std::string_view kElement = "sluice@32473";

// RFC 3339 with microseconds.
std::string timestamp(std::int64_t ns) {
  const std::time_t seconds = static_cast<std::time_t>(ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ns % 1'000'000'000 / 1000);
}

// A field of the head: printable ASCII, at most so long, "-" for none.
std::string head_field(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : text.substr(0, most)) out += c > ' ' && c < 127 ? c : '?';
  return out.empty() ? "-" : out;
}

std::string parameter(std::string_view value) {
  std::string out;
  for (const char c : valid_utf8(value)) {
    if (c == '"' || c == '\\' || c == ']') out += '\\';
    out += c;
  }
  return out;
}

class Syslog final : public Destination {
 public:
  explicit Syslog(Place place) : place_(place), datagrams_(std::move(place)) {
    char name[256] = "";
    ::gethostname(name, sizeof name - 1);
    host_ = head_field(name, 255);
  }

  std::optional<Message> encode(const Record& record) override {
    const wire::Event& event = record.event;
    std::string text = clean(line_of(event));
    limit_text(text, kMostText);
    std::replace(text.begin(), text.end(), '\n', ' ');
    std::string structured = fmt::format("[{}", kElement);
    for (const auto& [name, value] : fields_of(event))
      structured += fmt::format(" {}=\"{}\"", name, parameter(value));
    structured += ']';
    Message message;
    message.body = fmt::format("<{}>1 {} {} sluice {} {} {} \xef\xbb\xbf{}",
                               kFacility * 8 + severity_of(event.level), timestamp(event.time),
                               host_, head_field(event.session ? event.session->id : "", 128),
                               head_field(event.type, 32), structured, text);
    return message;
  }

  Status deliver(const std::vector<Message>& batch) override {
    if (place_.kind != Place::Kind::kTcp) {
      for (const Message& message : batch) {
        if (auto sent = datagrams_.send(message.body, false); !sent) return sent;
      }
      return datagrams_.confirm(kTimeout);
    }
    std::string text;
    for (const Message& message : batch)
      text += fmt::format("{} {}", message.body.size(), message.body);
    return send_and_confirm(place_, text, kTimeout);
  }

 private:
  const Place place_;
  Datagrams datagrams_;
  std::string host_;
};

}  // namespace

Result<std::unique_ptr<Destination>> make_syslog(const std::string& address,
                                                 const renderer::Arguments&) {
  auto place = read_place(address);
  if (!place) return forward(place);
  return std::make_unique<Syslog>(std::move(*place));
}

}  // namespace sluice::collect
