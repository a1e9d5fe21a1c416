#include "wire/record_json.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "wire/events.h"

namespace sluice::wire {

namespace {

void append_base64(std::string& out, std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8) | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    out += kDigits[group >> 18];
    out += kDigits[(group >> 12) & 63];
    out += i + 1 < bytes.size() ? kDigits[(group >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? kDigits[group & 63] : '=';
  }
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;
  bool ascii = true;
  const auto flush = [&](std::size_t end) {
    const auto part = text.substr(plain, end - plain);
    out += ascii ? std::string(part) : valid_utf8(part);
    ascii = true;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) ascii = false;
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
    flush(i);
    plain = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      default: out += fmt::format("\\u{:04x}", c);
    }
  }
  flush(text.size());
  out += '"';
}

void append_value(std::string& out, const Value& value);

void append_key(std::string& out, const Value& key) {
  std::string_view name;
  if (key.get_string(name)) {
    append_string(out, name);
    return;
  }
  std::string json;
  append_value(json, key);
  append_string(out, json);
}

// Recursion is bounded: the decoder lets no more than 64 levels through.
void append_value(std::string& out, const Value& value) {
  bool truth = false;
  std::uint64_t natural = 0;
  std::int64_t whole = 0;
  double real = 0;
  std::string_view bytes;
  if (value.is_map()) {
    out += '{';
    bool first = true;
    for (const auto& [key, entry] : value.entries()) {
      if (!std::exchange(first, false)) out += ',';
      append_key(out, key);
      out += ':';
      append_value(out, entry);
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Value item : value.items()) {
      if (!std::exchange(first, false)) out += ',';
      append_value(out, item);
    }
    out += ']';
  } else if (value.get_string(bytes)) {
    append_string(out, bytes);
  } else if (value.get_binary(bytes)) {
    out += '"';
    append_base64(out, bytes);
    out += '"';
  } else if (value.get(truth)) {
    out += truth ? "true" : "false";
  } else if (value.get(natural)) {
    fmt::format_to(std::back_inserter(out), "{}", natural);
  } else if (value.get(whole)) {
    fmt::format_to(std::back_inserter(out), "{}", whole);
  } else if (value.get(real) && std::isfinite(real)) {
    fmt::format_to(std::back_inserter(out), "{}", real);
  } else {
    out += "null";
  }
}

void append_provenance(std::string& out, std::string_view file, std::uint64_t line,
                       std::uint64_t column) {
  if (file.empty()) return;
  out += ",\"provenance\":{\"file\":";
  append_string(out, file);
  fmt::format_to(std::back_inserter(out), ",\"line\":{},\"column\":{}}}", line, column);
}

// The error's fields, where the one who reads a failure looks first.
void append_error(std::string& out, const Value& record, const Value& error) {
  for (const char* name : {"scope", "domain", "reason", "message"}) {
    const Value field = error.find(name);
    if (!field.valid() || record.find(name).valid()) continue;
    out += fmt::format(",\"{}\":", name);
    append_value(out, field);
  }
  std::string_view file;
  std::uint64_t line = 0, column = 0;
  const auto file_field = error.find("file"), line_field = error.find("line"),
             column_field = error.find("column");
  if (!file_field.valid() || !file_field.get_string(file) || record.find("provenance").valid())
    return;
  if (line_field.valid()) line_field.get(line);
  if (column_field.valid()) column_field.get(column);
  append_provenance(out, file, line, column);
}

}  // namespace

Result<std::string> json_line(std::string_view packed) {
  auto document = TRY(Document::parse(packed));
  if (!document.root().is_map()) return fail("wire", "malformed", "A record is not a map");
  return json_line(document.root());
}

std::string json_line(const Value& record) {
  std::string out;
  append_value(out, record);
  std::string_view type;
  const auto type_field = record.find("type"), error = record.find("error");
  if (type_field.valid() && type_field.get_string(type) && type == "error" && error.valid() &&
      error.is_map()) {
    out.pop_back();
    append_error(out, record, error);
    out += '}';
  }
  out += '\n';
  return out;
}

std::string json_error_line(const Error& error, std::string_view scope, std::int64_t wall_ns) {
  std::string out =
      fmt::format("{{\"v\":{},\"type\":\"error\",\"time\":{}", kEventVersion, wall_ns);
  const auto add = [&](const char* name, std::string_view value) {
    out += fmt::format(",\"{}\":", name);
    append_string(out, value);
  };
  add("scope", scope);
  add("domain", error.domain);
  add("reason", error.reason);
  add("message", error.message);
  if (!error.detail.empty()) add("detail", error.detail);
  append_provenance(out, error.provenance.file, error.provenance.line, error.provenance.column);
  return out + "}\n";
}

std::string json_string(std::string_view text) {
  std::string out;
  append_string(out, text);
  return out;
}

}  // namespace sluice::wire
