// Completion of a command line that is being typed, as BuildStream's completion script asks for it.
//
// The shell's function sets _SLUICE_COMPLETION, COMP_WORDS (the words, separated by white space)
// and COMP_CWORD (which of them is completed, from 0). The answer is one word on a line; one that
// is final ends in a space, for the shell is told to add none. With _SLUICE_COMPLETION=described a
// tab and what --help says of the word follow, where that says something.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace sluice::cli {

struct CompletionRequest {
  // words between the program's name and the one that is completed
  std::vector<std::string> before;
  std::string word;  // may be empty
};

// _SLUICE_COMPLETION (or _BST_COMPLETION, which BuildStream's own script sets) is there.
inline bool completion_is_asked() {
  return std::getenv("_SLUICE_COMPLETION") != nullptr || std::getenv("_BST_COMPLETION") != nullptr;
}
// From the environment; nullopt when that makes no sense.
std::optional<CompletionRequest> completion_request();

struct Candidate {
  std::string word;
  std::string description;
};
// Sorted by the words, each once. None has control characters, which no shell could take.
std::vector<Candidate> complete(const CompletionRequest& request);

// The lines of the answer, as the environment asks for them.
std::string completion_answer(const CompletionRequest& request);

}  // namespace sluice::cli
