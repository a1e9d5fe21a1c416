#include "sources/info.h"

#include <algorithm>
#include <regex>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/try.h"

namespace sluice::sources {

namespace {

constexpr const char* kDefaultPattern = R"((\d+)\.(\d+)(?:\.(\d+))?)";
// The longest text that is searched, since std::regex recurses for each character.
constexpr std::size_t kMaxText = 4096;

model::Node scalar(std::string text) { return model::Node::make_scalar(std::move(text)); }
std::string digest_text(const model::Digest& digest) {
  return fmt::format("{}/{}", digest.hash, digest.size);
}

model::Node to_node(const model::Source& source, Info info) {
  model::Node node = model::Node::make_map(
      {{"kind", scalar(source.kind)}, {"url", scalar(without_credentials(info.url))}});
  if (const model::Node* provenance =
          info.provenance.is_map() ? &info.provenance : source.config.find("provenance");
      provenance != nullptr && provenance->is_map()) {
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

}  // namespace

Result<std::string> guess_version(const std::string& text, const std::string& pattern) {
  if (text.size() > kMaxText || pattern.size() > kMaxText)
    return fail("app", "bad-pattern", "too long to guess a version from");
  std::string best;
  std::size_t best_groups = 0;
  try {
    const std::regex expression(pattern);
    for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end;
         ++match) {
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
    return fail("app", "bad-pattern",
                fmt::format("version-guess-pattern '{}': {}", pattern, error.what()));
  }
  return best;
}

Result<std::string> match_version(const std::string& text, const std::string& pattern) {
  if (text.size() > kMaxText || pattern.size() > kMaxText)
    return fail("app", "bad-pattern", "too long to look for a version in");
  const auto bad = [&](std::string_view why) {
    return fail("app", "bad-pattern", fmt::format("version-match '{}': {}", pattern, why));
  };
  try {
    const std::regex expression(pattern);
    std::smatch match;
    if (!std::regex_search(text, match, expression)) return std::string();
    if (match.size() == 1) return match.str();
    std::string version;
    for (std::size_t i = 1; i < match.size(); ++i) {
      if (!match[i].matched) return bad(fmt::format("group {} matched nothing in '{}'", i, text));
      version += (i > 1 ? "." : "") + match[i].str();
    }
    return version;
  } catch (const std::regex_error& error) {
    return bad(error.what());
  }
}

Result<std::string> version_of(const model::Source& source, const std::string& text) {
  if (std::string version = source.config.get_string("version"); !version.empty()) return version;
  auto guess =
      guess_version(text, source.config.get_string("version-guess-pattern", kDefaultPattern));
  if (!guess) guess.error().provenance = source.provenance;
  return guess;
}

Infos download_info(const model::Source& source) {
  auto guess = TRY(version_of(source, source.original_url));
  return std::vector{Info{source.url,
                          "remote-file",
                          "sha256",
                          source.ref_text().empty() ? "None" : source.ref_text(),
                          std::move(guess),
                          {}}};
}

Infos content_info(const model::Source& source, std::string url, std::string medium) {
  return std::vector{Info{
      std::move(url), std::move(medium), "cas-digest", digest_text(source.local_digest), {}, {}}};
}

// The ref of a commit is the commit, or TAG-COMMITS-gCOMMIT as `git describe` gives it.
Infos commit_info(const model::Source& source, const std::string& ref) {
  Info info{source.config.get_string("url"),     "git", "commit", ref,
            source.config.get_string("version"), {}};
  const std::size_t at = ref.rfind("-g");
  const std::string described = at == std::string::npos ? "" : ref.substr(0, at);
  const std::size_t dash = described.rfind('-');
  if (at != std::string::npos) info.version = ref.substr(at + 2);
  if (dash == std::string::npos) return std::vector{std::move(info)};
  info.guess = TRY(version_of(source, described.substr(0, dash)));
  const std::string commits = described.substr(dash + 1);
  if (!commits.empty() && commits != "0") info.extra.emplace_back("commit-offset", scalar(commits));
  return std::vector{std::move(info)};
}

Infos described_commit_info(const model::Source& source, const std::string& ref) {
  Info info{source.url, "git", "commit", ref.substr(0, 40), source.config.get_string("version"),
            {}};
  const std::size_t at = ref.rfind("-g");
  const std::size_t dash =
      at == std::string::npos || at == 0 ? std::string::npos : ref.rfind('-', at - 1);
  if (dash == std::string::npos) return std::vector{std::move(info)};
  info.version = ref.substr(at + 2, 40);
  const std::string tag = ref.substr(0, dash);
  info.guess = TRY(version_of(source, tag));
  info.extra = {{"tag-name", scalar(tag)},
                {"commit-offset", scalar(ref.substr(dash + 1, at - dash - 1))}};
  return std::vector{std::move(info)};
}

Infos infos_of(const model::Source& source, const std::function<Infos(const model::Source&)>& ask) {
  if (!source.plugin.file.empty()) return ask(source);
  const auto rows = info_rows();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const InfoRow& of) { return of.kind == source.kind; });
  if (row == rows.end()) {
    return fail(
        "app", "unsupported",
        fmt::format("%{{source-info}} of sources of kind '{}' is not supported", source.kind),
        source.provenance);
  }
  return row->info(source);
}

Result<model::Node> source_info(const std::vector<model::Source>& sources,
                                const std::function<Infos(const model::Source&)>& ask) {
  model::Node list = model::Node::make_list();
  for (const model::Source& source : sources) {
    auto infos = TRY(infos_of(source, ask));
    for (Info& info : infos) list.list.push_back(to_node(source, std::move(info)));
  }
  return list;
}

}  // namespace sluice::sources
