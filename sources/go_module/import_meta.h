// Who answers for the name of a module of Go says in a page of HTML which repository it is of:
// <meta name="go-import" content="PREFIX VCS URL [SUBDIRECTORY]">.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::sources::go_module {

struct ImportMeta {
  std::string prefix;        // the name of the repository's top, which the module's begins with
  std::string subdirectory;  // where in the repository that is; "" for its top
};
// The last of a page that is for `module`; std::nullopt when none is.
std::optional<ImportMeta> import_meta(std::string_view page, std::string_view module);

}  // namespace sluice::sources::go_module
