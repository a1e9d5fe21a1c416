#include "base/threads.h"

#include <system_error>

#include "base/try.h"

namespace sluice {

Result<std::thread> start_thread(std::function<void()> work) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error& error) {
    return fail_errno(error.code().value(), "a thread can't be started");
  }
}

void Helpers::start(std::size_t workers, const std::function<void()>& work) {
  for (std::size_t i = 1; i < workers; ++i) {
    if (!add(work)) return;
  }
}

Status Helpers::add(std::function<void()> work) {
  threads_.push_back(TRY(start_thread(std::move(work))));
  return {};
}

void Helpers::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace sluice
