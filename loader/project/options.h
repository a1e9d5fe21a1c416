// A project's options: declared in project.conf, set by the user's configuration and
// the command line, used by conditionals and exported as variables.
//
// Types: bool, enum, flags, arch, os, element-mask (buildstream/_options/).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/python/expression.h"
#include "loader/yaml.h"

namespace sluice::project {
class Lookups;
}

namespace sluice::loader {

// What the machine is, in BuildStream's terms.
struct Platform {
  std::string os;          // uname's system, as it is: "Linux"
  std::string arch;        // canonical: "x86-64"
  std::uint32_t cpus = 1;  // that this process may use
};
Result<Platform> host_platform();

// The architecture as BuildStream calls it, "x86-64" for "amd64" or "x86_64". Errors: a platform
// error without a reason for what isn't known.
Result<std::string> canonical_arch(std::string_view arch);

class Options {
 public:
  explicit Options(const Platform& platform) : platform_(&platform) {}

  // Sets where the type element-mask finds its values.
  void set_element_path(Lookups& lookups, std::string path) {
    lookups_ = &lookups;
    element_path_ = std::move(path);
  }

  // Declares the options of `options:` in project.conf.
  Status declare(const Node& declarations);
  // Sets those of `projects: NAME: options:` in the user's configuration.
  Status set_from_map(const Node& values);
  // Sets those of --option NAME VALUE. What isn't declared is an error, or passed over.
  Status set_from_command_line(const std::vector<std::pair<std::string, std::string>>& values,
                               bool ignore_unknown);
  // Does the last checks, after all options are set. Only then may the functions below be called.
  Status resolve();

  // Sets the variables that options export.
  void export_variables(Arena& arena, Node& variables) const;

  // Every option with its value as text, sorted by name.
  model::StringMap printable() const;

  // Evaluates every conditional `(?)` and assertion `(!)` in a tree, in place. Keys in `restricted`
  // may not be set conditionally at the top. Errors: load/expression-failed, user-assertion,
  // illegal-composite, invalid-data.
  Status process(Arena& arena, Node& node, std::span<const std::string_view> restricted = {}) const;

 private:
  enum class Type { kBool, kEnum, kFlags, kArch, kOs, kElementMask };
  struct Option {
    Type type = Type::kBool;
    std::string name;
    std::string variable;
    std::vector<std::string> values;  // that it may have
    bool flag = false;
    std::string text;
    std::vector<std::string> flags;
  };

  static std::string text_of(const Option& option);
  // What is said to somebody who named an option that isn't declared.
  std::string meant_by(std::string_view name) const;
  Status load_bool(const Node& node, Option& option) const;
  Status load_choice(const Node& node, Option& option) const;
  Status load_flags(const Node& node, Option& option) const;
  Status validate(const Option& option, const Node* at) const;
  Option* find(std::string_view name);
  Result<bool> process_one(Arena& arena, Node& node,
                           std::span<const std::string_view> restricted) const;
  Status process_list(Arena& arena, Node& list) const;

  const Platform* platform_;
  Lookups* lookups_ = nullptr;
  std::string element_path_;
  std::vector<Option> options_;
  ValueMap values_;
};

}  // namespace sluice::loader
