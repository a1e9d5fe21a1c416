#include "broker/enrolment.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "wire/session.h"

namespace sluice::broker {

namespace {

// A host is only shown.
bool good_host(std::string_view host) {
  return host.size() <= Enrolment::kLongestHost &&
         std::all_of(host.begin(), host.end(),
                     [](unsigned char c) { return c >= ' ' && c <= '~'; });
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<Enrolment> Enrolment::open(std::string state, const Clock& clock) {
  auto log = TRY(wire::open_access_list(state));
  auto list = TRY(wire::read_access_list(state));
  return Enrolment(std::move(log), std::move(list), clock);
}

Enrolment::Enrolment(AppendLog log, wire::AccessList list, const Clock& clock)
    : log_(std::move(log)), entries_(std::move(list.entries)), clock_(clock) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    keys_.emplace(entries_[i].public_key, i);
    if (entries_[i].enrols) continue;
    names_.emplace(entries_[i].name, i);
    ++enrolled_[entries_[i].role];
  }
}

bool Enrolment::taken(std::string_view name) const {
  return wire::is_process_of_session(name) || names_.contains(std::string(name));
}

// Many may want the same name: that of their machine, or of their image.
std::string Enrolment::free_name(const std::string& wanted) {
  if (!taken(wanted)) return wanted;
  for (unsigned& number = numbers_.try_emplace(wanted, 2).first->second;; ++number) {
    const std::string suffix = fmt::format("-{}", number);
    std::string name = wanted.substr(0, wire::kLongestName - suffix.size()) + suffix;
    if (!taken(name)) return name;
  }
}

Status Enrolment::keep(wire::AccessEntry entry) {
  TRY(log_.append(wire::encode(entry)));
  const auto [place, is_new] = keys_.emplace(entry.public_key, entries_.size());
  if (is_new) {
    names_.emplace(entry.name, entries_.size());
    ++enrolled_[entry.role];
    entries_.push_back(std::move(entry));
  } else {
    entries_[place->second] = std::move(entry);
  }
  return {};
}

Result<std::string> Enrolment::enrol(wire::Role role, const wire::EnrolArguments& arguments) {
  if (arguments.public_key.size() != 40)
    return fail("access", "bad-key", "A public key has 40 characters of Z85");
  if (!arguments.certificate.empty() &&
      (arguments.certificate.size() != 64 || !is_hex(arguments.certificate)))
    return fail("access", "bad-key", "The SHA-256 of a certificate has 64 hexadecimal digits");
  if (!wire::is_enrolled_name(arguments.name))
    return fail(
        "access", "bad-name",
        fmt::format("A name has 1 to {} letters, digits, '.', '_' and '-'", wire::kLongestName));
  if (!good_host(arguments.host))
    return fail("access", "bad-host",
                fmt::format("A host has at most {} printable bytes", kLongestHost));
  if (const auto known = keys_.find(arguments.public_key); known != keys_.end()) {
    const wire::AccessEntry& entry = entries_[known->second];
    if (entry.revoked) return fail("access", "revoked", "This key was revoked");
    if (entry.enrols || entry.role != wire::text_of(role) ||
        entry.certificate != arguments.certificate)
      return fail("access", "bad-key", "This key is enrolled already, as another");
    return entry.name;
  }
  if (const auto of_role = enrolled_.find(wire::text_of(role));
      of_role != enrolled_.end() && of_role->second >= kMostOfRole)
    return fail(
        "access", "too-many",
        fmt::format("{} keys are enrolled as '{}' already", of_role->second, of_role->first));

  std::string name = free_name(arguments.name);
  CHECK(keep({.public_key = arguments.public_key,
              .role = std::string(wire::text_of(role)),
              .name = name,
              .host = arguments.host,
              .certificate = arguments.certificate,
              .since = clock_.wall_ns()}));
  return name;
}

Status Enrolment::revoke(std::string_view name) {
  const auto found = names_.find(std::string(name));
  if (found == names_.end())
    return fail("access", "no-such-name", fmt::format("Nobody was enrolled as '{}'", name));
  wire::AccessEntry entry = entries_[found->second];
  if (entry.revoked) return {};
  entry.revoked = true;
  return keep(std::move(entry));
}

}  // namespace sluice::broker
