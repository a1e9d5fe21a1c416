// The YAML blobs of artifacts. BuildStream reads every scalar as a string, plain or
// quoted, so what is written need only load back to the same strings.
#include <string>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "store/artifact.h"

namespace sluice::store {

namespace {

using model::Node;

constexpr unsigned kMaxNesting = 100;

bool plain(std::string_view text) {
  if (text.empty() || text.size() > 256 || text == "null" || text == "Null" || text == "NULL") return false;
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/' || c == '.';
  };
  if (!word(text.front()) || !word(text.back()) || text.substr(0, 3) == "...") return false;
  for (const char c : text) {
    if (!word(c) && c != '-' && c != '+' && c != '=' && c != '*' && c != ' ') return false;
  }
  return true;
}

std::string scalar(std::string_view text) {
  if (plain(text)) return std::string(text);
  std::string quoted = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    const auto at = [&](std::string_view bytes) { return text.substr(i, bytes.size()) == bytes; };
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      // C1 controls, U+0085 (a line break in YAML 1.1) among them.
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
    } else if (at("\xe2\x80\xa8") || at("\xe2\x80\xa9")) {
      quoted += at("\xe2\x80\xa8") ? "\\L" : "\\P";
      i += 2;
    } else if (at("\xef\xbb\xbf")) {
      quoted += "\\uFEFF";
      i += 2;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

bool in_line(const Node& node) {
  return node.kind == Node::Kind::kScalar || node.kind == Node::Kind::kNull ||
         (node.is_list() && node.list.empty()) || (node.is_map() && node.map.empty());
}

std::string inline_text(const Node& node) {
  if (node.is_list()) return "[]";
  if (node.is_map()) return "{}";
  return scalar(node.scalar);  // null: "", as BuildStream writes and reads it
}

void dump(const Node& node, const std::string& indent, std::string& out) {
  if (node.is_list()) {
    for (const Node& item : node.list) {
      if (in_line(item)) {
        out += indent + "- " + inline_text(item) + "\n";
      } else {
        out += indent + "-\n";
        dump(item, indent + "  ", out);
      }
    }
    return;
  }
  for (const auto& [key, value] : node.map) {
    const std::string name = scalar(key);
    // Parsers refuse implicit keys of more than 1024 characters.
    out += name.size() > 512 ? indent + "? " + name + "\n" + indent + ":" : indent + name + ":";
    if (in_line(value)) {
      out += " " + inline_text(value) + "\n";
    } else {
      out += "\n";
      dump(value, value.is_list() ? indent : indent + "  ", out);
    }
  }
}

// yaml-cpp's events into nodes.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    // yaml-cpp takes "~" and "null" for null; BuildStream takes them for text.
    std::string value;
    if (mark.pos >= 0 && static_cast<std::size_t>(mark.pos) < text_.size()) {
      const std::string_view rest = text_.substr(static_cast<std::size_t>(mark.pos));
      for (const std::string_view word : {"~", "null", "Null", "NULL"}) {
        if (rest.substr(0, word.size()) == word) value = word;
      }
    }
    value_(Node::make_scalar(std::move(value)));
  }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { refuse("it has an alias"); }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string& value) override {
    value_(Node::make_scalar(value));
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(Node::make_list());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(Node::make_map());
  }
  void OnMapEnd() override { close(); }

  const std::string& problem() const { return problem_; }
  bool has_result() const { return has_result_; }
  Node take() { return std::move(result_); }

 private:
  struct Level {
    Node node;
    std::string key;
    bool has_key = false;
  };

  void refuse(const char* why) {
    if (problem_.empty()) problem_ = why;
  }

  void open(Node node) {
    if (levels_.size() >= kMaxNesting) refuse("it is nested too deeply");
    if (!levels_.empty() && levels_.back().node.is_map() && !levels_.back().has_key) refuse("a key is not a scalar");
    levels_.push_back({std::move(node), {}, false});
  }

  void close() {
    Node done = std::move(levels_.back().node);
    levels_.pop_back();
    value_(std::move(done));
  }

  void value_(Node value) {
    if (levels_.empty()) {
      result_ = std::move(value);
      has_result_ = true;
      return;
    }
    Level& level = levels_.back();
    if (level.node.is_list()) {
      level.node.list.push_back(std::move(value));
    } else if (!level.has_key) {
      level.key = std::move(value.scalar);
      level.has_key = true;
    } else {
      level.node.set(std::move(level.key), std::move(value));
      level.has_key = false;
    }
  }

  std::string_view text_;
  std::vector<Level> levels_;
  Node result_;
  bool has_result_ = false;
  std::string problem_;
};

Result<Node> parse_map(const std::string& text, const char* what) {
  const auto bad = [what](const std::string& why) {
    return fail("artifact", "bad-artifact", fmt::format("The artifact's {} can't be read: {}", what, why));
  };
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Builder builder(text);
    parser.HandleNextDocument(builder);
    if (!builder.problem().empty()) return bad(builder.problem());
    if (!builder.has_result()) return Node::make_map();
    Node node = builder.take();
    if (!node.is_map()) return bad("it is not a mapping");
    return node;
  } catch (const std::exception& error) {
    return bad(error.what());
  }
}

Node map_node(const model::StringMap& map) {
  Node node = Node::make_map();
  for (const auto& [name, value] : map) node.map.emplace_back(name, Node::make_scalar(value));
  return node;
}

model::StringMap string_map(const Node* node) {
  model::StringMap map;
  if (node == nullptr || !node->is_map()) return map;
  for (const auto& [name, value] : node->map) map.emplace_back(name, value.scalar);
  return map;
}

Result<Node> read_map(const Cas& cas, const Digest& digest, const char* what) {
  auto text = cas.read(digest);
  if (!text) return forward(text);
  return parse_map(*text, what);
}

}  // namespace

std::string dump_yaml(const Node& node) {
  if (in_line(node)) return inline_text(node) + "\n";
  std::string out;
  dump(node, "", out);
  return out;
}

Node sandbox_config_node(const model::Sandbox& sandbox) {
  Node node = Node::make_map();
  node.set("build-os", Node::make_scalar(sandbox.build_os));
  node.set("build-arch", Node::make_scalar(sandbox.build_arch));
  if (sandbox.build_uid != 0) node.set("build-uid", Node::make_scalar(std::to_string(sandbox.build_uid)));
  if (sandbox.build_gid != 0) node.set("build-gid", Node::make_scalar(std::to_string(sandbox.build_gid)));
  return node;
}

Status write_meta(Cas& cas, const ArtifactMeta& meta, ArtifactInfo& artifact) {
  Node low = Node::make_map();
  low.set("environment", map_node(meta.environment));
  low.set("sandbox-config", meta.sandbox_config);
  Node high = Node::make_map();
  high.set("variables", map_node(meta.variables));
  const std::pair<const Node*, Digest*> blobs[] = {
      {&meta.public_data, &artifact.public_data}, {&low, &artifact.low_diversity_meta}, {&high, &artifact.high_diversity_meta}};
  for (const auto& [node, digest] : blobs) {
    auto added = cas.add(node->is_map() ? dump_yaml(*node) : "{}\n");
    if (!added) return forward(added);
    *digest = std::move(*added);
  }
  return {};
}

Result<ArtifactMeta> read_meta(const Cas& cas, const ArtifactInfo& artifact) {
  ArtifactMeta meta;
  auto data = read_map(cas, artifact.public_data, "public data");
  if (!data) return forward(data);
  meta.public_data = std::move(*data);
  auto low = read_map(cas, artifact.low_diversity_meta, "environment");
  if (!low) return forward(low);
  meta.environment = string_map(low->find("environment"));
  if (const Node* sandbox = low->find("sandbox-config")) meta.sandbox_config = *sandbox;
  auto high = read_map(cas, artifact.high_diversity_meta, "variables");
  if (!high) return forward(high);
  meta.variables = string_map(high->find("variables"));
  return meta;
}

Result<Node> read_public_data(const Cas& cas, const Digest& digest) { return read_map(cas, digest, "public data"); }

}  // namespace sluice::store
