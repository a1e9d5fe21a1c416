#include "scheduler/journal.h"

namespace sluice::scheduler {

std::string change_name(std::string_view packed) {
  auto document = wire::Document::parse(packed);
  if (!document) return {};
  std::string_view name;
  const wire::Value field = document->root().find("change");
  if (!field.valid() || !field.get_string(name)) return {};
  return std::string(name);
}

}  // namespace sluice::scheduler
