// The styles without a screen: plain and json.
#include <fmt/format.h>

#include "base/try.h"
#include "renderer/renderer.h"
#include "wire/record_json.h"

namespace sluice::renderer {

namespace {

class Plain final : public Renderer {
 public:
  Plain(Sink& sink, Lines lines) : Renderer(sink), lines_(std::move(lines)) {}

  Seen record(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) {
      output_.add(malformed_line(event.error()));
      return {};
    }
    output_.add(lines_.render(*event));
    return seen(*event);
  }

  Result<std::optional<Duration>> poll() override {
    CHECK(output_.flush());
    return std::nullopt;
  }

 private:
  Lines lines_;
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

  Result<std::optional<Duration>> poll() override {
    CHECK(output_.flush());
    return std::nullopt;
  }
};

}  // namespace

std::unique_ptr<Renderer> make_plain(Sink& sink, Lines lines) {
  return std::make_unique<Plain>(sink, std::move(lines));
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
