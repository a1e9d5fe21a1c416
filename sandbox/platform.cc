#include "sandbox/platform.h"

#include <algorithm>
#include <cctype>

#include <dirent.h>
#include <sys/utsname.h>

#include "base/file.h"

namespace sluice::sandbox {

namespace {

struct Machine {
  std::string_view name;  // uname's
  std::string_view architecture, narrow;
};
constexpr Machine kMachines[] = {
    {"x86_64", "x86-64", "x86-32"},   {"aarch64", "aarch64", "aarch32"},
    {"armv8l", "aarch64", "aarch32"}, {"i686", "x86-32", ""},
    {"i586", "x86-32", ""},           {"ppc64le", "power-isa-le", ""},
    {"ppc64", "power-isa-be", ""},    {"riscv64", "rv64g", ""},
    {"loongarch64", "la64v100", ""},  {"sparc64", "sparc-v9", ""},
};

// The architecture that an ELF header is of: class (1: 32 bits, 2: 64), order of bytes (1: least
// first), machine (EM_ in elf.h).
struct ElfMachine {
  unsigned elf_class, order, machine;
  std::string_view architecture;
};
constexpr ElfMachine kElfMachines[] = {
    {2, 1, 62, "x86-64"},       {1, 1, 3, "x86-32"},   {2, 1, 183, "aarch64"},
    {2, 2, 183, "aarch64-be"},  {1, 1, 40, "aarch32"}, {2, 1, 21, "power-isa-le"},
    {2, 2, 21, "power-isa-be"}, {2, 1, 243, "rv64g"},  {2, 1, 258, "la64v100"},
    {2, 2, 43, "sparc-v9"},
};

std::string system_name() {
  utsname here{};
  ::uname(&here);
  std::string os = here.sysname;
  std::transform(os.begin(), os.end(), os.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return os;
}

// What a registered format's file says after `name` and a space; "" when it has no such line.
std::string_view line_of(std::string_view text, std::string_view name) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ' ')
      return line.substr(name.size() + 1);
    at = end + 1;
  }
  return {};
}

std::optional<unsigned> byte_of(std::string_view hexadecimal, std::size_t at) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (hexadecimal.size() < 2 * at + 2) return std::nullopt;
  const int high = digit(hexadecimal[2 * at]), low = digit(hexadecimal[2 * at + 1]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned>(high * 16 + low);
}

// The architecture whose programs a registered format is of; "" for what isn't ELF.
std::string_view architecture_of(std::string_view magic) {
  if (!magic.starts_with("7f454c46")) return {};
  const auto elf_class = byte_of(magic, 4), order = byte_of(magic, 5);
  const auto first = byte_of(magic, 18), second = byte_of(magic, 19);
  if (!elf_class || !order || !first || !second) return {};
  const unsigned machine = *order == 2 ? *first << 8 | *second : *second << 8 | *first;
  for (const ElfMachine& each : kElfMachines) {
    if (each.elf_class == *elf_class && each.order == *order && each.machine == machine)
      return each.architecture;
  }
  return {};
}

}  // namespace

std::string platform_text(std::string_view os, std::string_view architecture) {
  if (architecture.empty()) return {};
  return std::string(os) + "/" + std::string(architecture);
}

const std::string& host_platform() {
  static const std::string platform = [] {
    utsname here{};
    ::uname(&here);
    std::string_view architecture = here.machine;
    for (const Machine& machine : kMachines) {
      if (machine.name == here.machine) architecture = machine.architecture;
    }
    return platform_text(system_name(), architecture);
  }();
  return platform;
}

std::string narrow_platform_of(std::string_view platform) {
  const std::size_t slash = platform.find('/');
  if (slash == std::string_view::npos) return {};
  for (const Machine& machine : kMachines) {
    if (machine.architecture == platform.substr(slash + 1))
      return platform_text(platform.substr(0, slash), machine.narrow);
  }
  return {};
}

std::vector<std::string> emulated_platforms(const std::string& directory) {
  std::vector<std::string> found;
  DIR* const stream = ::opendir(directory.c_str());
  if (stream == nullptr) return found;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || name == "register" || name == "status") continue;
    const auto text = read_file(directory + "/" + entry->d_name);
    if (!text || !text->starts_with("enabled\n") ||
        line_of(*text, "flags:").find('F') == std::string_view::npos)
      continue;
    std::string platform = platform_text(system_name(), architecture_of(line_of(*text, "magic")));
    if (platform.empty() || platform == host_platform() ||
        platform == narrow_platform_of(host_platform()))
      continue;
    found.push_back(std::move(platform));
  }
  ::closedir(stream);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace sluice::sandbox
