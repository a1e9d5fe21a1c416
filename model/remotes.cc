#include "model/remotes.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace sluice::model {

namespace {

bool serves(const std::vector<Remote>& remotes, bool push) {
  bool index = false, storage = false;
  for (const Remote& remote : remotes) {
    if (push && !remote.push) continue;
    if (is_backing(remote)) return true;
    index = index || remote.type != "storage";
    storage = storage || remote.type != "index";
  }
  return index && storage;
}

}  // namespace

bool can_pull(const std::vector<Remote>& remotes) { return serves(remotes, false); }
bool can_push(const std::vector<Remote>& remotes) { return serves(remotes, true); }

Result<RemoteAddress> remote_address(std::string_view url) {
  const auto wrong = [](std::string why) {
    return fail(
        "remote", "bad-remote",
        std::move(why) + "; an address is http://HOST:PORT, https://HOST:PORT or unix:PATH");
  };
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return wrong("The URL of a cache has a space or control character");
  }
  if (url.starts_with("unix:")) {
    if (url.size() == 5) return wrong("The URL of a cache has no path behind 'unix:'");
    return RemoteAddress{std::string(url), false};
  }
  static constexpr std::pair<std::string_view, bool> kSchemes[] = {
      {"http://", false}, {"grpc://", false}, {"https://", true}, {"grpcs://", true}};
  const auto scheme = std::find_if(std::begin(kSchemes), std::end(kSchemes),
                                   [&](const auto& one) { return url.starts_with(one.first); });
  if (scheme == std::end(kSchemes))
    return wrong("The URL of a cache has a scheme that caches don't have, or none");
  const bool secure = scheme->second;
  url.remove_prefix(scheme->first.size());
  const std::string_view authority = url.substr(0, url.find_first_of("/?#"));
  if (authority.find('@') != std::string_view::npos)
    return wrong("The URL of a cache has a user in it, who is of no use there (see 'auth')");
  // A colon in brackets is of an IPv6 address.
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = authority.substr(0, colon);
  if (host.empty() || (host.front() == '[') != (bracket != std::string_view::npos))
    return wrong("The URL of a cache has no host");
  // Without a port gRPC takes 443 in any case.
  if (colon == std::string_view::npos)
    return RemoteAddress{std::string(host) + (secure ? ":443" : ":80"), secure};
  const std::string_view port = authority.substr(colon + 1);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0 || number > 65535) {
    return wrong("The URL of a cache has a port that is no number from 1 to 65535");
  }
  return RemoteAddress{std::string(authority), secure};
}

}  // namespace sluice::model
