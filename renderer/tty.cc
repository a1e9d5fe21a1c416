// The tty style: BuildStream's lines, and a status area of its kind.
#include "renderer/frames.h"
#include "renderer/status_area.h"

namespace sluice::renderer {

namespace {

class Tty final : public Framed {
 public:
  Tty(Sink& sink, const Clock& clock, Lines lines, TtySettings settings)
      : Framed(sink, clock, settings.size, false),
        lines_(std::move(lines)), paint_{settings.colors} {}

  std::string topic() const override { return "status/"; }

 protected:
  std::string lines_of(const wire::Event& event) override { return lines_.render(event); }
  void remember(const wire::Event& event) override { lines_.recall(event); }
  std::vector<Row> rows(const wire::Event& status, Duration since) override {
    return status_rows(status, since, size(), paint_, hint());
  }

 private:
  Lines lines_;
  Painter paint_;
};

}  // namespace

std::unique_ptr<Renderer> make_tty(Sink& sink, const Clock& clock, Lines lines,
                                   TtySettings settings) {
  return std::make_unique<Tty>(sink, clock, std::move(lines), settings);
}

}  // namespace sluice::renderer
