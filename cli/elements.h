// How `show` and `query` print elements: by --format, or as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/states.h"

namespace sluice::cli {

// What of an element its JSON has (docs/commands/show.md has the schema).
class JsonFields {
 public:
  static constexpr std::string_view kDefault = "name,kind,project,junction,key,state,dependencies";

  // `list`: names with commas between them, or "all". Error: "app"/"invalid-fields".
  static Result<JsonFields> parse(std::string_view list);

  bool has(std::string_view name) const;
  bool needs_body() const;
  bool needs_state() const { return has("state") || has("artifact"); }

 private:
  unsigned chosen_ = 0;  // bits, by the position in the table of all fields
};

// One document; the elements are on lines of their own. `states` may be null when no field needs
// the store; bodies are there when one needs them.
Result<std::string> elements_as_json(const LoadedProject& loaded, const JsonFields& fields,
                                     States* states);

// What a format or a list of fields asks the loader and the store for.
struct ElementOutput {
  std::string format;  // "": as the user's configuration says
  bool json = false;
  std::string fields;  // for JSON; "": the default
  std::string order = "stage";

  Result<bool> needs_bodies() const;
};

// Prints the selection, and reports an error itself. The exit status.
int print_elements(Invocation& invocation, LoadedProject& loaded, const ElementOutput& output);

}  // namespace sluice::cli
