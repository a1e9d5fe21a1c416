#include "sources/toml.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <utility>

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace sluice::sources {

namespace {

// A number as Python writes it: the fewest digits that mean it, with an exponent when it is large
// or small.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const std::string_view digits = text.substr(e + (text[e + 1] == '+' ? 2 : 1));
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  std::string plain(buffer.data(), fixed.ptr);
  return plain.find('.') == std::string::npos ? plain + ".0" : plain;
}

std::string date_text(const toml::date& date) {
  return fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
}

std::string time_text(const toml::time& time) {
  std::string text = fmt::format("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
  // Python knows microseconds.
  if (time.nanosecond >= 1000) text += fmt::format(".{:06}", time.nanosecond / 1000);
  return text;
}

std::string date_time_text(const toml::date_time& when) {
  std::string text = date_text(when.date) + 'T' + time_text(when.time);
  if (!when.offset) return text;
  const int minutes = when.offset->minutes;
  if (minutes == 0) return text + 'Z';
  const int distance = std::abs(minutes);
  return text + fmt::format("{}{:02}:{:02}", minutes < 0 ? '-' : '+', distance / 60, distance % 60);
}

Toml other(std::string text) {
  Toml value;
  value.kind = Toml::Kind::kOther;
  value.text = std::move(text);
  return value;
}

Toml to_own(const toml::node& node) {
  if (const auto* text = node.as_string()) return Toml::make_text(text->get());
  if (const auto* number = node.as_integer()) return other(fmt::format("{}", number->get()));
  if (const auto* number = node.as_floating_point()) return other(float_text(number->get()));
  if (const auto* truth = node.as_boolean()) return other(truth->get() ? "true" : "false");
  if (const auto* date = node.as_date()) return other(date_text(date->get()));
  if (const auto* time = node.as_time()) return other(time_text(time->get()));
  if (const auto* when = node.as_date_time()) return other(date_time_text(when->get()));
  Toml value;
  if (const auto* array = node.as_array()) {
    value.kind = Toml::Kind::kArray;
    for (const toml::node& item : *array) value.items.push_back(to_own(item));
    return value;
  }
  // The library sorts by name.
  const toml::table& table = *node.as_table();
  std::vector<std::pair<toml::source_position, const toml::key*>> keys;
  for (const auto& [key, below] : table) keys.emplace_back(key.source().begin, &key);
  std::stable_sort(keys.begin(), keys.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [position, key] : keys)
    value.entries.emplace_back(std::string(key->str()), to_own(*table.get(key->str())));
  return value;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    static constexpr std::string_view kPlain = "\b\t\n\f\r\x1b\"\\";
    static constexpr std::string_view kEscaped = "btnfre\"\\";
    if (const std::size_t at = kPlain.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kEscaped[at];
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string key_text(std::string_view key) {
  static constexpr std::string_view kBare =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return !key.empty() && key.find_first_not_of(kBare) == std::string_view::npos ? std::string(key)
                                                                                : quoted(key);
}

// The entries of a table, those that are tables last, as in elements of arrays.
std::vector<const std::pair<std::string, Toml>*> tables_last(const Toml& table) {
  std::vector<const std::pair<std::string, Toml>*> entries;
  for (const auto& entry : table.entries) entries.push_back(&entry);
  std::stable_partition(entries.begin(), entries.end(),
                        [](const auto* entry) { return !entry->second.is_table(); });
  return entries;
}

// A value in one line. `element`: of an array.
std::string inline_text(const Toml& value, bool element) {
  if (value.is_text()) return quoted(value.text);
  if (value.kind == Toml::Kind::kOther) return value.text;
  std::string out;
  if (value.is_array()) {
    for (const Toml& item : value.items) out += (out.empty() ? "" : ", ") + inline_text(item, true);
    return '[' + out + ']';
  }
  const auto add = [&](const std::pair<std::string, Toml>& entry) {
    if (!out.empty()) out += element ? ", " : ",";
    out += key_text(entry.first) + " = " + inline_text(entry.second, false);
  };
  if (element) {
    for (const auto* entry : tables_last(value)) add(*entry);
  } else {
    for (const auto& entry : value.entries) add(entry);
  }
  return '{' + out + '}';
}

bool has_headers(const Toml& value) {
  return value.is_table() || (value.is_array() && !value.items.empty() &&
                              std::all_of(value.items.begin(), value.items.end(),
                                          [](const Toml& item) { return item.is_table(); }));
}

// Writer writes a table's values, then its tables. An empty line stands before a header where
// something of the same table was known when its value came.
class Writer {
 public:
  void write(const Toml& table, const std::string& prefix, bool element) {
    std::vector<const std::pair<std::string, Toml>*> entries;
    if (element) {
      entries = tables_last(table);
    } else {
      for (const auto& entry : table.entries) entries.push_back(&entry);
    }
    struct Below {
      const std::pair<std::string, Toml>* entry;
      bool space;
    };
    std::vector<Below> below;
    bool any = false;
    for (const auto* entry : entries) {
      if (has_headers(entry->second)) {
        below.push_back({entry, any});
      } else {
        out_ += key_text(entry->first) + " = " + inline_text(entry->second, false) + '\n';
        // An array of tables that came first gets none any more.
        if (!below.empty() && below.front().entry->second.is_table()) below.front().space = true;
      }
      any = true;
    }
    for (const Below& one : below) {
      const std::string name = (prefix.empty() ? "" : prefix + '.') + key_text(one.entry->first);
      if (one.entry->second.is_table()) {
        write_table(one.entry->second, name, one.space);
      } else {
        write_array(one.entry->second, name, one.space);
      }
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void write_table(const Toml& table, const std::string& name, bool space) {
    if (space) out_ += '\n';
    const bool only_leads =
        !table.entries.empty() &&
        std::all_of(table.entries.begin(), table.entries.end(),
                    [](const auto& entry) { return has_headers(entry.second); });
    if (!only_leads) out_ += '[' + name + "]\n";
    write(table, name, false);
  }

  void write_array(const Toml& array, const std::string& name, bool space) {
    bool before = space;
    for (const Toml& item : array.items) {
      if (before) out_ += '\n';
      out_ += "[[" + name + "]]\n";
      write(item, name, true);
      before = !item.entries.empty();
    }
  }

  std::string out_;
};

}  // namespace

Toml Toml::make_text(std::string text) {
  Toml value;
  value.kind = Kind::kText;
  value.text = std::move(text);
  return value;
}

const Toml* Toml::find(std::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name == key) return &value;
  }
  return nullptr;
}

Toml* Toml::find(std::string_view key) {
  return const_cast<Toml*>(std::as_const(*this).find(key));  // NOLINT
}

const Toml* Toml::find_table(std::string_view key) const {
  const Toml* value = find(key);
  return value != nullptr && value->is_table() ? value : nullptr;
}

Toml* Toml::find_table(std::string_view key) {
  return const_cast<Toml*>(std::as_const(*this).find_table(key));  // NOLINT
}

Toml& Toml::set(std::string_view key, Toml value) {
  if (Toml* there = find(key)) return *there = std::move(value);
  return entries.emplace_back(std::string(key), std::move(value)).second;
}

void Toml::remove(std::string_view key) {
  std::erase_if(entries, [&](const auto& entry) { return entry.first == key; });
}

bool Toml::holds() const {
  switch (kind) {
    case Kind::kTable: return !entries.empty();
    case Kind::kArray: return !items.empty();
    case Kind::kText: return !text.empty();
    case Kind::kOther: break;
  }
  return text != "false" && text != "0" && text != "0.0" && text != "-0.0";
}

Result<Toml> read_toml(std::string_view text) {
  // The library throws nothing of its own so; what lies below it might.
  try {
    const toml::parse_result parsed = toml::parse(text);
    if (parsed) return to_own(parsed.table());
    const toml::parse_error& error = parsed.error();
    return fail("source", "malformed",
                fmt::format("line {} column {}: {}", error.source().begin.line,
                            error.source().begin.column, error.description()));
  } catch (const std::exception& error) {
    return fail("source", "malformed", error.what());
  }
}

std::string write_toml(const Toml& table) {
  Writer writer;
  writer.write(table, "", false);
  return writer.take();
}

}  // namespace sluice::sources
