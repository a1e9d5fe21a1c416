// All combinations of facts against the questions of BuildStream 2.8.1, in its order
// (_frontend/widget.py, show_pipeline), and Sluice's own one of what isn't supported.
#include "model/states.h"

#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

namespace sluice::model {
namespace {

// A row's columns, each a letter or '-' for any: references, junction, key, artifact, supported,
// sources, inputs. 'y' and 'n', of artifacts 'a'bsent, 'c'ached and 'f'ailed; '?' isn't known.
struct Row {
  std::string_view facts;
  std::string_view state;  // "": nothing is decided
};
constexpr Row kRows[] = {
    {"n------", "no reference"},
    {"yy-----", "junction"},
    {"yny?---", ""},
    {"ynyf---", "failed"},
    {"ynyc---", "cached"},
    {"ynyan--", "unsupported"},
    {"ynn-n--", "unsupported"},
    {"ynyay?-", ""},
    {"ynn-y?-", ""},
    {"ynyayn-", "fetch needed"},
    {"ynn-yn-", "fetch needed"},
    {"ynn-yy-", "waiting"},
    {"ynyayy?", ""},
    {"ynyayyy", "buildable"},
    {"ynyayyn", "waiting"},
};

std::vector<std::string> combinations() {
  std::vector<std::string> all{""};
  for (const std::string_view choices : {"yn", "yn", "yn", "?acf", "yn", "?yn", "?yn"}) {
    std::vector<std::string> longer;
    for (const std::string& one : all) {
      for (const char choice : choices) longer.push_back(one + choice);
    }
    all = std::move(longer);
  }
  return all;
}

std::optional<bool> known(char letter) {
  return letter == '?' ? std::nullopt : std::optional(letter == 'y');
}

StateFacts facts(std::string_view letters) {
  return {.has_refs = letters[0] == 'y',
          .is_junction = letters[1] == 'y',
          .is_supported = letters[4] == 'y',
          .has_key = letters[2] == 'y',
          .artifact = static_cast<ArtifactState>(std::string_view("?acf").find(letters[3])),
          .has_sources = known(letters[5]),
          .has_inputs = known(letters[6])};
}

bool fits(std::string_view row, std::string_view letters) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] != '-' && row[i] != letters[i]) return false;
  }
  return true;
}

TEST_CASE("every combination of facts has the state that BuildStream would say") {
  for (const std::string& letters : combinations()) {
    CAPTURE(letters);
    const Row* found = nullptr;
    for (const Row& row : kRows) {
      if (!fits(row.facts, letters)) continue;
      CHECK(found == nullptr);
      found = &row;
    }
    REQUIRE(found != nullptr);
    const auto state = state_of(facts(letters));
    CHECK((state ? text_of(*state) : "") == found->state);
  }
  CHECK(combinations().size() == 576);
}

TEST_CASE("a state is found by its text, and no other is") {
  for (const StateTraits& traits : kElementStates) {
    CHECK(named<ElementState>(traits.name) == traits.state);
    CHECK(text_of(traits.state) == traits.name);
  }
  CHECK_FALSE(named<ElementState>("inconsistent"));
}

TEST_CASE("an element's own facts: a weak key is one where builds aren't strict") {
  Element element;
  element.keys.weak = "w";
  CHECK_FALSE(facts_of(element, true).has_key);
  CHECK(facts_of(element, false).has_key);
  element.keys.strict = "s";
  CHECK(facts_of(element, true).has_key);
  element.kind = "junction";
  CHECK(state_of(facts_of(element, true)) == ElementState::kJunction);
  element.sources_resolved = false;
  CHECK(state_of(facts_of(element, true)) == ElementState::kNoReference);
  element.unsupported_by = 1;
  CHECK_FALSE(facts_of(element, true).is_supported);
}

}  // namespace
}  // namespace sluice::model
