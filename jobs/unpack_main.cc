// sluice-unpack ARCHIVE SHOWN DIRECTORY BASE-DIR [MAX-BYTES]: unpacks a tar archive, in
// a process of its own since it comes from outside. An error goes to standard output as a packed
// wire::ErrorBody; the status is 1 then.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "jobs/unpack.h"
#include "wire/messages.h"

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    std::fputs("usage: sluice-unpack ARCHIVE SHOWN DIRECTORY BASE-DIR [MAX-BYTES]\n", stderr);
    return 2;
  }
  // A decoder that is led astray gets no more memory than any archive needs, and no new privileges.
#ifndef __SANITIZE_ADDRESS__  // which takes terabytes of addresses for itself
  const rlimit memory{rlim_t{4} << 30, rlim_t{4} << 30};
  ::setrlimit(RLIMIT_AS, &memory);
#endif
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sluice::jobs::UnpackOptions options;
  options.shown = argv[2];
  options.base_dir = argv[4];
  if (argc == 6) options.max_bytes = std::strtoull(argv[5], nullptr, 10);
  auto done = sluice::jobs::unpack_tar(argv[1], argv[3], options);
  if (done) return 0;
  [[maybe_unused]] auto written =
      sluice::write_all(1, sluice::wire::encode(sluice::wire::ErrorBody::from(done.error())));
  return 1;
}
