// Writes the corpus that the decoder's fuzzer starts from: one sample of each type, and
// inputs for the parts without one. Usage: decoder_seeds DIRECTORY
#include <cstdio>
#include <string>

#include "base/file.h"
#include "tests/support/wire_samples.h"
#include "wire/snapshot.h"

using namespace sluice;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  bool fine = true;
  const auto write = [&](const std::string& name, unsigned char chosen, const std::string& bytes) {
    const auto written =
        write_file_atomic(std::string(argv[1]) + "/" + name, static_cast<char>(chosen) + bytes);
    if (!written) std::fprintf(stderr, "%s\n", written.error().str().c_str());
    fine = fine && written.has_value();
  };
  unsigned char number = 0;
  testing::for_each_message([&]<typename T>(const char* name) {
    write(std::string("seed-") + name, number++, wire::encode(testing::sample<T>()));
  });
  write("seed-codec", 0xff, wire::encode(testing::sample<wire::Event>()));
  model::Snapshot snapshot;
  testing::Filler filler;
  filler.fill("projects", snapshot.projects);
  filler.fill("settings", snapshot.settings);
  model::Element element;
  element.name = element.full_name = "a.bst";
  element.body = wire::pack_body(testing::sample<model::ElementBody>());
  snapshot.elements = {element};
  snapshot.targets = {0};
  write("seed-snapshot", 0xfe, wire::pack_snapshot(snapshot));
  return fine ? 0 : 1;
}
