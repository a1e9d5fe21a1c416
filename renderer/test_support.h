// For the tests of this folder: events from JSON, sinks that can be looked into.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "renderer/output.h"

namespace sluice::renderer {

inline std::string packed(const nlohmann::json& event) {
  const auto bytes = nlohmann::json::to_msgpack(event);
  return {bytes.begin(), bytes.end()};
}

// One event of JSON on a line. `replace` is put in for "WORK" in it.
inline std::vector<std::string> load_events(const std::string& path,
                                            const std::string& replace = "WORK") {
  auto text = read_file(path);
  REQUIRE(text);
  std::vector<std::string> events;
  for (const auto line : split_lines(*text)) {
    std::string json(line);
    for (auto at = json.find("WORK"); at != std::string::npos;
         at = json.find("WORK", at + replace.size())) {
      json.replace(at, 4, replace);
    }
    events.push_back(packed(nlohmann::json::parse(json)));
  }
  return events;
}

// Takes what it is allowed to; keeps every write apart.
class TestSink final : public Sink {
 public:
  Result<std::size_t> write(std::string_view data) override {
    const std::size_t take = std::min(data.size(), room);
    if (take == 0) return 0;
    room -= take;
    writes.emplace_back(data.substr(0, take));
    return take;
  }
  std::string all() const {
    std::string out;
    for (const auto& write : writes) out += write;
    return out;
  }

  std::size_t room = static_cast<std::size_t>(-1);
  std::vector<std::string> writes;
};

// The first lines that differ; "" when all are equal.
inline std::string first_difference(const std::string& actual, const std::string& expected) {
  const auto is = split_lines(actual), should = split_lines(expected);
  for (std::size_t i = 0; i < std::max(is.size(), should.size()); ++i) {
    const auto a = i < is.size() ? is[i] : "(end)", b = i < should.size() ? should[i] : "(end)";
    if (a != b)
      return "line " + std::to_string(i + 1) + ": is\n" + std::string(a) + "\nshould be\n" +
             std::string(b);
  }
  return {};
}

// Compares with a golden file; SLUICE_APPROVE=1 writes it.
inline void check_golden(const std::string& path, const std::string& actual) {
  const char* approve = std::getenv("SLUICE_APPROVE");
  if (approve != nullptr && std::string_view(approve) == "1") {
    REQUIRE(write_file_atomic(path, actual));
    WARN("approved " << path);
    return;
  }
  const auto expected = read_file(path);
  REQUIRE(expected);
  CHECK(first_difference(actual, *expected) == "");
}

}  // namespace sluice::renderer
