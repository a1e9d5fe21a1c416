#include "sources/docker/registry.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/credentials.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/try.h"
#include "wire/helper.h"

namespace sluice::sources::docker {

namespace {

constexpr std::uint64_t kMaxToken = std::uint64_t{1} << 20;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Text as a part of a URL. A line's end in it would begin a header of the request.
std::string encoded(std::string_view text, std::string_view kept) {
  std::string result;
  for (const char c : text) {
    if (is_letter_or_digit(c) || kept.find(c) != std::string_view::npos) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t,");
  return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

}  // namespace

std::map<std::string, std::string> bearer_challenge(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  std::map<std::string, std::string> parameters;
  if (lower(header.substr(0, kScheme.size())) != kScheme) return parameters;
  std::string_view rest = trimmed(header.substr(kScheme.size()));
  while (!rest.empty()) {
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) break;
    std::string name = lower(rest.substr(0, equals));
    while (!name.empty() && name.back() == ' ') name.pop_back();
    rest.remove_prefix(equals + 1);
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    std::string value;
    if (!rest.empty() && rest.front() == '"') {
      std::size_t at = 1;
      for (; at < rest.size() && rest[at] != '"'; ++at) {
        if (rest[at] == '\\' && at + 1 < rest.size()) ++at;
        value += rest[at];
      }
      rest.remove_prefix(std::min(at + 1, rest.size()));
    } else {
      value = rest.substr(0, rest.find_first_of(", "));
      rest.remove_prefix(value.size());
    }
    parameters.emplace(std::move(name), std::move(value));
    rest = trimmed(rest);
  }
  return parameters;
}

std::string Registry::shown() const { return without_credentials(place_.registry); }

Result<std::string> Registry::get(const Wanted& wanted) {
  const std::string url =
      fmt::format("{}{}v2/{}/{}", encoded(place_.registry, "-_.~:/@%[]!$&'()*+,;="),
                  place_.registry.ends_with('/') ? "" : "/", encoded(place_.image, "-_.~:/@%"),
                  encoded(wanted.path, "-_.~/"));
  auto got = ask(wanted, url, token_);
  if (got || got.error().reason != "download-unauthorized") return got;
  CHECK(authorize(got.error().detail));
  return ask(wanted, url, token_);
}

Result<std::string> Registry::ask(const Wanted& wanted, const std::string& url,
                                  const std::string& token) {
  std::string request = url;
  if (!wanted.accept.empty()) request += "\nAccept: " + wanted.accept;
  if (!token.empty()) request += "\nAuthorization: Bearer " + token;
  std::vector<std::string> argv = {find_program("sluice-download"), wanted.file,
                                   std::to_string(surroundings_.settings().network_timeout),
                                   std::to_string(wanted.max_bytes)};
  if (wanted.resume) argv.emplace_back("resume");
  auto got = wire::run_helper(argv, surroundings_.stop(), request);
  if (got || got.error().domain == "job") return got;
  return source_error(source_, got.error().reason,
                      fmt::format("{}Failed to download {}: {}", where(source_),
                                  without_credentials(url), got.error().message),
                      got.error().detail);
}

Status Registry::authorize(const std::string& challenges) {
  std::map<std::string, std::string> asked;
  for (std::string_view rest = challenges; !rest.empty() && asked.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    asked = bearer_challenge(line);
  }
  const std::string realm = asked["realm"];
  const auto refused = [&](std::string_view why) {
    return source_error(source_, "download-refused",
                        fmt::format("{}{} refuses: {}", where(source_), shown(), valid_utf8(why)));
  };
  if (realm.empty()) return refused("it asks for no token (Unexpected Www-Authenticate response)");
  // A password of ~/.netrc goes there.
  const bool secure = lower(realm).starts_with("https://");
  if (!secure && (!lower(realm).starts_with("http://") || place_.registry.starts_with("https:"))) {
    return refused(
        fmt::format("its tokens come from {}, which isn't asked", without_credentials(realm)));
  }
  std::string url = encoded(realm, "-_.~:/?@%[]!$&'()*+,;=");
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  for (const char* name : {"service", "scope"}) {
    if (asked[name].empty()) continue;
    url += fmt::format("{}{}={}", separator, name, encoded(asked[name], "-_.~:/,"));
    separator = '&';
  }
  // The file that the token comes in is nobody else's to read.
  const std::string file = TRY(surroundings_.directory("token")) + "/answer";
  if (UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)); !fd)
    return fail_errno(errno, file);
  struct Remove {
    const std::string& path;
    ~Remove() { ::unlink(path.c_str()); }
  } remove{file};
  Wanted wanted;
  wanted.file = file;
  wanted.max_bytes = kMaxToken;
  CHECK(ask(wanted, url, ""));
  const auto answer = parse_json(TRY(read_file(file)));
  token_.clear();
  for (const char* name : {"token", "access_token"}) {
    if (token_.empty() && answer.is_object() && answer.contains(name) && answer[name].is_string())
      token_ = answer[name].get<std::string>();
  }
  if (token_.empty() || !is_printable(token_)) {
    token_.clear();
    return source_error(source_, "download-refused",
                        fmt::format("{}{} gave no token for {}", where(source_),
                                    without_credentials(realm), place_.image));
  }
  return {};
}

}  // namespace sluice::sources::docker
