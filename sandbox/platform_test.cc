// What a machine says of itself to a session.
#include "sandbox/platform.h"

#include <catch2/catch.hpp>

#include "model/model.h"
#include "sandbox/fingerprint.h"
#include "sandbox/sandbox.h"
#include "tests/support/test_directory.h"

namespace sluice::sandbox {

namespace {

constexpr const char* kArm64 = "7f454c460201010000000000000000000200b700";
constexpr const char* kPower = "7f454c4602020100000000000000000000020015";

std::string format(const char* state, const char* flags, const char* magic) {
  return std::string(state) + "\ninterpreter /usr/libexec/qemu\nflags: " + flags +
         "\noffset 0\nmagic " + magic + "\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
}

}  // namespace

TEST_CASE("The host's platform is what builds without one are for, and its sister runs there") {
  const std::string host = host_platform();
  INFO(host);
  REQUIRE(host.starts_with("linux/"));
  model::Sandbox sandbox;
  sandbox.build_os = "linux";
  sandbox.build_arch = host.substr(6);
  REQUIRE(narrow_platform(sandbox));
  CHECK_FALSE(*narrow_platform(sandbox));
  if (const std::string narrow = narrow_platform_of(host); !narrow.empty()) {
    sandbox.build_arch = narrow.substr(6);
    REQUIRE(narrow_platform(sandbox));
    CHECK(*narrow_platform(sandbox));
  }
  sandbox.build_arch = "sparc-v10";
  const auto other = narrow_platform(sandbox);
  REQUIRE_FALSE(other);
  CHECK(other.error().message.find("ISA 'sparc-v10' is not supported") != std::string::npos);
}

TEST_CASE("Sisters of platforms are known wherever one asks") {
  CHECK(narrow_platform_of("linux/x86-64") == "linux/x86-32");
  CHECK(narrow_platform_of("linux/aarch64") == "linux/aarch32");
  CHECK(narrow_platform_of("linux/rv64g").empty());
  CHECK(narrow_platform_of("nonsense").empty());
  CHECK(platform_text("linux", "x86-64") == "linux/x86-64");
  CHECK(platform_text("linux", "").empty());
}

TEST_CASE("Emulators count when they are enabled and can be reached from a sandbox's root") {
  const TestDirectory formats;
  CHECK(emulated_platforms(formats / "nothing").empty());
  formats.write("register", "");
  formats.write("status", "enabled\n");
  formats.write("some-emulator", format("enabled", "POCF", kPower));
  formats.write("qemu-aarch64", format("enabled", "OC", kArm64));
  formats.write("jar", "enabled\ninterpreter /usr/bin/jexec\nflags: F\nextension .jar\n");
  formats.write("python", format("enabled", "F", "a70d0d0a"));
  CHECK(emulated_platforms(formats.str()) == std::vector<std::string>{"linux/power-isa-be"});
  formats.write("qemu-aarch64", format("disabled", "F", kArm64));
  CHECK(emulated_platforms(formats.str()) == std::vector<std::string>{"linux/power-isa-be"});
  formats.write("qemu-aarch64", format("enabled", "F", kArm64));
  // What runs by itself is not emulated.
  const auto found = emulated_platforms(formats.str());
  const bool native = host_platform() == "linux/aarch64";
  CHECK(found == (native ? std::vector<std::string>{"linux/power-isa-be"}
                         : std::vector<std::string>{"linux/aarch64", "linux/power-isa-be"}));
}

TEST_CASE("A fingerprint says what shapes a build, the same each time") {
  const std::string text = build_fingerprint();
  INFO(text);
  CHECK(text.starts_with("rules 1, "));
  CHECK(text.find("bubblewrap") != std::string::npos);
  CHECK(text.find("overlayfs") != std::string::npos);
  CHECK(text.find("seccomp") != std::string::npos);
  CHECK(build_fingerprint() == text);
}

TEST_CASE("A machine has one name for as long as it runs") {
  CHECK_FALSE(machine_id().empty());
  CHECK(machine_id() == machine_id());
  CHECK(machine_id().find('\n') == std::string::npos);
}

}  // namespace sluice::sandbox
