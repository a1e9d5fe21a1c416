// sluice-collect: see service.h.
#include <cstdio>

#include "base/file.h"
#include "renderer/collect/service.h"

int main(int argc, char** argv) { return sluice::collect::run({argv + 1, argv + argc}); }
