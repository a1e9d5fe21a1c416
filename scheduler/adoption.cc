#include "scheduler/adoption.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/try.h"
#include "store/key_inputs.h"

namespace sluice::scheduler {

namespace {

// An Artifact message, and the YAML of its metadata, are held in memory.
constexpr std::int64_t kMostMessage = std::int64_t{64} << 20;
// A log that is copied to where people read logs; of a longer one its end is kept.
constexpr std::int64_t kMostLog = std::int64_t{1} << 30;

tl::unexpected<Error> bad(std::string message) {
  return fail("remote", "bad-result", std::move(message));
}

Status check(const Adoption& wanted, const store::ArtifactInfo& info) {
  const auto differs = [&](std::string_view what, std::string_view is, std::string_view should) {
    return bad(fmt::format("The artifact of {} that came has the {} {}, not {}", wanted.element,
                           what, is, should));
  };
  for (const auto& [what, is, should] :
       {std::tuple{"strong key", &info.strong_key, &wanted.keys.full},
        {"strict key", &info.strict_key, &wanted.keys.strict},
        {"weak key", &info.weak_key, &wanted.keys.weak}}) {
    if (*is != *should) return differs(what, *is, *should);
  }
  if (info.build_success != wanted.success)
    return differs("outcome", info.build_success ? "success" : "failure",
                   wanted.success ? "success" : "failure");
  if (info.was_workspaced != wanted.workspaced)
    return bad(
        fmt::format("The artifact of {} that came says otherwise of a workspace", wanted.element));
  const bool same =
      std::equal(info.build_deps.begin(), info.build_deps.end(), wanted.dependencies.begin(),
                 wanted.dependencies.end(), [](const auto& is, const Adoption::Dependency& should) {
                   return is.project == should.project && is.element == should.element &&
                          is.key == should.key && !is.was_workspaced;
                 });
  if (!same)
    return bad(fmt::format("The artifact of {} that came was built with other dependencies",
                           wanted.element));
  // Logs have names of files, which people and programs use as such.
  const bool named =
      info.logs.size() <= 1 && (info.logs.empty() || info.logs.front().name == wanted.log_name);
  if (!named)
    return bad(fmt::format("The artifact of {} that came has another log than its attempt's",
                           wanted.element));
  for (const model::Digest* blob :
       {&info.public_data, &info.low_diversity_meta, &info.high_diversity_meta}) {
    if (blob->empty() || blob->size > kMostMessage)
      return bad(fmt::format("The artifact of {} that came has no metadata that can be used",
                             wanted.element));
  }
  return {};
}

// What isn't there, or can't be read, is the runner's fault, for it has said that it sent it.
template <typename T>
Result<T> or_bad(Result<T> result, const Adoption& wanted) {
  if (result || result.error().domain == "util") return result;
  return bad(fmt::format("The artifact of {} that came can't be taken: {}", wanted.element,
                         result.error().message));
}

}  // namespace

Status adopt_artifact(store::Cas& cas, store::Artifacts& artifacts, store::SourceRefs& sources,
                      const Adoption& wanted, const model::Digest& message) {
  if (!store::valid_digest(message) || message.size > kMostMessage)
    return bad(fmt::format("What was named as the artifact of {} can't be one", wanted.element));
  const auto bytes = TRY(or_bad(cas.read(message), wanted));
  const auto info = TRY(or_bad(store::decode_artifact(bytes), wanted));
  CHECK(check(wanted, info));
  // What those read who are told of it later must be readable.
  if (auto meta = or_bad(store::read_meta(cas, info), wanted); !meta) return forward(meta);
  if (!wanted.has_sources) {
    if (!TRY(sources.lookup_element(store::kNoSources)))
      CHECK(sources.store_element(store::kNoSources, TRY(cas.add(""))));
  }
  if (!wanted.key_inputs.empty())
    CHECK(store::keep_key_inputs(cas, info.strong_key, wanted.key_inputs));
  return or_bad(artifacts.commit(wanted.project, wanted.element, info), wanted);
}

Status write_log(store::Cas& cas, const model::Digest& log, std::string_view tail,
                 const std::string& path) {
  if (path.empty() || (log.empty() && tail.empty())) return {};
  CHECK(make_directories(path.substr(0, path.rfind('/'))));
  const bool too_long = log.size > kMostLog;
  if (store::valid_digest(log) && !too_long) {
    const std::string part = path + ".part";
    const UniqueFd fd(
        ::open(part.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!fd) return fail_errno(errno, part);
    const auto copied = cas.copy_to(log, fd.get());
    if (copied && ::rename(part.c_str(), path.c_str()) == 0) return {};
    ::unlink(part.c_str());
  }
  if (tail.empty()) return {};
  return write_file_atomic(
      path, fmt::format("({}; this is its end.)\n{}\n",
                        too_long ? fmt::format("The log has {} bytes, and wasn't copied", log.size)
                                 : "The log stayed on the machine that built",
                        tail));
}

}  // namespace sluice::scheduler
