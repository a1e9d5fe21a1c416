#include "cli/source_info.h"

#include <regex>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/sha256.h"

namespace sluice::cli {

namespace {

constexpr const char* kDefaultPattern = R"((\d+)\.(\d+)(?:\.(\d+))?)";
// std::regex recurses for each character.
constexpr std::size_t kMaxText = 4096;

model::Node scalar(std::string text) { return model::Node::make_scalar(std::move(text)); }
std::string digest_text(const model::Digest& digest) { return fmt::format("{}/{}", digest.hash, digest.size); }

struct Info {
  std::string url, medium, version_type, version, guess;
  model::NodeMap extra;
};

model::Node to_node(const model::Source& source, Info info) {
  model::Node node = model::Node::make_map({{"kind", scalar(source.kind)}, {"url", scalar(without_credentials(info.url))}});
  if (const model::Node* provenance = source.config.find("provenance"); provenance != nullptr && provenance->is_map()) {
    for (const char* attribute : {"homepage", "issue-tracker"}) {
      if (const model::Node* value = provenance->find(attribute)) node.set(attribute, *value);
    }
    node.set("provenance", *provenance);
  }
  node.set("medium", scalar(std::move(info.medium)));
  node.set("version-type", scalar(std::move(info.version_type)));
  node.set("version", scalar(std::move(info.version)));
  if (!info.guess.empty()) node.set("version-guess", scalar(std::move(info.guess)));
  if (!info.extra.empty()) node.set("extra-data", model::Node::make_map(std::move(info.extra)));
  return node;
}

// What is written in the file comes before what can be guessed.
Result<std::string> version_of(const model::Source& source, const std::string& text) {
  if (std::string version = source.config.get_string("version"); !version.empty()) return version;
  auto guess = guess_version(text, source.config.get_string("version-guess-pattern", kDefaultPattern));
  if (!guess) guess.error().provenance = source.provenance;
  return guess;
}

Result<Info> downloaded(const model::Source& source) {
  auto guess = version_of(source, source.original_url);
  if (!guess) return forward(guess);
  return Info{source.url, "remote-file", "sha256", source.ref.empty() ? "None" : source.ref, std::move(*guess), {}};
}

// A ref is a commit, or TAG-COMMITS-gCOMMIT as `git describe` gives it.
Result<Info> git(const model::Source& source) {
  Info info{source.config.get_string("url"), "git", "commit", source.ref, source.config.get_string("version"), {}};
  const std::size_t at = source.ref.rfind("-g");
  if (at == std::string::npos) return info;
  info.version = source.ref.substr(at + 2);
  const std::string described = source.ref.substr(0, at);
  const std::size_t dash = described.rfind('-');
  if (dash == std::string::npos) return info;
  auto guess = version_of(source, described.substr(0, dash));
  if (!guess) return forward(guess);
  info.guess = std::move(*guess);
  const std::string commits = described.substr(dash + 1);
  if (!commits.empty() && commits != "0") info.extra.emplace_back("commit-offset", scalar(commits));
  return info;
}

Result<Info> patch(const model::Source& source) {
  auto content = read_file(source.path);
  if (!content) return forward(content);
  return Info{source.config.get_string("path"), "local", "sha256", sha256_hex(*content), {}, {}};
}

std::vector<Info> packages(const model::Source& source) {
  std::vector<Info> infos;
  std::string_view rest = source.ref;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const std::size_t equals = line.find("==");
    if (equals == std::string_view::npos) continue;
    const std::string version(line.substr(equals + 2));
    infos.push_back({source.url, "pypi", "indexed-version", version, version, {{"package-name", scalar(std::string(line.substr(0, equals)))}}});
  }
  return infos;
}

Result<std::vector<Info>> infos_of(const model::Source& source) {
  const auto one = [](Result<Info> info) -> Result<std::vector<Info>> {
    if (!info) return forward(info);
    return std::vector<Info>{std::move(*info)};
  };
  if (source.kind == "local") return one(Info{source.config.get_string("path"), "local", "cas-digest", digest_text(source.local_digest), {}, {}});
  if (source.kind == "workspace") return one(Info{source.path, "workspace", "cas-digest", digest_text(source.local_digest), {}, {}});
  if (source.kind == "tar" || source.kind == "zip" || source.kind == "remote") return one(downloaded(source));
  if (source.kind == "git") return one(git(source));
  if (source.kind == "patch") return one(patch(source));
  if (source.kind == "bzr") return one(Info{source.url, "bzr", "commit", source.ref, source.config.get_string("version"), {}});
  if (source.kind == "pip") return packages(source);
  return fail("app", "unsupported", fmt::format("%{{source-info}} of sources of kind '{}' is not supported", source.kind), source.provenance);
}

}  // namespace

Result<std::string> guess_version(const std::string& text, const std::string& pattern) {
  if (text.size() > kMaxText || pattern.size() > kMaxText) return fail("app", "bad-pattern", "too long to guess a version from");
  std::string best;
  std::size_t best_groups = 0;
  try {
    const std::regex expression(pattern);
    for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end; ++match) {
      std::string guess;
      std::size_t groups = 0;
      for (std::size_t i = match->size() == 1 ? 0 : 1; i < match->size(); ++i) {
        if (!(*match)[i].matched) continue;
        guess += (groups++ > 0 ? "." : "") + (*match)[i].str();
      }
      if (best.empty() || groups > best_groups) {
        best = std::move(guess);
        best_groups = groups;
      }
    }
  } catch (const std::regex_error& error) {
    return fail("app", "bad-pattern", fmt::format("version-guess-pattern '{}': {}", pattern, error.what()));
  }
  return best;
}

Result<model::Node> source_info(const std::vector<model::Source>& sources) {
  model::Node list = model::Node::make_list();
  for (const model::Source& source : sources) {
    auto infos = infos_of(source);
    if (!infos) return forward(infos);
    for (Info& info : *infos) list.list.push_back(to_node(source, std::move(info)));
  }
  return list;
}

}  // namespace sluice::cli
