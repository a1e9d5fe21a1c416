#include "loader/python/expression_callables.h"

#include <fmt/format.h>

#include "base/try.h"
#include "loader/python/expression_values.h"

namespace sluice::loader::callables {

const Callable* find(const std::vector<Callable>& table, std::string_view name) {
  for (const Callable& callable : table) {
    if (callable.name == name) return &callable;
  }
  return nullptr;
}

Result<Value> apply(const Callable& callable, const Value& subject, const Arguments& arguments) {
  std::vector<std::optional<Value>> given(callable.parameters.size());
  if (arguments.positional.size() > given.size()) {
    return expression_failure(fmt::format("'{}' takes at most {} arguments, not {}", callable.name,
                                          given.size(), arguments.positional.size()));
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), given.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto parameter = std::find(callable.parameters.begin(), callable.parameters.end(), name);
    const auto at = static_cast<std::size_t>(parameter - callable.parameters.begin());
    if (at == given.size())
      return expression_failure(
          fmt::format("'{}' takes no argument '{}' here", callable.name, name));
    if (given[at])
      return expression_failure(
          fmt::format("'{}' got its argument '{}' twice", callable.name, name));
    given[at] = value;
  }
  for (std::size_t i = 0; i < callable.required; ++i) {
    if (!given[i])
      return expression_failure(
          fmt::format("'{}' lacks its argument '{}'", callable.name, callable.parameters[i]));
  }
  return callable.call(subject, given);
}

Result<std::string> wanted_string(const Value& value) {
  CHECK(defined(value));
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  return expression_failure(fmt::format("expected a string, not '{}'", type_of(value)));
}

Result<std::int64_t> wanted_integer(const Value& value) {
  CHECK(defined(value));
  if (const auto integer = integer_of(value)) return *integer;
  return expression_failure(fmt::format("expected an integer, not '{}'", type_of(value)));
}

Result<std::int64_t> integer_or(const std::optional<Value>& value, std::int64_t otherwise) {
  if (!value || std::holds_alternative<std::monostate>(value->data)) return otherwise;
  return wanted_integer(*value);
}

Result<bool> flag_or(const std::optional<Value>& value, bool otherwise) {
  if (!value) return otherwise;
  return truth(*value);
}

}  // namespace sluice::loader::callables
