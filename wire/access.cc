#include "wire/access.h"

#include <algorithm>

#include <sys/stat.h>

#include <fmt/format.h>
#include <openssl/hmac.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::wire {

namespace {

std::string keys_path(const std::string& directory) { return directory + "/access/keys"; }
std::string list_path(const std::string& directory) { return directory + "/access/list"; }

template <typename T>
Result<T> read_packed(const std::string& path) {
  const std::string bytes = TRY(read_file(path));
  auto value = decode<T>(bytes);
  if (!value) {
    return fail("app", "damaged-access",
                fmt::format("{} can't be read: {}", path, value.error().message));
  }
  return value;
}

template <typename T>
Status write_packed(const std::string& directory, const std::string& path, const T& value) {
  CHECK(make_directories(directory + "/access", 0700));
  return write_file_atomic(path, encode(value), 0600);
}

}  // namespace

std::string_view text_of(Role role) { return kRoleTexts[static_cast<std::size_t>(role)]; }

std::optional<Role> role_of(std::string_view text) {
  const auto* const found = std::find(std::begin(kRoleTexts), std::end(kRoleTexts), text);
  if (found == std::end(kRoleTexts)) return std::nullopt;
  return static_cast<Role>(found - std::begin(kRoleTexts));
}

AccessReader::AccessReader(std::string directory) : path_(list_path(directory)) {}

void AccessReader::refresh() {
  struct stat info {};
  std::optional<FileStamp> stamp;
  if (::stat(path_.c_str(), &info) == 0) stamp = FileStamp::of(info);
  // The file is replaced, never changed, so another list has another inode, or at least another
  // time of change.
  if (stamp && stamp_ == stamp) return;
  auto list = read_packed<AccessList>(path_);
  // Nobody is let in by a list that can't be read.
  list_ = list ? std::move(*list) : AccessList();
  stamp_ = list ? stamp : std::nullopt;
}

const AccessEntry* AccessReader::by_key(std::string_view public_key, std::int64_t now) {
  refresh();
  for (const AccessEntry& entry : list_.entries) {
    if (entry.public_key != public_key || public_key.empty()) continue;
    if (!entry.revoked && (entry.expires == 0 || now < entry.expires)) return &entry;
  }
  return nullptr;
}

const AccessEntry* AccessReader::by_certificate(std::string_view fingerprint, std::int64_t now) {
  refresh();
  for (const AccessEntry& entry : list_.entries) {
    if (entry.certificate != fingerprint || fingerprint.empty() || entry.enrols) continue;
    if (!entry.revoked && (entry.expires == 0 || now < entry.expires)) return &entry;
  }
  return nullptr;
}

Result<AccessKeys> read_access_keys(const std::string& directory) {
  return read_packed<AccessKeys>(keys_path(directory));
}

Status write_access_keys(const std::string& directory, const AccessKeys& keys) {
  return write_packed(directory, keys_path(directory), keys);
}

Result<AccessList> read_access_list(const std::string& directory) {
  return read_packed<AccessList>(list_path(directory));
}

Status write_access_list(const std::string& directory, const AccessList& list) {
  return write_packed(directory, list_path(directory), list);
}

std::string job_ticket(std::string_view secret, std::uint64_t job, std::uint32_t attempt,
                       std::string_view instance) {
  const std::string what = fmt::format("{}/{}/{}", job, attempt, instance);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(what.data()), what.size(), digest,
           &size) == nullptr)
    return {};
  std::string text;
  for (unsigned int i = 0; i < 16 && i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace sluice::wire
