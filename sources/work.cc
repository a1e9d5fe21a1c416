#include "sources/work.h"

#include <cerrno>
#include <filesystem>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/try.h"
#include "sources/mirror_url.h"
#include "sources/plugin/plugin.h"

namespace sluice::sources {

std::string where(const model::Source& source) {
  return source.provenance.known()
             ? fmt::format("{} source at {}: ", source.kind, source.provenance.str())
             : std::string();
}

tl::unexpected<Error> source_error(const model::Source& source, std::string reason,
                                   std::string message, std::string detail) {
  return fail("source", std::move(reason), std::move(message), source.provenance,
              std::move(detail));
}

Status warn(const model::Source& source, Surroundings& surroundings, std::string_view warning,
            std::string_view text, std::string_view detail) {
  const std::string message = fmt::format("[{}]: {}{}", warning, where(source), text);
  if (surroundings.is_fatal(warning))
    return fail("plugin", std::string(warning), message, source.provenance, std::string(detail));
  surroundings.message(Weight::kWarning, message, detail);
  return {};
}

Result<std::string> previous_of(const model::Source& source, Surroundings& surroundings) {
  const std::string root = TRY(surroundings.previous());
  const std::filesystem::path relative =
      std::filesystem::path(source.directory).relative_path().lexically_normal();
  std::string at = root;
  for (const auto& part : relative) {
    if (part.empty() || part == ".") continue;
    at += '/' + part.native();
    struct stat info {};
    const bool made = part != ".." && (::mkdir(at.c_str(), 0755) == 0 || errno == EEXIST);
    if (!made || ::lstat(at.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
      return source_error(source, "bad-directory",
                          fmt::format("{}The directory '{}' is none in what the sources before "
                                      "have staged",
                                      where(source), source.directory));
    }
  }
  return at;
}

Status first_of(const model::Source& source, Surroundings& surroundings,
                const std::vector<std::string>& urls,
                const std::function<Status(const Address& address)>& attempt) {
  const std::string at = where(source);
  std::string failures;
  for (std::size_t i = 0;; ++i) {
    Status done;
    if (!parse_mirror_url(urls[i])) {
      done = attempt({urls[i], {}});
    } else if (auto address = plugin::address_of(source, surroundings, urls[i])) {
      done = attempt(*address);
    } else {
      // A plugin that says that it has nothing leaves it to the next one.
      if (address.error().domain == "plugin") return forward(address);
      done = forward(address);
    }
    if (done || done.error().domain == "job") return done;
    std::string_view message = done.error().message;
    if (message.starts_with(at)) message.remove_prefix(at.size());
    failures += fmt::format("\n    {}", message);
    if (i + 1 < urls.size()) continue;
    std::string& detail = done.error().detail;
    if (i > 0) detail += fmt::format("{}Tried in turn:{}", detail.empty() ? "" : "\n\n", failures);
    return done;
  }
}

}  // namespace sluice::sources
