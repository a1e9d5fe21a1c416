// A project as the kind of a source sees it (sources/key.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "loader/project/project.h"
#include "sources/key.h"

namespace sluice::loader {

// Adds a warning to `warnings`; an error at `at` where the project makes one of warnings of that
// name. A warning without a name never is.
Status add_warning(const Project& project, std::string_view name, std::string_view text,
                   std::string_view detail, const Provenance& at,
                   std::vector<std::string>& warnings);

class SourceProject final : public sources::Project {
 public:
  // For a source of `kind` at `mark`. What the kind warns of is appended to `warnings`. All
  // arguments must outlive this.
  SourceProject(loader::Project& project, std::string_view kind, const Mark& mark, bool first_pass,
                std::vector<std::string>& warnings)
      : project_(project), kind_(kind), mark_(mark), first_pass_(first_pass), warnings_(warnings) {}

  Result<std::string> checked_path(const Node& path, PathKind kind) override;
  std::string absolute(std::string_view path) override;
  Result<std::string_view> read(Arena& arena, const std::string& absolute_path) override;
  std::vector<std::string> names(const std::string& absolute_path) override;
  Status check_url(std::string_view url) override;
  Result<std::string> translate_url(std::string_view url) override;
  Result<std::vector<std::string>> download_urls(std::string_view url) override;
  Status warn(std::string_view name, std::string_view text, std::string_view detail) override;
  std::vector<std::string> aliases() override;

 private:
  loader::Project& project_;
  std::string_view kind_;
  const Mark& mark_;
  bool first_pass_;
  std::vector<std::string>& warnings_;
};

}  // namespace sluice::loader
