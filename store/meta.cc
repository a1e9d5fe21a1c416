// The YAML blobs of artifacts, byte for byte as BuildStream writes them, so that the same
// data is the same blob. Every scalar is read as a string, plain or quoted.
#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "base/try.h"
#include "store/artifact.h"
#include "yaml/dump.h"

namespace sluice::store {

namespace {

using model::Node;

constexpr unsigned kMaxNesting = 100;

// Makes nodes of yaml-cpp's events.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    // "~" and "null" are null to yaml-cpp, and text to BuildStream.
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
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string& value) override {
    const bool quoted = mark.pos >= 0 && static_cast<std::size_t>(mark.pos) < text_.size() &&
                        text_[static_cast<std::size_t>(mark.pos)] == '\'';
    value_(Node::make_scalar(quoted ? fold(value) : value));
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(Node::make_list());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
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

  // U+0085, U+2028 and U+2029 are line breaks to BuildStream (YAML 1.1), not to yaml-cpp: what it
  // writes after one, in single quotes, is indentation. U+0085 becomes a space, there as here.
  static std::string fold(const std::string& value) {
    std::string folded;
    for (std::size_t i = 0; i < value.size();) {
      const bool next_line = value.compare(i, 2, "\xc2\x85") == 0;
      const bool separator =
          value.compare(i, 3, "\xe2\x80\xa8") == 0 || value.compare(i, 3, "\xe2\x80\xa9") == 0;
      if (!next_line && !separator) {
        folded += value[i++];
        continue;
      }
      folded += next_line ? " " : value.substr(i, 3);
      i = std::min(value.find_first_not_of(' ', i + (next_line ? 2 : 3)), value.size());
    }
    return folded;
  }

  void refuse(const char* why) {
    if (problem_.empty()) problem_ = why;
  }

  void open(Node node) {
    if (levels_.size() >= kMaxNesting) refuse("it is nested too deeply");
    if (!levels_.empty() && levels_.back().node.is_map() && !levels_.back().has_key)
      refuse("a key is not a scalar");
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
    return fail("artifact", "bad-artifact",
                fmt::format("The artifact's {} can't be read: {}", what, why));
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
    return yaml::stripped(std::move(node));
  } catch (const std::exception& error) {
    return bad(error.what());
  }
}

Node map_node(const model::StringMap& map) {
  Node node = Node::make_map();
  for (const auto& [name, value] : yaml::stripped(map))
    node.map.emplace_back(name, Node::make_scalar(value));
  return node;
}

model::StringMap string_map(const Node* node) {
  model::StringMap map;
  if (node == nullptr || !node->is_map()) return map;
  for (const auto& [name, value] : node->map) map.emplace_back(name, value.scalar);
  return map;
}

Result<Node> read_map(const Cas& cas, const Digest& digest, const char* what) {
  auto text = TRY(cas.read(digest));
  return parse_map(text, what);
}

}  // namespace

Node sandbox_config_node(const model::Sandbox& sandbox) {
  Node node = Node::make_map();
  node.set("build-os", Node::make_scalar(sandbox.build_os));
  node.set("build-arch", Node::make_scalar(sandbox.build_arch));
  if (sandbox.build_uid != 0)
    node.set("build-uid", Node::make_scalar(std::to_string(sandbox.build_uid)));
  if (sandbox.build_gid != 0)
    node.set("build-gid", Node::make_scalar(std::to_string(sandbox.build_gid)));
  if (!sandbox.remote_apis_socket.empty()) {
    Node socket = Node::make_map({{"path", Node::make_scalar(sandbox.remote_apis_socket)}});
    if (sandbox.remote_apis_update)
      socket.set("action-cache-enable-update", Node::make_scalar("True"));
    node.set("remote-apis-socket", std::move(socket));
  }
  return node;
}

Status write_meta(Cas& cas, const ArtifactMeta& meta, ArtifactInfo& artifact) {
  Node low = Node::make_map();
  low.set("environment", map_node(meta.environment));
  low.set("sandbox-config", meta.sandbox_config);
  Node high = Node::make_map();
  high.set("variables", map_node(meta.variables));
  // A sandbox's configuration goes into keys as it is, but artifacts, and whoever reads them, have
  // BuildStream's clone of it.
  const Node public_data = yaml::stripped(meta.public_data);
  const std::pair<const Node*, Digest*> blobs[] = {{&public_data, &artifact.public_data},
                                                   {&low, &artifact.low_diversity_meta},
                                                   {&high, &artifact.high_diversity_meta}};
  for (const auto& [node, digest] : blobs) {
    *digest = TRY(cas.add(yaml::dump(node->is_map() ? *node : Node::make_map())));
  }
  return {};
}

Result<ArtifactMeta> read_meta(const Cas& cas, const ArtifactInfo& artifact) {
  ArtifactMeta meta;
  meta.public_data = TRY(read_map(cas, artifact.public_data, "public data"));
  auto low = TRY(read_map(cas, artifact.low_diversity_meta, "environment"));
  meta.environment = string_map(low.find("environment"));
  if (const Node* sandbox = low.find("sandbox-config")) meta.sandbox_config = *sandbox;
  auto high = TRY(read_map(cas, artifact.high_diversity_meta, "variables"));
  meta.variables = string_map(high.find("variables"));
  return meta;
}

Result<Node> read_public_data(const Cas& cas, const Digest& digest) {
  return read_map(cas, digest, "public data");
}

}  // namespace sluice::store
