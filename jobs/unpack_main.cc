// sluice-unpack [--zip] [--strip] ARCHIVE SHOWN DIRECTORY BASE-DIR [MAX-BYTES]: unpacks a tar or
// zip archive, in a process of its own since it comes from outside; --strip cuts the first
// directory of each name off. sluice-unpack --layers SHOWN DIRECTORY SCRATCH <ARCHIVES: lays an
// image's layers over each other, which are paths that end in a zero byte each. An error goes to
// standard output as a packed wire::ErrorBody; the status is 1 then.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "jobs/unpack.h"
#include "wire/messages.h"

namespace {

using sluice::Result;
using sluice::Status;

Status unpack_archive(const std::vector<std::string>& words, bool zip, bool strip) {
  sluice::jobs::UnpackOptions options;
  options.strip_first = strip;
  options.shown = words[1];
  options.base_dir = words[3];
  if (words.size() == 5) options.max_bytes = std::strtoull(words[4].c_str(), nullptr, 10);
  return zip ? sluice::jobs::unpack_zip(words[0], words[2], options)
             : sluice::jobs::unpack_tar(words[0], words[2], options);
}

Status unpack_image(const std::vector<std::string>& words) {
  auto list = sluice::read_all(0, std::size_t{64} << 20);
  if (!list) return sluice::forward(list);
  std::vector<std::string> archives;
  for (std::size_t at = 0; at < list->size();) {
    archives.emplace_back(list->c_str() + at);
    at += archives.back().size() + 1;
  }
  sluice::jobs::UnpackOptions options;
  options.shown = words[0];
  return sluice::jobs::unpack_layers(archives, words[1], words[2], options);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto option = [&](const char* name) {
    const bool given = !words.empty() && words[0] == name;
    if (given) words.erase(words.begin());
    return given;
  };
  const bool layers = option("--layers");
  const bool zip = !layers && option("--zip");
  const bool strip = !layers && option("--strip");
  if (layers ? words.size() != 3 : words.size() != 4 && words.size() != 5) {
    std::fputs(
        "usage: sluice-unpack [--zip] [--strip] ARCHIVE SHOWN DIRECTORY BASE-DIR [MAX-BYTES]\n"
        "       sluice-unpack --layers SHOWN DIRECTORY SCRATCH <ARCHIVES\n",
        stderr);
    return 2;
  }
  // A decoder that is led astray gets no more memory than any archive needs, and no new privileges.
#ifndef __SANITIZE_ADDRESS__  // which takes terabytes of addresses for itself
  const rlimit memory{rlim_t{4} << 30, rlim_t{4} << 30};
  ::setrlimit(RLIMIT_AS, &memory);
#endif
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  auto done = layers ? unpack_image(words) : unpack_archive(words, zip, strip);
  if (done) return 0;
  [[maybe_unused]] auto written =
      sluice::write_all(1, sluice::wire::encode(sluice::wire::ErrorBody::from(done.error())));
  return 1;
}
