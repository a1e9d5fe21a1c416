// The styles without a screen: plain and json.
#include <fmt/format.h>

#include "base/try.h"
#include "renderer/heartbeat.h"
#include "renderer/renderer.h"
#include "wire/record_json.h"

namespace sluice::renderer {

namespace {

class Plain final : public Renderer {
 public:
  Plain(Sink& sink, const Clock& clock, Lines lines, Duration silence)
      : Renderer(sink), clock_(clock), lines_(std::move(lines)), heartbeat_(clock, silence) {}

  Seen record(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) {
      output_.add(malformed_line(event.error()));
      return {};
    }
    const std::string lines = lines_.render(*event);
    heartbeat_.record(*event, !lines.empty());
    output_.add(lines);
    return seen(*event);
  }

  void recall(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) return;
    lines_.recall(*event);
    heartbeat_.record(*event, false);
  }

  std::string topic() const override { return heartbeat_.topic(); }

  // Says what runs in a line like the others.
  void live(std::string_view packed) override {
    wire::Event line;
    line.text = heartbeat_.live(packed);
    if (line.text.empty()) return;
    const auto status = wire::decode_event(packed);
    line.type = "message";
    line.level = "info";
    line.time = clock_.wall_ns();
    if (status && status->session) line.elapsed = status->session->elapsed;
    output_.add(lines_.render(line));
  }

  Result<std::optional<Duration>> poll() override {
    CHECK(output_.flush());
    return heartbeat_.due();
  }

 private:
  const Clock& clock_;
  Lines lines_;
  Heartbeat heartbeat_;
};

class Json final : public Renderer {
 public:
  explicit Json(Sink& sink) : Renderer(sink) {}

  Seen record(std::string_view packed) override {
    auto document = wire::Document::parse(packed);
    if (!document || !document->root().is_map()) {
      const Error error{"wire",
                        "malformed",
                        "A record could not be decoded",
                        document ? "" : document.error().message,
                        {}};
      output_.add(wire::json_error_line(error, "main", 0));
      return {};
    }
    const wire::Value root = document->root();
    output_.add(wire::json_line(root));
    std::string_view type;
    if (const auto field = root.find("type"); field.valid()) field.get_string(type);
    Seen seen;
    seen.session_ended = type == "session.ended";
    seen.prompt = type == "prompt.opened";
    if (type == "run.finished") {
      std::uint64_t number = 0;
      if (const auto field = root.find("run").find("number"); field.valid()) field.get(number);
      seen.run_finished = static_cast<std::uint32_t>(number);
    }
    return seen;
  }

  void recall(std::string_view) override {}
  bool recalls() const override { return false; }

  Result<std::optional<Duration>> poll() override {
    CHECK(output_.flush());
    return std::nullopt;
  }
};

}  // namespace

std::unique_ptr<Renderer> make_plain(Sink& sink, const Clock& clock, Lines lines,
                                     Duration silence) {
  return std::make_unique<Plain>(sink, clock, std::move(lines), silence);
}

std::unique_ptr<Renderer> make_json(Sink& sink) { return std::make_unique<Json>(sink); }

Seen seen(const wire::Event& event) {
  Seen seen;
  seen.session_ended = event.type == "session.ended";
  seen.prompt = event.type == "prompt.opened";
  if (event.type == "run.finished" && event.run) seen.run_finished = event.run->number;
  return seen;
}

std::string malformed_line(const Error& error) {
  return fmt::format("A record could not be decoded: {}\n", error.message);
}

}  // namespace sluice::renderer
