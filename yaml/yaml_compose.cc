#include "yaml/yaml_compose.h"

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::yaml {

namespace {

class Composer {
 public:
  Composer(Arena& arena, const Node& source) : arena_(arena), source_(source) {}

  Status run(Node& target) { return compose_map(source_, target); }

 private:
  Status compose_map(const Node& source, Node& target) {
    for (const Entry& entry : source.entries()) {
      path_.push_back(entry.key);
      CHECK(compose_value(entry.key, *entry.value, target));
      path_.pop_back();
    }
    if (!source.mark.synthetic()) target.mark = source.mark;
    return {};
  }

  Status compose_value(std::string_view key, const Node& value, Node& target) {
    Node* below = target.find(key);
    switch (value.kind) {
      case Kind::kScalar:
        if (below != nullptr && !below->is_scalar()) {
          return illegal(value, fmt::format("Cannot compose scalar on non-scalar at {}",
                                            provenance(*below).str()));
        }
        target.set(arena_, key, clone(arena_, value));
        return {};
      case Kind::kList:
        if (below != nullptr && !below->is_list() && !TRY(is_directives(*below))) {
          return illegal(
              value, fmt::format("List cannot overwrite {} at: {}", key, provenance(*below).str()));
        }
        // Conditionals pile up, since each is still to be evaluated.
        if (below != nullptr && below->is_list() && key == "(?)") {
          for (const Node* item : value.items()) below->append(arena_, clone(arena_, *item));
        } else {
          target.set(arena_, key, clone(arena_, value));
        }
        return {};
      case Kind::kMap: return compose_submap(key, value, below, target);
    }
    return {};
  }

  Status compose_submap(std::string_view key, const Node& value, Node* below, Node& target) {
    if (!TRY(is_directives(value))) {
      if (below == nullptr) {
        below = make_map(arena_, value.mark);
        target.set(arena_, key, below);
      } else if (!below->is_map()) {
        return illegal(value, fmt::format("Cannot compose dictionary on non-dictionary at {}",
                                          provenance(*below).str()));
      }
      return compose_map(value, *below);
    }
    if (below == nullptr) {
      target.set(arena_, key, clone(arena_, value));
      return {};
    }
    CHECK(check_lists(value));
    if (below->is_list()) {
      onto_list(value, *below);
      return {};
    }
    if (TRY(is_directives(*below))) {
      CHECK(check_lists(*below));
      onto_directives(value, *below);
      return {};
    }
    return illegal(value, fmt::format("Cannot compose lists onto {}", provenance(*below).str()));
  }

  void onto_list(const Node& value, Node& list) {
    if (const Node* replace = value.find("(=)")) {
      list.clear();
      for (const Node* item : replace->items()) list.append(arena_, clone(arena_, *item));
    }
    if (const Node* front = value.find("(<)")) list.prepend(arena_, clone(arena_, *front)->items());
    if (const Node* back = value.find("(>)")) {
      for (const Node* item : back->items()) list.append(arena_, clone(arena_, *item));
    }
  }

  void onto_directives(const Node& value, Node& below) {
    Node* front = value.find("(<)");
    Node* back = value.find("(>)");
    if (Node* replace = value.find("(=)")) {
      below.set(arena_, "(=)", clone(arena_, *replace));
      if (front != nullptr) {
        below.set(arena_, "(<)", clone(arena_, *front));
      } else if (Node* old = below.find("(<)")) {
        old->clear();
      }
      if (back != nullptr) {
        below.set(arena_, "(>)", clone(arena_, *back));
      } else if (Node* old = below.find("(>)")) {
        old->clear();
      }
      return;
    }
    if (front != nullptr) {
      if (Node* old = below.find("(<)")) {
        old->prepend(arena_, clone(arena_, *front)->items());
      } else {
        below.set(arena_, "(<)", clone(arena_, *front));
      }
    }
    if (back != nullptr) {
      if (Node* old = below.find("(>)")) {
        for (const Node* item : back->items()) old->append(arena_, clone(arena_, *item));
      } else {
        below.set(arena_, "(>)", clone(arena_, *back));
      }
    }
  }

  // Fails for a directive that is no list. Only composing with directives finds that out, as in
  // BuildStream.
  static Status check_lists(const Node& directives) {
    for (const Entry& entry : directives.entries()) {
      if (!entry.value->is_list())
        return invalid_data(*entry.value,
                            fmt::format("List directive '{}' is not a list", entry.key));
    }
    return {};
  }

  // Whether a map holds list directives and nothing else.
  static Result<bool> is_directives(const Node& node) {
    if (!node.is_map()) return false;
    bool directives = false;
    bool keys = false;
    for (const Entry& entry : node.entries())
      (is_list_directive(entry.key) ? directives : keys) = true;
    if (directives && keys) {
      return invalid_data(node,
                          "Dictionary contains list composition directives and arbitrary keys");
    }
    return directives;
  }

  tl::unexpected<Error> illegal(const Node& at, std::string_view message) const {
    std::string path;
    for (std::string_view part : path_)
      path += fmt::format("{}'{}'", path.empty() ? "" : ", ", part);
    return fail("load", "illegal-composite",
                fmt::format("Failure composing [{}]: {}: {}", path, provenance(at).str(), message),
                provenance(source_));
  }

  Arena& arena_;
  const Node& source_;
  std::vector<std::string_view> path_;
};

}  // namespace

bool is_list_directive(std::string_view key) {
  return key == "(>)" || key == "(<)" || key == "(=)";
}

Status compose(Arena& arena, const Node& source, Node& target) {
  return Composer(arena, source).run(target);
}

Status compose_under(Arena& arena, Node& source, Node& target) {
  CHECK(compose(arena, target, source));
  for (const Entry& entry : source.entries()) target.set(arena, entry.key, entry.value);
  return {};
}

Status assert_composited(const Node& node) {
  if (node.is_list()) {
    for (const Node* item : node.items()) CHECK(assert_composited(*item));
  }
  for (const Entry& entry : node.entries()) {
    if (is_list_directive(entry.key)) {
      return load_error(*entry.value, "trailing-list-directive",
                        "Attempt to override non-existing list");
    }
    CHECK(assert_composited(*entry.value));
  }
  return {};
}

}  // namespace sluice::yaml
