#include "elements/job_data.h"

#include "elements/root_paths.h"
#include "model/source_kinds.h"

namespace sluice::elements {

std::string JobData::variable(std::string_view name, std::string_view otherwise) const {
  const std::string* value = model::find_string(body.variables, name);
  return value != nullptr ? *value : std::string(otherwise);
}

std::string JobData::directory_variable(std::string_view name, std::string_view otherwise) const {
  std::string path = variable(name, otherwise);
  auto normal = normal_root_path(path);
  return normal ? std::move(*normal) : path;
}

bool JobData::workspaced() const { return model::has_workspace(body); }

}  // namespace sluice::elements
