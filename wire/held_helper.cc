#include "wire/held_helper.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/try.h"
#include "wire/job_protocol.h"

namespace sluice::wire {

Result<HeldHelper> HeldHelper::start(const std::string& program, const std::string& request,
                                     const std::string& directory) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const UniqueFd read_end(in[0]);
  HeldHelper helper;
  helper.in_.reset(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  helper.out_.reset(out[0]);
  UniqueFd write_end(out[1]);
  SpawnOptions options;
  options.argv = {find_program(program)};
  options.directory = directory;
  options.standard_input = read_end.get();
  options.standard_output = write_end.get();
  helper.process_ = TRY(spawn(options));
  CHECK(write_all(helper.in_.get(), frame(request)));
  return helper;
}

HeldHelper::~HeldHelper() {
  if (!process_.pidfd) return;
  [[maybe_unused]] auto sent = send_signal(process_, SIGKILL);
  wait_for(process_);
}

int HeldHelper::end() {
  const int status = wait_for(process_).code;
  process_.pidfd.reset();
  return status;
}

}  // namespace sluice::wire
