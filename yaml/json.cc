#include "yaml/json.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::yaml {

void json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto unicode = [&](std::uint32_t code) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(code >> shift) & 15];
  };
  // Bytes beyond ASCII aren't plain either, since char is signed.
  const auto is_plain = [](char c) { return c >= ' ' && c != '"' && c != '\\'; };
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    std::size_t plain = i;
    while (plain < text.size() && is_plain(text[plain])) ++plain;
    out.append(text, i, plain - i);
    i = plain;
    if (i == text.size()) break;
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      const std::size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
      std::uint32_t code = c & (0xff >> (length + 1));
      for (std::size_t k = 1; k < length && i + k < text.size(); ++k) {
        code = (code << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3f);
      }
      if (code >= 0x10000) {
        code -= 0x10000;
        unicode(0xd800 + (code >> 10));
        unicode(0xdc00 + (code & 0x3ff));
      } else {
        unicode(code);
      }
      i += length;
      continue;
    }
    ++i;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (c < 0x20) {
          unicode(c);
        } else {
          out += static_cast<char>(c);
        }
    }
  }
  out += '"';
}

void json_strings(std::string& out, const std::vector<std::string>& strings) {
  out += '[';
  for (std::size_t i = 0; i < strings.size(); ++i) {
    if (i > 0) out += ',';
    json_string(out, strings[i]);
  }
  out += ']';
}

void json_node(std::string& out, const Node& node) {
  switch (node.kind) {
    case Kind::kScalar: json_string(out, node.text); return;
    case Kind::kList: {
      out += '[';
      const char* separator = "";
      for (const Node* item : node.items()) {
        out += separator;
        json_node(out, *item);
        separator = ",";
      }
      out += ']';
      return;
    }
    case Kind::kMap: {
      std::vector<Entry> entries(node.entries().begin(), node.entries().end());
      std::sort(entries.begin(), entries.end(),
                [](const Entry& a, const Entry& b) { return a.key < b.key; });
      out += '{';
      const char* separator = "";
      for (const Entry& entry : entries) {
        out += separator;
        json_string(out, entry.key);
        out += ':';
        json_node(out, *entry.value);
        separator = ",";
      }
      out += '}';
      return;
    }
  }
}

}  // namespace sluice::yaml
