#include "loader/project/options.h"

#include <algorithm>
#include <filesystem>

#include <sched.h>
#include <sys/utsname.h>

#include <fmt/format.h>

#include "base/suggest.h"
#include "base/try.h"
#include "loader/yaml.h"
#include "project/lookups.h"

namespace sluice::loader {

namespace {

constexpr std::string_view kTypes[] = {"bool", "enum", "flags", "element-mask", "arch", "os"};

struct ArchName {
  std::string_view name;
  std::string_view canonical;
};
// Every spelling that BuildStream knows; the canonical ones follow GNU config and the
// Remote Execution API.
constexpr ArchName kArchitectures[] = {
    {"aarch32", "aarch32"},
    {"aarch64", "aarch64"},
    {"aarch64-be", "aarch64-be"},
    {"amd64", "x86-64"},
    {"arm", "aarch32"},
    {"armv8b", "aarch64-be"},
    {"armv8l", "aarch64"},
    {"i386", "x86-32"},
    {"i486", "x86-32"},
    {"i586", "x86-32"},
    {"i686", "x86-32"},
    {"la64v100", "la64v100"},
    {"loong64", "la64v100"},
    {"loongarch64", "la64v100"},
    {"power-isa-be", "power-isa-be"},
    {"power-isa-le", "power-isa-le"},
    {"powerpc", "power-isa-be"},
    {"powerpc64", "power-isa-be"},
    {"powerpc64le", "power-isa-le"},
    {"ppc64", "power-isa-be"},
    {"ppc64le", "power-isa-le"},
    {"riscv32", "rv32g"},
    {"riscv64", "rv64g"},
    {"rv32g", "rv32g"},
    {"rv64g", "rv64g"},
    {"sparc", "sparc-v9"},
    {"sparc64", "sparc-v9"},
    {"sparc-v9", "sparc-v9"},
    {"sun4v", "sparc-v9"},
    {"x86-32", "x86-32"},
    {"x86-64", "x86-64"},
};

std::string_view type_name(int type) {
  static constexpr std::string_view kNames[] = {"bool", "enum", "flags",
                                                "arch", "os",   "element-mask"};
  return kNames[type];
}

std::string python_list(const std::vector<std::string>& strings) {
  std::string text = "[";
  for (const std::string& string : strings)
    text += fmt::format("{}'{}'", text.size() == 1 ? "" : ", ", string);
  return text + "]";
}

}  // namespace

Result<std::string> canonical_arch(std::string_view arch) {
  std::string name(arch);
  for (char& c : name)
    c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const ArchName& known : kArchitectures) {
    if (known.name == name) return std::string(known.canonical);
  }
  return fail("platform", "", fmt::format("Unknown architecture: {}", arch));
}

Result<Platform> host_platform() {
  utsname name{};
  if (::uname(&name) != 0) return fail_errno(errno, "uname");
  Platform platform;
  platform.os = name.sysname;
  platform.arch = TRY(canonical_arch(name.machine));
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    platform.cpus = static_cast<std::uint32_t>(CPU_COUNT(&set));
  return platform;
}

Status Options::declare(const Node& declarations) {
  for (const Entry& entry : declarations.entries()) {
    const Node& node = *entry.value;
    CHECK(assert_symbol_name(entry.key, "option name", node, false));
    if (!node.is_map())
      return invalid_data(
          node, fmt::format("Value of '{}' is not of the expected type 'dict'", entry.key));
    const std::string_view type = TRY(get_enum(node, "type", kTypes));
    Option option;
    option.name = entry.key;
    option.type = type == "bool"    ? Type::kBool
                  : type == "enum"  ? Type::kEnum
                  : type == "flags" ? Type::kFlags
                  : type == "arch"  ? Type::kArch
                  : type == "os"    ? Type::kOs
                                    : Type::kElementMask;
    TRY(get_string(node, "description"));
    if (const Node* variable = TRY(find_scalar(node, "variable"))) {
      CHECK(assert_symbol_name(variable->text, "variable name", *variable));
      option.variable = variable->text;
    }
    switch (option.type) {
      case Type::kBool: CHECK(load_bool(node, option)); break;
      case Type::kEnum:
      case Type::kArch:
      case Type::kOs: CHECK(load_choice(node, option)); break;
      case Type::kFlags:
      case Type::kElementMask: CHECK(load_flags(node, option)); break;
    }
    if (Option* again = find(option.name)) {
      *again = std::move(option);
    } else {
      options_.push_back(std::move(option));
    }
  }
  return {};
}

Status Options::load_bool(const Node& node, Option& option) const {
  CHECK(validate_keys(node, {"type", "description", "variable", "default"}));
  option.flag = TRY(get_bool(node, "default"));
  return {};
}

Status Options::load_choice(const Node& node, Option& option) const {
  if (option.type == Type::kEnum) {
    CHECK(validate_keys(node, {"type", "description", "variable", "values", "default"}));
  } else {
    CHECK(validate_keys(node, {"type", "description", "variable", "values"}));
  }
  option.values = TRY(find_strings(node, "values"));
  const std::string_view type = type_name(static_cast<int>(option.type));
  if (option.values.empty())
    return invalid_data(node,
                        fmt::format("No values specified for {} option '{}'", type, option.name));
  switch (option.type) {
    case Type::kEnum: {
      const Node* value = TRY(get_scalar(node, "default"));
      option.text = value->text;
      return validate(option, value);
    }
    case Type::kArch: {
      // All values are looked at, so that a name that means nothing is always found.
      bool found = false;
      for (const Node* item : TRY(get_list(node, "values"))->items()) {
        const auto canonical = canonical_arch(item->text);
        if (!canonical) {
          return invalid_data(*item, fmt::format("Invalid value for {} option '{}': {}", type,
                                                 option.name, canonical.error().message));
        }
        if (!found && *canonical == platform_->arch) {
          option.text = item->text;
          found = true;
        }
      }
      // Another architecture may still be chosen; resolve() has the last word.
      if (!found) option.text = platform_->arch;
      return {};
    }
    default: option.text = platform_->os; return {};
  }
}

Status Options::load_flags(const Node& node, Option& option) const {
  if (option.type == Type::kFlags) {
    CHECK(validate_keys(node, {"type", "description", "variable", "default", "values"}));
    option.values = TRY(find_strings(node, "values"));
  } else {
    CHECK(validate_keys(node, {"type", "description", "variable", "default"}));
    // The values are in the order of the file system, directories where they are met.
    const auto collect = [&](const auto& self, const std::string& relative) -> void {
      for (const Lookups::Entry& entry :
           lookups_->list(relative.empty() ? element_path_ : element_path_ + "/" + relative)) {
        const std::string below = relative.empty() ? entry.name : relative + "/" + entry.name;
        if (std::filesystem::path(entry.name).extension() == ".bst") option.values.push_back(below);
        if (entry.is_directory && !entry.is_link) self(self, below);
      }
    };
    if (lookups_ != nullptr) collect(collect, "");
  }
  if (option.values.empty()) {
    return invalid_data(node, fmt::format("No values specified for {} option '{}'",
                                          type_name(static_cast<int>(option.type)), option.name));
  }
  const Node* value = TRY(find_list(node, "default"));
  if (value == nullptr) return {};
  option.flags = TRY(as_strings(*value));
  return validate(option, value);
}

Status Options::validate(const Option& option, const Node* at) const {
  const Provenance where = at != nullptr ? provenance(*at) : Provenance{};
  const auto valid = [&](const std::string& value) {
    return std::find(option.values.begin(), option.values.end(), value) != option.values.end();
  };
  const auto detail = [&](const std::string& value) {
    const std::string meant = did_you_mean(nearest(value, option.values));
    return fmt::format("Valid values: {}{}{}", fmt::join(option.values, ", "),
                       meant.empty() ? "" : "\n", meant);
  };
  if (option.type == Type::kFlags || option.type == Type::kElementMask) {
    for (const std::string& flag : option.flags) {
      if (valid(flag)) continue;
      return fail("load", "invalid-data",
                  fmt::format("Invalid value for flags option '{}': {}", option.name,
                              python_list(option.flags)),
                  where, detail(flag));
    }
    return {};
  }
  if (valid(option.text)) return {};
  return fail("load", "invalid-data",
              fmt::format("Invalid value for {} option '{}': {}",
                          type_name(static_cast<int>(option.type)), option.name, option.text),
              where, detail(option.text));
}

Options::Option* Options::find(std::string_view name) {
  for (Option& option : options_) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::string Options::meant_by(std::string_view name) const {
  if (options_.empty()) return "This project has no options.";
  std::vector<std::string> names;
  for (const Option& option : options_) names.push_back(option.name);
  const std::string meant = did_you_mean(nearest(name, names));
  return meant.empty() ? fmt::format("This project's options: {}", fmt::join(names, ", ")) : meant;
}

Status Options::set_from_map(const Node& values) {
  for (const Entry& entry : values.entries()) {
    Option* option = find(entry.key);
    if (option == nullptr)
      return invalid_data(*entry.value, fmt::format("Unknown option '{}' specified", entry.key),
                          meant_by(entry.key));
    switch (option->type) {
      case Type::kBool: option->flag = TRY(get_bool(values, entry.key)); break;
      case Type::kEnum:
      case Type::kArch:
      case Type::kOs:
        option->text = TRY(get_string(values, entry.key));
        CHECK(validate(*option, entry.value));
        break;
      case Type::kFlags:
      case Type::kElementMask:
        option->flags = TRY(get_strings(values, entry.key));
        std::sort(option->flags.begin(), option->flags.end());
        CHECK(validate(*option, entry.value));
        break;
    }
  }
  return {};
}

Status Options::set_from_command_line(
    const std::vector<std::pair<std::string, std::string>>& values, bool ignore_unknown) {
  for (const auto& [name, value] : values) {
    Option* option = find(name);
    if (option == nullptr) {
      if (ignore_unknown) continue;
      return fail("load", "invalid-data",
                  fmt::format("Unknown option '{}' specified on the command line", name), {},
                  meant_by(name));
    }
    switch (option->type) {
      case Type::kBool:
        if (value != "True" && value != "true" && value != "False" && value != "false") {
          return fail("load", "invalid-data",
                      fmt::format("Invalid value for boolean option {}: {}", name, value), {},
                      "Valid values: True, False");
        }
        option->flag = value == "True" || value == "true";
        break;
      case Type::kEnum:
      case Type::kArch:
      case Type::kOs:
        option->text = value;
        CHECK(validate(*option, nullptr));
        break;
      case Type::kFlags:
      case Type::kElementMask: {
        option->flags.assign(1, {});
        for (const char c : value) {
          if (c == ',') {
            option->flags.emplace_back();
          } else if (!strip(std::string_view(&c, 1)).empty()) {
            option->flags.back() += c;
          }
        }
        CHECK(validate(*option, nullptr));
        std::sort(option->flags.begin(), option->flags.end());
        break;
      }
    }
  }
  return {};
}

Status Options::resolve() {
  for (const Option& option : options_) {
    Value value;
    switch (option.type) {
      case Type::kBool: value.data = option.flag; break;
      case Type::kArch:
      case Type::kOs: CHECK(validate(option, nullptr)); [[fallthrough]];
      case Type::kEnum: value.data = option.text; break;
      case Type::kFlags:
      case Type::kElementMask: {
        ValueList list;
        for (const std::string& flag : option.flags) list.push_back(Value{flag});
        value.data = std::move(list);
        break;
      }
    }
    values_[option.name] = std::move(value);
  }
  return {};
}

std::string Options::text_of(const Option& option) {
  if (option.type == Type::kBool) return option.flag ? "1" : "0";
  if (option.type == Type::kFlags || option.type == Type::kElementMask)
    return fmt::format("{}", fmt::join(option.flags, ","));
  return option.text;
}

model::StringMap Options::printable() const {
  model::StringMap all;
  for (const Option& option : options_) all.emplace_back(option.name, text_of(option));
  std::sort(all.begin(), all.end());
  return all;
}

void Options::export_variables(Arena& arena, Node& variables) const {
  for (const Option& option : options_) {
    if (option.variable.empty()) continue;
    const std::string text = text_of(option);
    const Node* old = variables.find(option.variable);
    variables.set(arena, arena.copy(option.variable),
                  make_scalar(arena, arena.copy(text), old != nullptr ? old->mark : Mark{}));
  }
}

Status Options::process(Arena& arena, Node& node,
                        std::span<const std::string_view> restricted) const {
  // A branch of a conditional may have conditionals again.
  while (TRY(process_one(arena, node, restricted))) {
  }
  for (const Entry& entry : node.entries()) {
    if (entry.value->is_map()) CHECK(process(arena, *entry.value));
    if (entry.value->is_list()) CHECK(process_list(arena, *entry.value));
  }
  return {};
}

Status Options::process_list(Arena& arena, Node& list) const {
  for (Node* item : list.items()) {
    if (item->is_map()) CHECK(process(arena, *item));
    if (item->is_list()) CHECK(process_list(arena, *item));
  }
  return {};
}

Result<bool> Options::process_one(Arena& arena, Node& node,
                                  std::span<const std::string_view> restricted) const {
  const Node* conditions = TRY(find_list(node, "(?)"));
  const Node* assertion = TRY(find_scalar(node, "(!)"));
  // Assertions of this map come first, so that a later one doesn't hide an earlier.
  if (assertion != nullptr)
    return load_error(*assertion, "user-assertion", std::string(assertion->text));
  if (conditions == nullptr) return false;
  node.remove("(?)");
  for (const Node* condition : conditions->items()) {
    if (!condition->is_map() || condition->empty())
      return invalid_data(*condition, "Conditional statement is not a dictionary with one key");
    if (condition->size() > 1)
      return invalid_data(*condition, "Conditional statement has more than one key");
    const auto& [expression, fragment] = condition->entries().front();
    auto applies = evaluate(expression, values_);
    if (!applies) {
      applies.error().provenance = provenance(*condition);
      return forward(applies);
    }
    if (!fragment->is_map()) {
      return load_error(*condition, "illegal-composite",
                        "Only values of type 'dict' can be composed.");
    }
    for (std::string_view key : restricted) {
      if (const Node* value = fragment->find(key)) {
        return load_error(*value, "illegal-composite",
                          fmt::format("The '{}' key cannot be specified conditionally.", key));
      }
    }
    if (*applies) CHECK(compose(arena, *fragment, node));
  }
  return true;
}

}  // namespace sluice::loader
