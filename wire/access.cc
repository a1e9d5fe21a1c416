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

std::size_t AccessReader::revoked() {
  refresh();
  return static_cast<std::size_t>(
      std::count_if(list_.entries.begin(), list_.entries.end(),
                    [](const AccessEntry& entry) { return entry.revoked; }));
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

std::string user_id_of(const AccessEntry& entry) {
  return fmt::format("{}/{}/{}", entry.enrols ? "enrols" : "remote", entry.role, entry.name);
}

std::optional<PeerIdentity> identity_of(std::string_view user_id) {
  if (user_id == kOwnerId) return PeerIdentity{};
  const auto first = user_id.find('/');
  const auto second = first == std::string_view::npos ? first : user_id.find('/', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view how = user_id.substr(0, first);
  const auto role = role_of(user_id.substr(first + 1, second - first - 1));
  if (!role || *role == Role::kOwner || (how != "enrols" && how != "remote")) return std::nullopt;
  return PeerIdentity{true, *role, how == "enrols", std::string(user_id.substr(second + 1))};
}

bool may_connect(const AccessEntry& entry, std::string_view endpoint) {
  const auto role = role_of(entry.role);
  if (!role || *role == Role::kOwner) return false;
  if (entry.enrols) return endpoint == "control";
  if (endpoint == "records") return true;
  if (endpoint == "jobs" || endpoint == "live-in") return *role == Role::kRunner;
  if (endpoint == "live-out" || endpoint == "control") return *role != Role::kRunner;
  return false;
}

std::string job_ticket(std::string_view secret, std::uint64_t job, std::uint32_t attempt,
                       std::string_view instance, std::string_view element) {
  const std::string what = fmt::format("{}/{}/{}/{}", job, attempt, instance, element);
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
