#include <cstdio>

#include "renderer/options.h"
#include "renderer/service.h"

int main(int argc, char** argv) {
  const auto options = sluice::renderer::parse_options({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "sluice-renderer: %s\n", options.error().message.c_str());
    return 2;
  }
  if (options->help) {
    std::fputs(sluice::renderer::usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("sluice-renderer " SLUICE_VERSION);
    return 0;
  }
  return sluice::renderer::run(*options);
}
