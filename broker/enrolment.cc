#include "broker/enrolment.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "wire/session.h"

namespace sluice::broker {

namespace {

// A name is part of paths, endpoints' user ids and lines on a terminal.
bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= Enrolment::kLongestName && name.front() != '-' &&
         name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<Enrolment> Enrolment::open(std::string state, const Clock& clock) {
  wire::AccessList list;
  if (path_exists(state + "/access/list")) list = TRY(wire::read_access_list(state));
  return Enrolment(std::move(state), std::move(list), clock);
}

bool Enrolment::taken(std::string_view name) const {
  return wire::is_process_of_session(name) ||
         std::any_of(list_.entries.begin(), list_.entries.end(),
                     [&](const wire::AccessEntry& entry) { return entry.name == name; });
}

Status Enrolment::keep(wire::AccessList changed) {
  CHECK(wire::write_access_list(state_, changed));
  list_ = std::move(changed);
  return {};
}

Result<std::string> Enrolment::enrol(wire::Role role, const wire::EnrolArguments& arguments) {
  if (arguments.public_key.size() != 40)
    return fail("access", "bad-key", "A public key has 40 characters of Z85");
  if (!arguments.certificate.empty() &&
      (arguments.certificate.size() != 64 || !is_hex(arguments.certificate)))
    return fail("access", "bad-key", "The SHA-256 of a certificate has 64 hexadecimal digits");
  if (!good_name(arguments.name))
    return fail("access", "bad-name",
                fmt::format("A name has 1 to {} letters, digits, '.', '_' and '-'", kLongestName));
  for (const wire::AccessEntry& entry : list_.entries) {
    if (entry.public_key != arguments.public_key) continue;
    if (entry.revoked) return fail("access", "revoked", "This key was revoked");
    if (entry.enrols || entry.role != wire::text_of(role) ||
        entry.certificate != arguments.certificate)
      return fail("access", "bad-key", "This key is enrolled already, as another");
    return entry.name;
  }
  if (list_.entries.size() >= kMostEntries)
    return fail("access", "too-many", fmt::format("{} keys are enrolled", list_.entries.size()));

  std::string name = arguments.name;
  for (unsigned number = 2; taken(name); ++number) {
    const std::string suffix = fmt::format("-{}", number);
    name = arguments.name.substr(0, kLongestName - suffix.size()) + suffix;
  }
  wire::AccessList changed = list_;
  changed.entries.push_back({.public_key = arguments.public_key,
                             .role = std::string(wire::text_of(role)),
                             .name = name,
                             .host = arguments.host,
                             .certificate = arguments.certificate,
                             .since = clock_.wall_ns()});
  CHECK(keep(std::move(changed)));
  return name;
}

Status Enrolment::revoke(std::string_view name) {
  wire::AccessList changed = list_;
  bool found = false;
  for (wire::AccessEntry& entry : changed.entries) {
    if (entry.name != name || entry.enrols) continue;
    entry.revoked = true;
    found = true;
  }
  if (!found)
    return fail("access", "no-such-name", fmt::format("Nobody was enrolled as '{}'", name));
  return keep(std::move(changed));
}

}  // namespace sluice::broker
