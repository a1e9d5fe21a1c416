#include "cli/terminal.h"

#include <csignal>
#include <utility>

#include <unistd.h>

#include "base/try.h"
#include "cli/commands.h"

namespace sluice::cli {

namespace {

constexpr Duration kStopDeadline = std::chrono::milliseconds(500);

}  // namespace

Terminal::Terminal(wire::Reactor& reactor, const Invocation& invocation, const RendererStyle& style,
                   bool asks, Actions actions)
    : reactor_(reactor), asks_(asks), draws_(style.draws()), in_area_(asks && style.asks_in_area()),
      actions_(std::move(actions)), renderers_(reactor, [this] { actions_.gone(); }),
      prompts_(reactor, invocation,
               {[this] {
                  keys_.hide();
                  renderers_.pause_main();
                },
                [this] { show(); }, actions_.request, [this] { actions_.kill(); }}),
      area_(reactor, invocation,
            {actions_.request, [this] { actions_.kill(); }, [this] { keys_.hint(); },
             [this](std::string text) { keys_.say(std::move(text)); },
             [this] {
               keys_.hide();
               renderers_.halt_main();
             },
             [this] {
               renderers_.go_on_main();
               take_keys();
             }}),
      keys_(reactor, {actions_.request, [this](const std::string& rows) { renderers_.hint(rows); },
                      [this] { actions_.kill(); }, [this] { return area_.rows(); },
                      [this](char key) { return area_.press(key); }}) {
  renderers_.on_paused([this](bool at_prompt) {
    keys_.hide();
    prompts_.paused(at_prompt);
  });
}

Status Terminal::take_signals() {
  CHECK(reactor_.on_signal(SIGINT, [this] { actions_.interrupted(); }));
  for (const int signal : {SIGTERM, SIGHUP}) {
    CHECK(reactor_.on_signal(signal, [this, signal] {
      prompts_.hang_up();
      area_.hang_up();
      actions_.hung_up(signal);
    }));
  }
  CHECK(reactor_.on_signal(SIGTSTP, [this] { stop(); }));
  CHECK(reactor_.on_signal(SIGCONT, [this] { keys_.continued(); }));
  return {};
}

// ---- Showing -----------------------------------------------------------------

Status Terminal::start(std::vector<std::string> arguments, std::function<std::uint64_t()> cursor) {
  begun_ = true;
  CHECK(renderers_.start(std::move(arguments), true, std::move(cursor)));
  take_keys();
  return {};
}

Status Terminal::start_beside(std::vector<std::string> arguments) {
  return renderers_.start(std::move(arguments), false);
}

void Terminal::show() {
  if (!begun_) return actions_.begin();
  renderers_.resume_main();
  take_keys();
}

void Terminal::show_or_ask(const wire::Event* status) {
  if (status != nullptr && status->session) keys_.session_is(status->session->state);
  const bool open = asks_ && status != nullptr && status->prompts;
  if (open && in_area_) {
    for (const auto& prompt : *status->prompts) area_.opened(prompt);
  }
  if (!open || in_area_ || !prompts_.ask_first(*status->prompts)) show();
}

void Terminal::take_keys() {
  if (asks_ && !leaving_ && draws_) keys_.show();
}

// ---- What the session says ---------------------------------------------------

bool Terminal::concerns(std::string_view packed) const {
  const auto names = [&](std::string_view text) {
    return packed.find(text) != std::string_view::npos;
  };
  return asks_ && (names("prompt.") || names("session.suspended") || names("session.resumed") ||
                   (names("job.finished") && names("failure")));
}

void Terminal::record(const wire::Event& event) {
  if (!asks_) return;
  if (event.session && event.type.starts_with("session.")) keys_.session_is(event.session->state);
  if (event.type == "job.finished" && event.level == "failure" && event.element)
    keys_.failed(event.element->name);
  if (!event.prompt) return;
  if (event.type == "prompt.opened")
    in_area_ ? area_.opened(*event.prompt) : prompts_.opened(*event.prompt);
  if (event.type == "prompt.closed")
    in_area_ ? area_.closed(*event.prompt) : prompts_.closed(*event.prompt);
}

// ---- The end -----------------------------------------------------------------

// Goes on when nothing is asked, and nothing is in front of us any more.
void Terminal::leave(std::function<void()> then) {
  if (!in_area_) return prompts_.leave(std::move(then));
  area_.leave([this, then = std::move(then)] {
    renderers_.go_on_main();
    then();
  });
}

void Terminal::show_rest(std::optional<Duration> within, bool begin) {
  keys_.hide();
  leaving_ = true;
  // What is in front of us is waited for already.
  if (cut_short_) return;
  leave([this, within, begin] {
    if (begun_) {
      renderers_.resume_main();
    } else if (begin) {
      actions_.begin();
    }
    renderers_.expect_end(within);
  });
}

void Terminal::stop_asking() {
  keys_.hide();
  leave([this] { renderers_.resume_main(); });
}

void Terminal::cut_short(Duration within, std::function<void()> then) {
  keys_.hide();
  leaving_ = cut_short_ = true;
  leave([this, within, then = std::move(then)] {
    renderers_.cut_short();
    if (then) then();
    renderers_.expect_end(within);
  });
}

void Terminal::kill_renderers() { renderers_.signal_all(SIGKILL); }

// ---- Ctrl-Z ------------------------------------------------------------------

// The jobs of our own run are no children of the shell: it can't stop them. A question after Ctrl-C
// has suspended them.
void Terminal::stop() {
  if (suspending_) return;
  if (!actions_.has_jobs() || prompts_.suspends() || area_.suspends()) return stop_here();
  suspending_ = true;
  actions_.request("suspend", "", [this](const wire::Reply&) {
    stop_here();
    suspending_ = false;
    actions_.request("resume", "", [](const wire::Reply&) {});
  });
}

void Terminal::stop_here() {
  // The renderer leaves the terminal as the shell wants it, and so do we.
  const bool keys = keys_.shown();
  keys_.hide();
  renderers_.signal_all(SIGTSTP);
  renderers_.wait_stopped(kStopDeadline);
  ::kill(::getpid(), SIGSTOP);
  // Somebody has sent SIGCONT, and this process goes on.
  renderers_.signal_all(SIGCONT);
  prompts_.continued();
  if (keys) keys_.show();
}

}  // namespace sluice::cli
