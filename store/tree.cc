#include "store/tree.h"

#include <algorithm>
#include <variant>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::store {

// Node is a directory. Until somebody looks into it, it is only its digest.
struct Tree::Node {
  struct Child {
    EntryType type = EntryType::kFile;
    Digest digest;  // of a file
    std::string target;
    bool executable = false;
    std::optional<Timestamp> mtime;
    std::unique_ptr<Node> node;  // a directory's; null for everything else
  };

  std::map<std::string, Child, std::less<>> children;
  std::optional<bool> subtree_read_only;
  bool opened = true;
  // The digest that it had when it was opened; std::nullopt once something below changed.
  std::optional<Digest> digest;

  static std::unique_ptr<Node> unopened(Digest digest) {
    auto node = std::make_unique<Node>();
    node->opened = false;
    node->digest = std::move(digest);
    return node;
  }

  Status open(const Cas& cas) {
    if (opened) return {};
    auto directory = TRY(read_directory(cas, *digest));
    for (FileNode& file : directory.files) {
      Child& child = children[std::move(file.name)];
      child.type = EntryType::kFile;
      child.digest = std::move(file.digest);
      child.executable = file.executable;
      child.mtime = file.mtime;
    }
    for (DirectoryNode& sub : directory.directories) {
      Child& child = children[std::move(sub.name)];
      child.type = EntryType::kDirectory;
      child.node = unopened(std::move(sub.digest));
    }
    for (SymlinkNode& link : directory.symlinks) {
      Child& child = children[std::move(link.name)];
      child.type = EntryType::kSymlink;
      child.target = std::move(link.target);
    }
    subtree_read_only = directory.subtree_read_only;
    opened = true;
    return {};
  }

  // Computes the digest, and writes the changed messages when `cas` is given. Messages whose digest
  // is known are in the store already.
  Result<Digest> finish(Cas* cas) {
    if (digest && (cas == nullptr || stored)) return *digest;
    Directory directory;
    directory.subtree_read_only = subtree_read_only;
    for (auto& [name, child] : children) {
      switch (child.type) {
        case EntryType::kFile:
          directory.files.push_back({name, child.digest, child.executable, child.mtime});
          break;
        case EntryType::kDirectory: {
          auto sub = TRY(child.node->finish(cas));
          directory.directories.push_back({name, std::move(sub)});
          break;
        }
        case EntryType::kSymlink: directory.symlinks.push_back({name, child.target}); break;
      }
    }
    const std::string bytes = encode_directory(directory);
    if (cas != nullptr) {
      digest = TRY(cas->add(bytes));
      stored = true;
    } else {
      digest = digest_of(bytes);
      stored = false;
    }
    return *digest;
  }

  void change() {
    digest.reset();
    stored = false;
  }

  // Whether the message of `digest` came from the store or was put there.
  bool stored = true;
};

namespace {

tl::unexpected<Error> bad_path(std::string_view path) {
  return fail("virtual-fs", "bad-path", fmt::format("'{}' is not a path inside of a tree", path));
}

Result<std::vector<std::string>> split(std::string_view path) {
  std::vector<std::string> parts;
  std::string_view rest = path;
  if (!rest.empty() && rest.front() == '/') rest.remove_prefix(1);
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (!valid_entry_name(name)) return bad_path(path);
    parts.emplace_back(name);
    if (parts.size() > kMaxDepth) return bad_path(path);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    // "usr/" is the directory, as to BuildStream.
    if (slash != std::string_view::npos && rest.empty()) break;
  }
  return parts;
}

std::string join(std::string_view prefix, std::string_view name) {
  if (prefix.empty()) return std::string(name);
  std::string path(prefix);
  path += '/';
  path += name;
  return path;
}

const char* type_name(EntryType type) {
  switch (type) {
    case EntryType::kFile: return "regular file";
    case EntryType::kDirectory: return "directory";
    case EntryType::kSymlink: return "symbolic link";
  }
  return "";
}

tl::unexpected<Error> too_deep(std::string_view path) {
  return fail("virtual-fs", "too-deep",
              fmt::format("{}: more than {} directories deep", path, kMaxDepth));
}

}  // namespace

// Ops are the functions that work on nodes; a nested type, and so a friend of Tree.
struct Tree::Ops {
  using Child = Node::Child;

  // The node at `parts`, opened. "not-found", "not-a-directory".
  static Result<Node*> descend(const Cas& cas, Node* root, const std::vector<std::string>& parts,
                               bool create) {
    std::vector<Node*> way{root};
    bool created = false;
    Node* node = root;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      CHECK(node->open(cas));
      auto found = node->children.find(parts[i]);
      if (found == node->children.end()) {
        if (!create) {
          return fail(
              "virtual-fs", "not-found",
              fmt::format("'{}' not found",
                          fmt::join(parts.begin(), parts.begin() + static_cast<long>(i) + 1, "/")));
        }
        Child child;
        child.type = EntryType::kDirectory;
        child.node = std::make_unique<Node>();
        found = node->children.emplace(parts[i], std::move(child)).first;
        created = true;
      } else if (found->second.type != EntryType::kDirectory) {
        return fail(
            "virtual-fs", "not-a-directory",
            fmt::format("'{}' is a {}, not a directory",
                        fmt::join(parts.begin(), parts.begin() + static_cast<long>(i) + 1, "/"),
                        type_name(found->second.type)));
      }
      node = found->second.node.get();
      way.push_back(node);
    }
    CHECK(node->open(cas));
    if (created) {
      for (Node* on_way : way) on_way->change();
    }
    return node;
  }

  static void change_all(Node* root, const std::vector<std::string>& parts) {
    root->change();
    Node* node = root;
    for (const std::string& part : parts) {
      node = node->children.find(part)->second.node.get();
      node->change();
    }
  }

  static Status report_written(const Cas& cas, Node& node, const std::string& prefix,
                               MergeReport& report, unsigned depth) {
    if (depth > kMaxDepth) return too_deep(prefix);
    CHECK(node.open(cas));
    for (auto& [name, child] : node.children) {
      if (child.type != EntryType::kDirectory) continue;
      CHECK(report_written(cas, *child.node, join(prefix, name), report, depth + 1));
    }
    for (const EntryType type : {EntryType::kFile, EntryType::kSymlink}) {
      for (auto& [name, child] : node.children) {
        if (child.type == type) report.written.push_back(join(prefix, name));
      }
    }
    return {};
  }

  // Merges `from` into `to`; gives whether something below `to` changed.
  static Result<bool> merge(const Cas& cas, Node& to, const Directory& from,
                            const std::string& prefix, const Filter& filter, MergeReport* report,
                            unsigned depth) {
    if (depth > kMaxDepth) return too_deep(prefix);
    bool changed = false;
    for (const DirectoryNode& sub : from.directories) {
      const std::string path = join(prefix, sub.name);
      auto found = to.children.find(sub.name);
      const bool create = found == to.children.end();
      if (create && !filter) {
        Child child;
        child.type = EntryType::kDirectory;
        child.node = Node::unopened(sub.digest);
        Node& adopted = *to.children.emplace(sub.name, std::move(child)).first->second.node;
        changed = true;
        if (report != nullptr && report->list_written) {
          CHECK(report_written(cas, adopted, path, *report, depth + 1));
        }
        continue;
      }
      if (create) {
        Child child;
        child.type = EntryType::kDirectory;
        child.node = std::make_unique<Node>();
        found = to.children.emplace(sub.name, std::move(child)).first;
        changed = true;
      } else if (found->second.type != EntryType::kDirectory) {
        return fail("virtual-fs", "not-a-directory",
                    fmt::format("Destination is a {}, not a directory: /{}",
                                type_name(found->second.type), path));
      }
      Node& target = *found->second.node;
      // The same tree again changes nothing, unless a filter leaves things out or a report is
      // wanted.
      if (!filter && report == nullptr && target.digest && *target.digest == sub.digest) continue;
      auto below = TRY(read_directory(cas, sub.digest));
      CHECK(target.open(cas));
      auto deeper = TRY(merge(cas, target, below, path, filter, report, depth + 1));
      changed = changed || deeper;
      if (filter && !filter(path) && create && target.children.empty()) to.children.erase(sub.name);
    }

    const auto place = [&](const std::string& name, Child child) -> Status {
      std::string path = join(prefix, name);
      if (filter && !filter(path)) return {};
      auto found = to.children.find(name);
      if (found != to.children.end()) {
        if (found->second.type == EntryType::kDirectory) {
          CHECK(found->second.node->open(cas));
          if (!found->second.node->children.empty()) {
            if (report != nullptr) report->ignored.push_back(std::move(path));
            return {};
          }
        }
        if (report != nullptr) report->overwritten.push_back(path);
        found->second = std::move(child);
      } else {
        to.children.emplace(name, std::move(child));
      }
      changed = true;
      if (report != nullptr && report->list_written) report->written.push_back(std::move(path));
      return {};
    };
    for (const FileNode& file : from.files) {
      Child child;
      child.type = EntryType::kFile;
      child.digest = file.digest;
      child.executable = file.executable;
      child.mtime = file.mtime;
      CHECK(place(file.name, std::move(child)));
    }
    for (const SymlinkNode& link : from.symlinks) {
      Child child;
      child.type = EntryType::kSymlink;
      child.target = link.target;
      CHECK(place(link.name, std::move(child)));
    }
    if (changed) to.change();
    return changed;
  }

  static bool same(const Child& one, const Child& other) {
    if (one.type != other.type) return false;
    switch (one.type) {
      case EntryType::kDirectory: return one.node->digest && one.node->digest == other.node->digest;
      case EntryType::kSymlink: return one.target == other.target;
      case EntryType::kFile: break;
    }
    return one.digest == other.digest && one.executable == other.executable &&
           one.mtime == other.mtime;
  }

  // Does to `node` what changed from `from` to `to`, which are as they are in the store: nothing
  // below them is open.
  static Status apply_changes(const Cas& cas, Node& node, Node& from, Node& to, unsigned depth) {
    if (depth > kMaxDepth) return too_deep("");
    if (from.digest && from.digest == to.digest) return {};
    for (Node* opened : {&node, &from, &to}) {
      CHECK(opened->open(cas));
    }
    for (auto& [name, child] : to.children) {
      const auto own = node.children.find(name);
      const auto before = from.children.find(name);
      if (own != node.children.end() && same(own->second, child)) continue;
      if (before != from.children.end() && same(before->second, child)) continue;
      if (own != node.children.end() && own->second.type == EntryType::kDirectory &&
          child.type == EntryType::kDirectory) {
        Node nothing;
        Node& below = before != from.children.end() && before->second.type == EntryType::kDirectory
                          ? *before->second.node
                          : nothing;
        CHECK(apply_changes(cas, *own->second.node, below, *child.node, depth + 1));
      } else {
        node.children.insert_or_assign(name, std::move(child));
      }
    }
    for (const auto& [name, child] : from.children) {
      if (!to.children.contains(name)) node.children.erase(name);
    }
    node.change();
    return {};
  }

  static Entry entry(const Child& child) {
    return {child.type, child.digest, child.target, child.executable, child.mtime};
  }

  static Status walk(const Cas& cas, Node& node, const std::string& prefix, const Visit& visit,
                     unsigned depth) {
    if (depth > kMaxDepth) return too_deep(prefix);
    CHECK(node.open(cas));
    for (const auto& [name, child] : node.children) {
      if (child.type == EntryType::kDirectory) continue;
      CHECK(visit(join(prefix, name), entry(child)));
    }
    for (const auto& [name, child] : node.children) {
      if (child.type != EntryType::kDirectory) continue;
      const std::string path = join(prefix, name);
      CHECK(visit(path, entry(child)));
      CHECK(walk(cas, *child.node, path, visit, depth + 1));
    }
    return {};
  }

  // Puts `child` at `path`, replacing what is there.
  static Status put(const Cas& cas, Node* root, std::string_view path, Child child) {
    auto parts = TRY(split(path));
    if (parts.empty()) return bad_path(path);
    const std::string name = std::move(parts.back());
    parts.pop_back();
    auto node = TRY(descend(cas, root, parts, true));
    change_all(root, parts);
    node->children.insert_or_assign(name, std::move(child));
    return {};
  }
};

Tree::Tree(const Cas& cas) : cas_(&cas), root_(std::make_unique<Node>()) {}
Tree::Tree(Tree&&) noexcept = default;
Tree& Tree::operator=(Tree&&) noexcept = default;
Tree::~Tree() = default;

Result<Tree> Tree::open(const Cas& cas, const Digest& root) {
  Tree tree(cas);
  tree.root_ = Node::unopened(root);
  CHECK(tree.root_->open(cas));
  return tree;
}

Result<Digest> Tree::store(Cas& cas) { return root_->finish(&cas); }

Result<Digest> Tree::digest() const {
  if (root_->digest) return *root_->digest;
  auto digest = root_->finish(nullptr);
  return digest;
}

Status Tree::merge(const Digest& from, std::string_view path, const Filter& filter,
                   MergeReport* report) {
  auto parts = TRY(split(path));
  auto source = TRY(read_directory(*cas_, from));
  auto node = TRY(Ops::descend(*cas_, root_.get(), parts, true));
  auto changed = TRY(
      Ops::merge(*cas_, *node, source, "", filter, report, static_cast<unsigned>(parts.size())));
  if (changed) Ops::change_all(root_.get(), parts);
  return {};
}

Status Tree::make_directory(std::string_view path) {
  auto parts = TRY(split(path));
  CHECK(Ops::descend(*cas_, root_.get(), parts, true));
  return {};
}

Status Tree::set_subtree_read_only(std::string_view path, bool read_only) {
  auto parts = TRY(split(path));
  auto node = TRY(Ops::descend(*cas_, root_.get(), parts, false));
  if (node->subtree_read_only == read_only) return {};
  node->subtree_read_only = read_only;
  Ops::change_all(root_.get(), parts);
  return {};
}

Status Tree::put_file(std::string_view path, const Digest& blob, bool executable) {
  if (!valid_digest(blob))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", blob.hash));
  Node::Child child;
  child.digest = blob;
  child.executable = executable;
  return Ops::put(*cas_, root_.get(), path, std::move(child));
}

Status Tree::put_symlink(std::string_view path, std::string target) {
  if (target.empty() || target.size() > 4095 || target.find('\0') != std::string::npos)
    return bad_path(target);
  Node::Child child;
  child.type = EntryType::kSymlink;
  child.target = std::move(target);
  return Ops::put(*cas_, root_.get(), path, std::move(child));
}

Status Tree::remove(std::string_view path) {
  auto parts = TRY(split(path));
  if (parts.empty()) return bad_path(path);
  const std::string name = std::move(parts.back());
  parts.pop_back();
  auto node = Ops::descend(*cas_, root_.get(), parts, false);
  if (!node) {
    if (node.error().reason == "not-found") return {};
    return forward(node);
  }
  if ((*node)->children.erase(name) > 0) Ops::change_all(root_.get(), parts);
  return {};
}

Result<std::optional<Entry>> Tree::find(std::string_view path) const {
  auto parts = TRY(split(path));
  if (parts.empty()) return Entry{EntryType::kDirectory, {}, {}, false, std::nullopt};
  const std::string name = std::move(parts.back());
  parts.pop_back();
  auto node = Ops::descend(*cas_, root_.get(), parts, false);
  if (!node) {
    if (node.error().reason == "not-found" || node.error().reason == "not-a-directory")
      return std::nullopt;
    return forward(node);
  }
  const auto found = (*node)->children.find(name);
  if (found == (*node)->children.end()) return std::nullopt;
  return Ops::entry(found->second);
}

Result<Tree::Node*> Tree::directory_node(std::string_view path) const {
  auto parts = TRY(split(path));
  // The directory isn't opened for its digest alone.
  Node* node = root_.get();
  if (!parts.empty()) {
    const std::string name = std::move(parts.back());
    parts.pop_back();
    auto parent = TRY(Ops::descend(*cas_, root_.get(), parts, false));
    const auto found = parent->children.find(name);
    if (found == parent->children.end())
      return fail("virtual-fs", "not-found", fmt::format("'{}' not found", path));
    if (found->second.type != EntryType::kDirectory) {
      return fail(
          "virtual-fs", "not-a-directory",
          fmt::format("'{}' is a {}, not a directory", path, type_name(found->second.type)));
    }
    node = found->second.node.get();
  }
  return node;
}

Result<Digest> Tree::directory_digest(std::string_view path) const {
  auto node = TRY(directory_node(path));
  if (node->digest) return *node->digest;
  return node->finish(nullptr);
}

Result<Digest> Tree::store_directory(Cas& cas, std::string_view path) {
  auto node = TRY(directory_node(path));
  return node->finish(&cas);
}

Result<std::vector<std::string>> Tree::names(std::string_view path) const {
  auto parts = TRY(split(path));
  auto node = TRY(Ops::descend(*cas_, root_.get(), parts, false));
  std::vector<std::string> names;
  for (const auto& [name, child] : node->children) names.push_back(name);
  return names;
}

Status Tree::apply_changes(const Digest& from, const Digest& to) {
  const auto before = Node::unopened(from);
  const auto after = Node::unopened(to);
  return Ops::apply_changes(*cas_, *root_, *before, *after, 0);
}

Status Tree::walk(const Visit& visit) const { return Ops::walk(*cas_, *root_, "", visit, 0); }

Result<std::vector<std::string>> Tree::list() const {
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path, const Entry&) {
    paths.push_back(path);
    return Status{};
  };
  CHECK(walk(add));
  return paths;
}

Result<std::string> walk_path(std::string from, std::string_view path,
                              const std::function<Status(const std::string&)>& enter) {
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      from.resize(from.empty() ? 0 : from.rfind('/'));
      continue;
    }
    (from += '/') += name;
    if (enter) CHECK(enter(from));
  }
  return from;
}

}  // namespace sluice::store
