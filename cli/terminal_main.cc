// sluice-terminal: gives a terminal its modes back when the command that has changed them is killed
// (terminal_guard.h). It reads the modes, a struct termios, from its standard input, and waits for
// the end of that: an end without another word means that nobody else does it. The terminal is
// descriptor 3.
#include <cerrno>
#include <csignal>

#include <termios.h>
#include <unistd.h>

namespace {

ssize_t receive(void* to, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(0, static_cast<char*>(to) + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

}  // namespace

int main() {
  // This program is in no group that the terminal knows, so that no key reaches it; it sets modes
  // all the same.
  std::signal(SIGTTOU, SIG_IGN);
  termios modes{};
  if (receive(&modes, sizeof modes) != sizeof modes) return 1;
  char word = 0;
  if (receive(&word, 1) == 1) return 0;
  return ::tcsetattr(3, TCSANOW, &modes) == 0 ? 0 : 1;
}
