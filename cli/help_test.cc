#include "cli/help.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base/shell_words.h"
#include "base/text.h"
#include "cli/options.h"

using namespace sluice;
using namespace sluice::cli;

namespace {

using Strings = std::vector<std::string>;

void each_command(const CommandShape& shape, const std::function<void(const CommandShape&)>& then) {
  then(shape);
  for (const CommandShape& sub : shape.commands) each_command(sub, then);
}

// The words of an example without the first; what is after a pipe belongs to others.
Strings words_of(const std::string& command) {
  Strings words = shell_words(command);
  words.erase(std::find(words.begin(), words.end(), "|"), words.end());
  REQUIRE(words.front() == "sluice");
  words.erase(words.begin());
  return words;
}

bool one_word(std::string_view line) {
  const auto begin = line.find_first_not_of(' ');
  return line.find(' ', begin) == std::string_view::npos;
}

}  // namespace

TEST_CASE("the help of each command: the usage first, two examples, no line too wide") {
  std::size_t commands = 0;
  each_command(command_shape(), [&](const CommandShape& command) {
    INFO(command.path);
    ++commands;
    CHECK(command.examples.size() == 2);
    CHECK_FALSE(command.description.empty());
    for (const std::size_t columns : {40, 80, 120}) {
      const std::string help = help_text(command, columns);
      INFO(help);
      CHECK(help.starts_with("Usage: " + command.path));
      CHECK(help.find("\nExamples:\n") != std::string::npos);
      for (std::string_view line : split_lines(help)) {
        REQUIRE(line.ends_with('\n'));
        line.remove_suffix(1);
        CHECK_FALSE(line.ends_with(' '));
        if (display_width(line) <= columns) continue;
        INFO(line);
        // At 40 columns a word may be wider, and what stands in quotes isn't taken apart.
        CHECK(columns == 40);
        CHECK((one_word(line) || line.find('\'') != std::string_view::npos));
      }
    }
    for (const OptionShape& option : command.options) {
      INFO(option.names.front());
      CHECK_FALSE(option.description.empty());
    }
  });
  CHECK(commands > 40);
}

TEST_CASE("the examples are commands that the parser takes, each of its verb") {
  each_command(command_shape(), [](const CommandShape& command) {
    std::set<std::string> seen;
    for (const Example& example : command.examples) {
      INFO(example.command);
      CHECK(seen.insert(example.command).second);
      CHECK_FALSE(example.what.empty());
      const Strings words = words_of(example.command);
      const CommandLine line = parse_command_line(words);
      INFO(line.output);
      CHECK(line.status == kSuccess);
      // Only `help` is answered by the parser.
      CHECK((line.command.has_value() || words.front() == "help"));
      const std::string verb = line.command ? "sluice " + line.verb : "sluice help";
      // A group's are those of its verbs.
      CHECK((verb + " ").starts_with(command.path + " "));
    }
  });
}

TEST_CASE("arguments look as they are") {
  CHECK(argument_text({"ELEMENT", true, false, {}}) == "ELEMENT");
  CHECK(argument_text({"ELEMENTS", true, true, {}}) == "ELEMENTS...");
  CHECK(argument_text({"ELEMENT", false, false, {}}) == "[ELEMENT]");
  CHECK(argument_text({"ELEMENTS", false, true, {}}) == "[ELEMENTS]...");
  const auto usage = [](const Strings& words) {
    Strings all = words;
    all.emplace_back("--help");
    const std::string help = parse_command_line(all).output;
    return help.substr(0, help.find('\n'));
  };
  CHECK(usage({"why"}) == "Usage: sluice why [OPTIONS] ELEMENT [TARGETS]...");
  CHECK(usage({"workspace", "open"}) == "Usage: sluice workspace open [OPTIONS] ELEMENTS...");
  CHECK(usage({"source"}) == "Usage: sluice source [OPTIONS] COMMAND [ARGS]...");
  CHECK(usage({"session", "builders"}) == "Usage: sluice session builders [OPTIONS] N [ID]");
}

TEST_CASE("tables and paragraphs") {
  CommandShape command;
  command.path = "sluice x";
  command.description = "Does something";
  command.details =
      "A paragraph that is so long that it is wrapped, somewhere about here it must be.\n"
      "  term:  What it means, at such a length that there must be another line below this one\n";
  command.has_help = false;
  command.arguments = {{"A", true, false, {}}, {"MANY", false, true, {}}};
  command.examples = {{"sluice x with a great many words that go on and on", "Something"}};
  CHECK(help_text(command, 60) ==
        "Usage: sluice x [OPTIONS] A [MANY]...\n\n  Does something\n\n"
        "  A paragraph that is so long that it is wrapped, somewhere\n"
        "  about here it must be.\n"
        "    term:  What it means, at such a length that there must\n"
        "           be another line below this one\n"
        "\nExamples:\n  sluice x with a great many words that go on and on\n      Something\n");
  CHECK(help_text(command, 40) ==
        "Usage: sluice x [OPTIONS] A [MANY]...\n\n  Does something\n\n"
        "  A paragraph that is so long that it is\n"
        "  wrapped, somewhere about here it must\n"
        "  be.\n"
        "    term:\n"
        "        What it means, at such a length\n"
        "        that there must be another line\n"
        "        below this one\n"
        "\nExamples:\n  sluice x with a great many words \\\n      that go on and on\n      "
        "Something\n");
}

TEST_CASE("what was meant by a word that isn't known") {
  const auto said = [](const Strings& words) {
    const CommandLine line = parse_command_line(words);
    CHECK(line.status != kSuccess);
    const auto at = line.output.find("Did you mean ");
    return at == std::string::npos ? "" : line.output.substr(at, line.output.find('\n', at) - at);
  };
  CHECK(said({"biuld"}) == "Did you mean 'build'?");
  CHECK(said({"source", "fecth"}) == "Did you mean 'fetch'?");
  CHECK(said({"fetch", "a.bst"}) == "Did you mean 'source fetch'?");
  CHECK(said({"chekout"}) == "Did you mean 'source checkout' or 'artifact checkout'?");
  CHECK(said({"artifact", "fetch"}) == "Did you mean 'source fetch'?");
  CHECK(said({"artifact", "build"}) == "Did you mean 'build'?");
  CHECK(said({"build", "--dep", "all"}) == "Did you mean '--deps'?");
  CHECK(said({"build", "--retry-faild"}) == "Did you mean '--retry-failed'?");
  CHECK(said({"build", "--retry-faild=1"}) == "Did you mean '--retry-failed'?");
  CHECK(said({"show", "--bilders", "2"}) == "Did you mean '--builders'?");
  CHECK(said({"show", "--bilders", "2", "--help"}) == "Did you mean '--builders'?");
  CHECK(said({"--on-eror", "quit", "build"}) == "Did you mean '--on-error'?");
  CHECK(said({"build", "--deps", "biuld"}) == "Did you mean 'build'?");
  CHECK(said({"--on-error", "contineu", "build"}) == "Did you mean 'continue'?");
  CHECK(said({"help", "sorce"}) == "Did you mean 'source'?");
  CHECK(said({"help", "source", "trak"}) == "Did you mean 'track'?");
  CHECK(said({"nonsense"}).empty());
  CHECK(said({"build", "--nonsense"}).empty());
  CHECK(parse_command_line({"source", "nonsense"}).output.find("fetch, track, checkout, push") !=
        std::string::npos);
}

TEST_CASE("options on the wrong side of the verb") {
  const auto last_line = [](const Strings& words) {
    const std::string text = parse_command_line(words).output;
    const auto line = text.rfind('\n', text.size() - 2);
    return text.substr(line + 1, text.size() - line - 2);
  };
  CHECK(last_line({"source", "fetch", "--builders", "4"}) ==
        "'--builders' stands before the verb: sluice --builders ... source fetch");
  CHECK(last_line({"--deps", "all", "build", "a.bst"}) ==
        "'--deps' stands after the verb: sluice build --deps ...");
  CHECK(last_line({"shell", "a.bst", "ls", "-l"}) ==
        "Options of a command come after '--': sluice shell app.bst -- ls -l");
  CHECK(last_line({"-o", "color=red", "show"}).find("--option") == std::string::npos);
  CHECK(last_line({"-o", "color=red", "show", "a.bst"}) ==
        "--option takes a name and a value as two words: --option color red");
}

TEST_CASE("of every option that has one value the last counts, though the first is wrong") {
  // A value that each option takes, by what its values are called; others take any text.
  const auto good = [](const OptionShape& option) -> std::string {
    if (!option.value.choices.empty()) return option.value.choices.front();
    if (option.type == "INTEGER" || option.type == "N" || option.type == "BYTE") return "3";
    if (option.type == "DURATION") return "15m";
    if (option.type == "tcp://HOST:PORT") return "tcp://localhost:7420";
    // An existing file, or a directory.
    return option.names.front() == "-c" ? "/proc/self/stat" : "/";
  };
  std::size_t checked = 0, strict = 0;
  each_command(command_shape(), [&](const CommandShape& command) {
    Strings verb = words_of(command.path);
    if (!command.commands.empty() && !verb.empty()) return;
    for (const OptionShape& option : command.options) {
      if (option.repeated || option.values != 1) continue;
      const std::string name = option.names.back();
      INFO(command.path << " " << name);
      const auto refusal = [&](const Strings& values) {
        Strings words = verb;
        for (const std::string& value : values) {
          words.push_back(name);
          words.push_back(value);
        }
        if (verb.empty()) words.emplace_back("help");
        const CommandLine line = parse_command_line(words);
        // What else a verb wants (an argument, another option) is said after its options were read.
        return line.status == kSuccess ||
                       line.output.find("Missing argument") != std::string::npos ||
                       line.output.find("requires") != std::string::npos ||
                       line.output.find("must say where") != std::string::npos ||
                       line.status == kFailure
                   ? std::string()
                   : line.output;
      };
      // "no/good" is no number, no choice, no duration, no address, and no directory is below a
      // file.
      const std::string wrong = "/proc/self/stat";
      CHECK(refusal({good(option), good(option)}) == "");
      CHECK(refusal({wrong, good(option)}) == "");
      ++checked;
      if (!refusal({wrong}).empty()) {
        ++strict;
        CHECK(refusal({good(option), wrong}) != "");
      }
    }
  });
  CHECK(checked > 60);
  CHECK(strict > 25);
}
