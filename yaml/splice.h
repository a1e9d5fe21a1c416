// Setting one value in the text of a YAML file without touching any other byte: comments,
// order, layout and ways of quoting stay as somebody wrote them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/node.h"

namespace sluice::yaml {

// The way from a file's top to a value: for each step 'k' and the key of a map, or 'i' and the
// index in a list, as in {"ksources", "i0", "kref"}.
using TreePath = std::vector<std::string>;

// The text with `value` at `path`. What isn't there yet is added at the end of the map or list that
// it belongs in, in the layout that BuildStream writes. A list or map that has the shape of the new
// one is changed value by value, another is written anew, and a value of kNull takes the last key
// of the path away. The result is parsed again and compared: it differs from `text` in this one
// value. Errors: load/invalid-yaml; load/cannot-splice where the layout is beyond this.
Result<std::string> splice(std::string_view text, const TreePath& path, const model::Node& value);

// The value at `path`; kNull when there is none. Errors: load/invalid-yaml.
Result<model::Node> value_at(std::string_view text, const TreePath& path);

}  // namespace sluice::yaml
