#include "base/credentials.h"

#include <algorithm>
#include <cctype>

namespace sluice {

namespace {

constexpr std::string_view kHidden = "***";

// Where a URL ends in a text around it.
bool ends_url(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f ||
         std::string_view("\"'<>`").find(c) != std::string_view::npos;
}

bool is_secret(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  static constexpr std::string_view kExactly[] = {"key", "sig",  "auth", "pass",
                                                  "pwd", "code", "jwt"};
  static constexpr std::string_view kWithin[] = {"token",     "password",   "passwd",   "secret",
                                                 "signature", "credential", "api_key",  "apikey",
                                                 "api-key",   "access_key", "accesskey"};
  return std::find(std::begin(kExactly), std::end(kExactly), lower) != std::end(kExactly) ||
         std::any_of(std::begin(kWithin), std::end(kWithin),
                     [&](std::string_view part) { return lower.find(part) != std::string::npos; });
}

void add_query(std::string_view query, std::string& out) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find_first_of("&;"), query.size());
    const std::string_view one = query.substr(0, end);
    const std::size_t equals = one.find('=');
    if (equals != std::string_view::npos && equals + 1 < one.size() &&
        is_secret(one.substr(0, equals))) {
      (out += one.substr(0, equals + 1)) += kHidden;
    } else {
      out += one;
    }
    if (end < query.size()) out += query[end];
    query.remove_prefix(std::min(end + 1, query.size()));
  }
}

}  // namespace

std::string without_credentials(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) return out += text;
    out += text.substr(0, scheme + 3);
    text.remove_prefix(scheme + 3);
    const auto end =
        static_cast<std::size_t>(std::find_if(text.begin(), text.end(), ends_url) - text.begin());
    std::string_view url = text.substr(0, end);
    text.remove_prefix(end);
    const std::string_view host = url.substr(0, url.find_first_of("/?#"));
    const std::size_t at = host.rfind('@');
    // A user alone is a secret of no ssh, and tells whom a server lets in.
    const bool is_login = out.ends_with("ssh://") && host.substr(0, at).find(':') == host.npos;
    if (at != std::string_view::npos && !is_login) {
      out += kHidden;
      url.remove_prefix(at);
    }
    // Another one may be inside ("url=https://...,https://...").
    const std::size_t inner = url.find("://");
    if (inner != std::string_view::npos) {
      const std::size_t begin = url.find_last_of(",=?&;(", inner);
      if (begin != std::string_view::npos) {
        const std::string_view front = url.substr(0, begin + 1);
        const std::size_t query = front.find('?');
        out += front.substr(0, query);
        if (query != std::string_view::npos) {
          out += '?';
          add_query(front.substr(query + 1), out);
        }
        out += without_credentials(url.substr(begin + 1));
        continue;
      }
    }
    const std::size_t query = std::min(url.find('?'), url.size());
    out += url.substr(0, query);
    if (query < url.size()) {
      out += '?';
      add_query(url.substr(query + 1), out);
    }
  }
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto hex = [](char c) {
      return c >= '0' && c <= '9'                 ? c - '0'
             : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                  : -1;
    };
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace sluice
