#include "wire/access.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <sys/stat.h>
#include <unistd.h>

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

void AccessReader::take(AccessEntry entry) {
  const auto known = keys_.find(entry.public_key);
  AccessEntry* place = known == keys_.end() ? nullptr : known->second;
  if (place == nullptr) {
    place = &entries_.emplace_back(std::move(entry));
    keys_.emplace(place->public_key, place);
    if (!place->certificate.empty() && !place->enrols)
      certificates_.insert_or_assign(place->certificate, place);
    revoked_ += place->revoked ? 1 : 0;
    return;
  }
  // A key stays what it was enrolled as: that it is let in no more is all that may follow.
  if (entry.revoked && !place->revoked) ++revoked_;
  place->revoked = place->revoked || entry.revoked;
}

void AccessReader::refresh() {
  struct stat info {};
  const bool there = ::stat(path_.c_str(), &info) == 0;
  const std::pair<std::uint64_t, std::uint64_t> file{info.st_dev, info.st_ino};
  if (!there || !log_ || file != file_) {
    clear();
    auto log = AppendLogReader::open(path_);
    if (!log) return;
    log_.emplace(std::move(*log));
    file_ = file;
  }
  for (;;) {
    auto payload = log_->next();
    if (payload && payload->empty()) return;
    auto entry = payload ? decode<AccessEntry>(*payload) : forward(payload);
    if (!entry) return clear();
    take(std::move(*entry));
  }
}

// Nobody is let in by a list that can't be read.
void AccessReader::clear() {
  log_.reset();
  keys_.clear();
  certificates_.clear();
  entries_.clear();
  revoked_ = 0;
}

namespace {

const AccessEntry* valid(const std::unordered_map<std::string_view, AccessEntry*>& entries,
                         std::string_view by, std::int64_t now) {
  const auto found = entries.find(by);
  if (found == entries.end() || by.empty()) return nullptr;
  const AccessEntry& entry = *found->second;
  return !entry.revoked && (entry.expires == 0 || now < entry.expires) ? &entry : nullptr;
}

}  // namespace

const AccessEntry* AccessReader::by_key(std::string_view public_key, std::int64_t now) {
  refresh();
  return valid(keys_, public_key, now);
}

const AccessEntry* AccessReader::by_certificate(std::string_view fingerprint, std::int64_t now) {
  refresh();
  return valid(certificates_, fingerprint, now);
}

std::size_t AccessReader::revoked() {
  refresh();
  return revoked_;
}

Result<AccessKeys> read_access_keys(const std::string& directory) {
  return read_packed<AccessKeys>(keys_path(directory));
}

Status write_access_keys(const std::string& directory, const AccessKeys& keys) {
  return write_packed(directory, keys_path(directory), keys);
}

Result<AccessList> read_access_list(const std::string& directory) {
  const std::string path = list_path(directory);
  auto log = TRY(AppendLogReader::open(path));
  AccessList list;
  std::unordered_map<std::string, std::size_t> places;
  for (;;) {
    const std::string_view payload = TRY(log.next());
    if (payload.empty()) return list;
    auto entry = decode<AccessEntry>(payload);
    if (!entry) {
      return fail("app", "damaged-access",
                  fmt::format("{} can't be read: {}", path, entry.error().message));
    }
    const auto [place, is_new] = places.emplace(entry->public_key, list.entries.size());
    if (is_new) {
      list.entries.push_back(std::move(*entry));
    } else {
      list.entries[place->second] = std::move(*entry);
    }
  }
}

Result<AppendLog> open_access_list(const std::string& directory) {
  CHECK(make_directories(directory + "/access", 0700));
  return AppendLog::open(list_path(directory), [](std::uint64_t, std::string_view) {});
}

// Beside it first, so that there is a whole one or none.
Status write_access_list(const std::string& directory, const AccessList& list) {
  CHECK(make_directories(directory + "/access", 0700));
  const std::string path = list_path(directory), beside = path + ".new";
  if (::unlink(beside.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, beside);
  {
    auto log = TRY(AppendLog::open(beside, [](std::uint64_t, std::string_view) {}));
    for (const AccessEntry& entry : list.entries) TRY(log.append(encode(entry)));
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) return fail_errno(errno, path);
  return {};
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

bool is_enrolled_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && name.front() != '-' &&
         name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
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
