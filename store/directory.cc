#include "store/directory.h"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "base/try.h"
#include "store.pb.h"
#include "store/fs.h"
#include "store/pb.h"

namespace sluice::store {

namespace {

constexpr char kReadOnly[] = "SubtreeReadOnly";
// One of a million files is 150 MB.
constexpr std::int64_t kMostMessage = std::int64_t{256} << 20;

tl::unexpected<Error> bad(std::string what) {
  return fail("virtual-fs", "bad-directory", fmt::format("Malformed Directory message: {}", what));
}

void set_mtime(pb::NodeProperties* properties, const Timestamp& mtime) {
  properties->mutable_mtime()->set_seconds(mtime.seconds);
  properties->mutable_mtime()->set_nanos(mtime.nanos);
}

std::optional<Timestamp> get_mtime(const pb::NodeProperties& properties) {
  if (!properties.has_mtime()) return std::nullopt;
  return Timestamp{properties.mtime().seconds(), properties.mtime().nanos()};
}

template <typename T>
std::vector<const T*> sorted(const std::vector<T>& entries) {
  std::vector<const T*> order;
  order.reserve(entries.size());
  for (const T& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const T* a, const T* b) { return a->name < b->name; });
  return order;
}

template <typename T>
void sort_entries(std::vector<T>& entries) {
  const auto less = [](const T& a, const T& b) { return a.name < b.name; };
  if (!std::is_sorted(entries.begin(), entries.end(), less))
    std::sort(entries.begin(), entries.end(), less);
}

// A name for messages of errors: what a hostile one holds must not reach a terminal.
std::string shown(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 80)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

void to_pb(const Digest& digest, pb::Digest* message) {
  message->set_hash(digest.hash);
  message->set_size_bytes(digest.size);
}

Digest from_pb(const pb::Digest& message) { return {message.hash(), message.size_bytes()}; }

bool valid_entry_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

std::string encode_directory(const Directory& directory) {
  pb::Directory message;
  for (const FileNode* file : sorted(directory.files)) {
    assert(valid_entry_name(file->name) && valid_digest(file->digest));
    pb::FileNode* node = message.add_files();
    node->set_name(file->name);
    to_pb(file->digest, node->mutable_digest());
    node->set_is_executable(file->executable);
    if (file->mtime) set_mtime(node->mutable_node_properties(), *file->mtime);
  }
  for (const DirectoryNode* child : sorted(directory.directories)) {
    assert(valid_entry_name(child->name) && valid_digest(child->digest));
    pb::DirectoryNode* node = message.add_directories();
    node->set_name(child->name);
    to_pb(child->digest, node->mutable_digest());
  }
  for (const SymlinkNode* link : sorted(directory.symlinks)) {
    assert(valid_entry_name(link->name));
    pb::SymlinkNode* node = message.add_symlinks();
    node->set_name(link->name);
    node->set_target(link->target);
  }
  if (directory.subtree_read_only) {
    pb::NodeProperty* property = message.mutable_node_properties()->add_properties();
    property->set_name(kReadOnly);
    property->set_value(*directory.subtree_read_only ? "true" : "false");
  }
  if (directory.mtime) set_mtime(message.mutable_node_properties(), *directory.mtime);
  return message.SerializeAsString();
}

Result<Directory> decode_directory(std::string_view bytes) {
  pb::Directory message;
  if (bytes.size() > std::size_t{1} << 30 ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return bad("it can't be parsed");
  }
  Directory directory;
  directory.files.reserve(static_cast<std::size_t>(message.files_size()));
  for (pb::FileNode& node : *message.mutable_files()) {
    FileNode file;
    file.digest = {std::move(*node.mutable_digest()->mutable_hash()), node.digest().size_bytes()};
    file.executable = node.is_executable();
    file.mtime = get_mtime(node.node_properties());
    file.name = std::move(*node.mutable_name());
    if (!valid_entry_name(file.name))
      return bad(fmt::format("'{}' can't be a file's name", shown(file.name)));
    if (!valid_digest(file.digest))
      return bad(fmt::format("the file '{}' has no valid digest", shown(file.name)));
    directory.files.push_back(std::move(file));
  }
  directory.directories.reserve(static_cast<std::size_t>(message.directories_size()));
  for (pb::DirectoryNode& node : *message.mutable_directories()) {
    DirectoryNode child;
    child.digest = {std::move(*node.mutable_digest()->mutable_hash()), node.digest().size_bytes()};
    child.name = std::move(*node.mutable_name());
    if (!valid_entry_name(child.name))
      return bad(fmt::format("'{}' can't be a directory's name", shown(child.name)));
    if (!valid_digest(child.digest)) {
      return bad(fmt::format("the directory '{}' has no valid digest", shown(child.name)));
    }
    directory.directories.push_back(std::move(child));
  }
  for (pb::SymlinkNode& node : *message.mutable_symlinks()) {
    SymlinkNode link{std::move(*node.mutable_name()), std::move(*node.mutable_target())};
    if (!valid_entry_name(link.name))
      return bad(fmt::format("'{}' can't be a link's name", shown(link.name)));
    if (link.target.empty() || link.target.size() > 4095 ||
        link.target.find('\0') != std::string::npos) {
      return bad(fmt::format("the link '{}' has no valid target", shown(link.name)));
    }
    directory.symlinks.push_back(std::move(link));
  }
  directory.mtime = get_mtime(message.node_properties());
  for (const pb::NodeProperty& property : message.node_properties().properties()) {
    if (property.name() == kReadOnly) directory.subtree_read_only = property.value() == "true";
  }

  sort_entries(directory.files);
  sort_entries(directory.directories);
  sort_entries(directory.symlinks);
  std::vector<std::string_view> names;
  names.reserve(directory.files.size() + directory.directories.size() + directory.symlinks.size());
  for (const auto& entry : directory.files) names.push_back(entry.name);
  for (const auto& entry : directory.directories) names.push_back(entry.name);
  for (const auto& entry : directory.symlinks) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return bad(fmt::format("the name '{}' occurs twice", shown(*twice)));
  return directory;
}

Result<Directory> read_directory(const Cas& cas, const Digest& digest) {
  if (digest == empty_digest()) return Directory{};
  // A message is held in memory, and a stranger's tree may name anything as one.
  if (digest.size > kMostMessage)
    return bad(fmt::format("{} has {} bytes, which no directory has", digest.hash, digest.size));
  auto bytes = TRY(cas.read(digest));
  return decode_directory(bytes);
}

}  // namespace sluice::store
