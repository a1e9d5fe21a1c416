#include "cli/load.h"

#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "base/try.h"
#include "wire/snapshot.h"

namespace sluice::cli {

Result<LoadedProject> load_once(const wire::LoadArguments& arguments) {
  int input[2];
  int output[2];
  if (::pipe2(input, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd input_read(input[0]);
  UniqueFd input_write(input[1]);
  if (::pipe2(output, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd output_read(output[0]);
  UniqueFd output_write(output[1]);
  // A snapshot is read in fewer, larger pieces; it is only a wish.
  ::fcntl(output_read.get(), F_SETPIPE_SZ, 1 << 20);

  SpawnOptions options;
  options.argv = {find_program("sluice-loader"), "--one-shot"};
  options.standard_input = input_read.get();
  options.standard_output = output_write.get();
  options.die_with_parent = true;
  auto process = TRY(spawn(options));
  input_read.reset();
  output_write.reset();

  // A loader that dies early makes the write fail (SIGPIPE is ignored); its status says more.
  (void)write_all(input_write.get(), wire::encode(arguments));
  input_write.reset();
  auto answer = read_all(output_read.get());
  const ExitStatus status = wait_for(process);
  if (!answer) return forward(answer);
  // The answer is our own program's, and holds all bodies of a project.
  wire::Limits limits;
  limits.bytes = limits.string = std::size_t{4} << 30;
  auto result = answer->empty() ? fail("app", "loader-failed", "no answer")
                                : wire::decode<wire::LoadResult>(*answer, limits);
  if (!result) {
    return fail(
        "app", "loader-failed",
        fmt::format("sluice-loader ended with status {} and without a usable answer", status.code),
        {}, result.error().message);
  }
  if (result->error) return tl::unexpected<Error>(result->error->to_error());
  // Large, and what is made of it is large too.
  std::string().swap(*answer);
  auto snapshot = TRY(wire::unpack_snapshot(result->snapshot.bytes, arguments.wanted.bodies));
  LoadedProject loaded{std::move(snapshot), std::move(result->selection)};
  for (const auto index : loaded.selection) {
    if (index >= loaded.snapshot.elements.size())
      return fail("app", "loader-failed", "the selection names an element that isn't there");
  }
  return loaded;
}

Result<model::Settings> check_project(wire::LoadArguments arguments, bool complete) {
  arguments.wanted.project_only = complete ? "complete" : "first";
  arguments.wanted.bodies = false;
  auto loaded = TRY(load_once(arguments));
  return std::move(loaded.snapshot.settings);
}

}  // namespace sluice::cli
