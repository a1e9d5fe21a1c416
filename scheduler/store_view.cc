#include "scheduler/store_view.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "base/tail.h"
#include "base/text.h"
#include "base/threads.h"
#include "base/try.h"
#include "scheduler/adoption.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "store/complete.h"
#include "store/sources.h"
#include "store/space.h"
#include "wire/job_messages.h"

namespace sluice::scheduler {

namespace {

CachedArtifact convert(const store::ArtifactInfo& info) {
  CachedArtifact out;
  out.success = info.build_success;
  out.error = info.build_error;
  out.detail = info.build_error_details;
  // Whoever has built it may have said a lot.
  limit_text(out.error, wire::kMostErrorText);
  limit_text(out.detail, wire::kMostErrorText);
  out.files = info.files;
  out.public_data = info.public_data;
  out.low_diversity_meta = info.low_diversity_meta;
  out.key = info.strong_key;
  for (const auto& log : info.logs) out.logs.emplace_back(log.name, log.digest);
  return out;
}

class LocalStoreView final : public StoreView {
 public:
  Status open(const model::Settings& settings) override {
    asks_for_buildtrees_ = settings.pull_buildtrees;
    if (cas_ && cas_->cachedir() == settings.cachedir) return {};
    artifacts_.reset();
    sources_.reset();
    complete_.reset();
    space_.reset();
    auto cas = TRY(store::Cas::open(settings.cachedir));
    auto space = TRY(store::Space::open(settings.cachedir));
    cas_.emplace(std::move(cas));
    space_.emplace(std::move(space));
    expiries_ = space_->expiries();
    // What an earlier session's processes left when they were killed; nothing as a rule.
    if (auto swept = cas_->sweep_temporary(); !swept) log::warn("{}", swept.error().str());
    complete_.emplace(*cas_);
    artifacts_.emplace(*cas_, &*complete_);
    sources_.emplace(*cas_, &*complete_);
    return {};
  }

  Result<std::optional<CachedArtifact>> artifact(const ArtifactName& name) override {
    if (!artifacts_) return not_open();
    doubt();
    auto found = TRY(artifacts_->lookup(name.project, name.element, name.key));
    if (!found) return std::optional<CachedArtifact>{};
    CachedArtifact out = convert(*found);
    out.lacks_buildtree = asks_for_buildtrees_ && !found->buildtree.empty() &&
                          !artifacts_->tree_complete(found->buildtree);
    return out;
  }

  // Works on all cores: a run begins with one such question for each of its elements.
  std::vector<Result<std::optional<CachedArtifact>>> artifacts_of(
      const std::vector<ArtifactName>& names) override {
    constexpr std::size_t kFew = 16;
    std::vector<Result<std::optional<CachedArtifact>>> found(names.size());
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t from; (from = next.fetch_add(kFew)) < names.size();) {
        for (std::size_t i = from; i < std::min(from + kFew, names.size()); ++i)
          found[i] = artifact(names[i]);
      }
    };
    Helpers helpers;
    helpers.start(std::min<std::size_t>(std::thread::hardware_concurrency(), names.size() / kFew),
                  work);
    work();
    helpers.join();
    return found;
  }

  Result<std::optional<CachedArtifact>> committed(const ArtifactName& name) override {
    if (!artifacts_) return not_open();
    auto found = TRY(artifacts_->read(name.project, name.element, name.key));
    if (!found) return std::optional<CachedArtifact>{};
    if (!found->files.empty()) complete_->note_tree(found->files);
    return convert(*found);
  }

  Result<std::optional<model::Digest>> sources(const std::string& sources_key) override {
    if (!sources_) return not_open();
    doubt();
    return sources_->lookup_element(sources_key.empty() ? store::kNoSources
                                                        : std::string_view(sources_key));
  }

  Status adopt(const Adoption& wanted, const model::Digest& message) override {
    if (!artifacts_) return not_open();
    doubt();
    return adopt_artifact(*cas_, *artifacts_, *sources_, wanted, message);
  }

  Status keep_log(const model::Digest& log, std::string_view tail,
                  const std::string& path) override {
    if (!cas_) return not_open();
    return write_log(*cas_, log, tail, path);
  }

  Result<std::optional<model::Digest>> message_of(const ArtifactName& name) override {
    if (!artifacts_) return not_open();
    doubt();
    const auto found = TRY(artifacts_->lookup(name.project, name.element, name.key));
    if (!found || found->buildtree.empty() || found->sources.empty() ||
        !artifacts_->tree_complete(found->buildtree) || !artifacts_->tree_complete(found->sources))
      return std::nullopt;
    const auto bytes =
        TRY(artifacts_->message(store::artifact_ref(name.project, name.element, name.key)));
    if (!bytes) return std::nullopt;
    return std::optional<model::Digest>(TRY(cas_->add(*bytes)));
  }

  Status replay_log(const CachedArtifact& artifact, const std::string& path,
                    const std::string& last_line) override {
    if (!cas_) return not_open();
    std::string text;
    for (const auto& [name, digest] : artifact.logs) {
      text += TRY(cas_->read(digest));
    }
    if (!text.empty() && text.back() != '\n') text += '\n';
    text += last_line + '\n';
    const std::string directory = path.substr(0, path.rfind('/'));
    CHECK(make_directories(directory));
    return write_file_atomic(path, text);
  }

  std::string log_tail(const std::string& path, std::uint32_t lines) override {
    return tail_of(path, lines);
  }

  void forget() override {
    if (complete_) complete_->invalidate();
  }

  std::string settle() override {
    if (!cas_) return {};
    if (auto saved = complete_->save(); !saved) log::warn("{}", saved.error().str());
    return cas_->cachedir();
  }

 private:
  static tl::unexpected<Error> not_open() {
    return fail("scheduler", "no-store", "no store was opened");
  }

  // What was known to be whole isn't, once something has expired, be it in a job. By several
  // threads at a time.
  void doubt() {
    const std::uint64_t now = space_->expiries();
    if (expiries_.exchange(now) != now) complete_->invalidate();
  }

  bool asks_for_buildtrees_ = false;
  // In the order in which they refer to each other.
  std::optional<store::Cas> cas_;
  std::optional<store::Completeness> complete_;
  std::optional<store::Artifacts> artifacts_;
  std::optional<store::SourceRefs> sources_;
  std::optional<store::Space> space_;
  std::atomic<std::uint64_t> expiries_{0};  // when complete_ was last believed
};

}  // namespace

std::unique_ptr<StoreView> make_store_view() { return std::make_unique<LocalStoreView>(); }

}  // namespace sluice::scheduler
