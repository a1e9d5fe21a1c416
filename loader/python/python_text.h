// What can be told of a plugin by looking at its Python, which is never run.
//
// A plugin is a file with a function setup() that returns a class. What BuildStream
// checks of that class when it loads the plugin (that it is one, of the right family, and
// which BST_MIN_VERSION it asks for) is mostly written down literally, and so is, for the
// many kinds that only bring a YAML file of defaults, that there is nothing else to know.
// Reading is conservative: what isn't understood is said to be so, never guessed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::loader {

// A statement or the head of a block, without comments, its lines joined, white space outside of
// strings made single blanks.
struct PythonLine {
  int indent = 0;
  std::string text;
};

// The lines of a module; empty when the text isn't Python as far as brackets and strings go.
std::vector<PythonLine> python_lines(std::string_view text);

// The part of a module that a program could notice: its lines without comments and strings that
// nobody uses.
std::string python_code(std::string_view text);
// The modules that a module imports, as written: "._utils", "package.module"; of `from .x import a`
// both ".x" and ".x.a".
std::vector<std::string> python_imports(std::string_view text);

struct PluginClass {
  std::string name;
  // The class of BuildStream that it descends from ("BuildElement", "Source"); "" when
  // that isn't known.
  std::string base;
  // BST_... attributes with literal values, as written, inherited ones included.
  std::map<std::string, std::string, std::less<>> attributes;
  // Text of methods by name, inherited ones included.
  std::map<std::string, std::string, std::less<>> methods;
  // Whether it has nothing but such attributes, in a file with nothing but this class, those it
  // descends from, and setup().
  bool plain = false;

  bool is(std::string_view attribute, std::string_view literal) const;
  bool flag(std::string_view attribute) const { return is(attribute, "True"); }
  // The text of a string attribute; nullopt when absent or no plain literal.
  std::optional<std::string> string(std::string_view attribute) const;
  std::optional<int> number(std::string_view attribute) const;
  // SHA-256 over the text of a method; "" when there is none.
  std::string fingerprint(std::string_view method) const;
};

// Reads the plugin in `text`. Errors are BuildStream's, of domain "plugin":
// missing-setup-function, setup-is-not-function, setup-returns-not-type,
// setup-returns-bad-type, missing-min-version, malformed-min-version,
// incompatible-major-version, incompatible-minor-version. `noun` is "element", "source" or
// "source-mirror".
Result<PluginClass> read_plugin_class(std::string_view text, std::string_view noun,
                                      std::string_view kind);

}  // namespace sluice::loader
