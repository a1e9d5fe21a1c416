// Runs a fuzz target over the files of a corpus, with any compiler: what the
// fuzzer has found stays found. Usage: PROGRAM DIRECTORY
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::error_code error;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) {
    const auto bytes = sluice::read_file(entry.path());
    if (!bytes) {
      std::fprintf(stderr, "%s\n", bytes.error().str().c_str());
      return 1;
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size());
    ++count;
  }
  std::printf("%d inputs\n", count);
  // An empty corpus would test nothing.
  return count > 0 && !error ? 0 : 1;
}
