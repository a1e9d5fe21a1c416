#include "renderer/web/options.h"

#include "base/try.h"
#include "renderer/arguments.h"

namespace sluice::renderer {

Result<WebOptions> parse_web_options(const std::vector<std::string>& arguments) {
  const Arguments given = TRY(Arguments::read(arguments, {"--session", "--port"},
                                              {"--no-open", "--read-only", "--help", "--version"}));
  CHECK(given.no_words());
  WebOptions out;
  out.session = given.text("--session");
  out.port = static_cast<std::uint16_t>(TRY(given.number("--port", 0, 0, 65535)));
  out.open = !given.has("--no-open");
  out.read_only = given.has("--read-only");
  out.help = given.has("--help");
  out.version = given.has("--version");
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
