// TOML, which Rust's Cargo says what it needs in: read by the library toml++, written as the Python
// module tomlkit writes plain dictionaries.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::sources {

// Toml is a value of a TOML file. Tables keep the order in which their keys were first written,
// since files are made of them.
struct Toml {
  enum class Kind { kTable, kArray, kText, kOther };

  Kind kind = Kind::kTable;
  std::string text;  // a text; of others (numbers, times, true and false) how they are written
  std::vector<Toml> items;
  std::vector<std::pair<std::string, Toml>> entries;

  static Toml make_text(std::string text);

  bool is_table() const { return kind == Kind::kTable; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_text() const { return kind == Kind::kText; }

  // The value under `key`; nullptr when it is absent or this is no table.
  const Toml* find(std::string_view key) const;
  Toml* find(std::string_view key);
  // find(), if it is a table.
  const Toml* find_table(std::string_view key) const;
  Toml* find_table(std::string_view key);
  // Puts a value in place of an earlier one, or at the end; this must be a table.
  Toml& set(std::string_view key, Toml value);
  void remove(std::string_view key);
  // Whether Python takes it for true: what isn't empty, 0 or false.
  bool holds() const;
};

// Reads a file. An error is "source"/"malformed"; its message says what is wrong and in which line
// and column.
Result<Toml> read_toml(std::string_view text);

// Writes a table. Each of its tables has a header of its own, arrays of tables too; other values
// come before them.
std::string write_toml(const Toml& table);

}  // namespace sluice::sources
