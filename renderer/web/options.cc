#include "renderer/web/options.h"

#include <charconv>

#include <fmt/format.h>

namespace sluice::renderer {

Result<WebOptions> parse_web_options(const std::vector<std::string>& arguments) {
  WebOptions out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--help" || name == "-h") {
      out.help = true;
    } else if (name == "--version") {
      out.version = true;
    } else if (name == "--no-open") {
      out.open = false;
    } else if (name == "--read-only") {
      out.read_only = true;
    } else if (name != "--session" && name != "--port") {
      return fail("app", "usage", fmt::format("unknown option '{}'", name));
    } else if (++i == arguments.size()) {
      return fail("app", "usage", fmt::format("{} needs a value", name));
    } else if (name == "--session") {
      out.session = arguments[i];
    } else {
      const std::string& text = arguments[i];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.port);
      if (error != std::errc() || end != text.data() + text.size())
        return fail("app", "usage", fmt::format("--port: '{}' is no port", text));
    }
  }
  return out;
}

std::string web_usage() {
  return "usage: sluice-web [--session ID] [--port N] [--no-open] [--read-only]\n"
         "\n"
         "Shows the sessions of this machine to browsers on it; `sluice web` runs it.\n"
         "\n"
         "  --session ID   the session that is opened first\n"
         "  --port N       the port on 127.0.0.1 (default: the system chooses)\n"
         "  --no-open      open no browser\n"
         "  --read-only    sessions can be seen, and not steered\n"
         "\n"
         "The address is printed; who has it sees all sessions of this user. Ends by SIGINT or "
         "SIGTERM.\n"
         "Status: 0, 1 when something failed, 2 of a command line that can't be understood.\n";
}

}  // namespace sluice::renderer
