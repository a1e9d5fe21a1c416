#include "remote/access_check.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/identity.h"

namespace sluice::remote {

namespace {

// What is remembered of certificates; a stranger may show as many as he likes.
constexpr std::size_t kMostRemembered = 4096;

struct Call {
  std::string_view path;
  bool runner, reader;
};

constexpr std::array kCalls = {
    Call{"/build.bazel.remote.execution.v2.Capabilities/GetCapabilities", true, true},
    Call{"/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs", true,
         false},
    Call{"/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs", true,
         false},
    Call{"/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs", true, true},
    Call{"/google.bytestream.ByteStream/Read", true, true},
    Call{"/google.bytestream.ByteStream/Write", true, false},
    Call{"/google.bytestream.ByteStream/QueryWriteStatus", true, false},
    Call{"/build.bazel.remote.asset.v1.Fetch/FetchBlob", false, true},
    Call{"/build.bazel.remote.asset.v1.Fetch/FetchDirectory", false, true},
};

}  // namespace

std::string AccessCheck::fingerprint_of(std::string_view certificate) {
  std::string pem(certificate);
  if (const auto known = fingerprints_.find(pem); known != fingerprints_.end())
    return known->second;
  auto fingerprint = certificate_fingerprint(pem);
  if (!fingerprint) return {};
  if (fingerprints_.size() >= kMostRemembered) fingerprints_.clear();
  return fingerprints_.emplace(std::move(pem), std::move(*fingerprint)).first->second;
}

Status AccessCheck::check(std::string_view certificate, std::string_view call, std::int64_t now) {
  const auto stranger = [](std::string_view why) {
    return fail("access", "unauthenticated", std::string(why));
  };
  if (certificate.empty()) return stranger("A certificate is needed here, and none was shown");
  const std::lock_guard guard(lock_);
  const std::string fingerprint = fingerprint_of(certificate);
  if (fingerprint.empty()) return stranger("What was shown is no certificate");
  const wire::AccessEntry* const entry = reader_.by_certificate(fingerprint, now);
  if (entry == nullptr)
    return stranger(
        "This certificate is not one of this session's: it is unknown, was revoked or "
        "has expired");
  const auto role = wire::role_of(entry->role);
  const auto found =
      std::find_if(kCalls.begin(), kCalls.end(), [&](const Call& row) { return row.path == call; });
  const bool runner = role == wire::Role::kRunner;
  const bool reader = role == wire::Role::kObserve || role == wire::Role::kControl;
  if (found != kCalls.end() && ((runner && found->runner) || (reader && found->reader))) return {};
  return fail("access", "denied",
              fmt::format("{} may not do that here, as {}", entry->name, entry->role));
}

}  // namespace sluice::remote
