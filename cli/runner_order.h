// What `runner start` has every engine say to the runners that it starts.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::cli {

struct RunnerOrder {
  std::string session;               // id
  std::string join;                  // the join file's text, on one line, without its end
  std::string program;               // `sluice` there: a path, or looked for in PATH
  std::vector<std::string> options;  // of `runner join`
};

// The text of a join file on one line. Error "join"/"bad-join".
Result<std::string> on_one_line(const std::string& path, const std::string& text);

// A word as a shell reads it back, whatever is in it.
std::string shell_word(const std::string& word);

}  // namespace sluice::cli
