#include "sources/git_program.h"

#include <algorithm>
#include <iterator>

#include <unistd.h>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "base/credentials.h"
#include "base/try.h"

namespace sluice::sources {

namespace {

// The caller's environment goes to git, and by way of git to ssh, which is the user's own: agent,
// keys, known hosts and configuration, whose variables may have any name. What says to git itself
// what it shall do does not, but for where certificates are. ~/.netrc is read by way of HOME,
// ~/.gitconfig is not, since there are other files in its place.
bool is_for_git(std::string_view variable) {
  const std::string_view name = variable.substr(0, variable.find('='));
  static constexpr std::string_view kOwn[] = {"LC_ALL", "LANGUAGE", "GCM_INTERACTIVE",
                                              "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE"};
  if (name == "GIT_SSL_CAINFO" || name == "GIT_SSL_CAPATH") return true;
  return !name.starts_with("GIT_") &&
         std::find(std::begin(kOwn), std::end(kOwn), name) == std::end(kOwn);
}

std::vector<std::string> environment(const GitCall& call, const model::Settings& settings) {
  std::vector<std::string> out;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (is_for_git(*variable)) out.emplace_back(*variable);
  }
  out.insert(out.end(),
             {"LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
              "GIT_CONFIG_SYSTEM=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
              "GCM_INTERACTIVE=never", "SSH_ASKPASS_REQUIRE=never", "GIT_NO_REPLACE_OBJECTS=1",
              "GIT_OPTIONAL_LOCKS=0", "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh",
              "GIT_AUTHOR_NAME=Sluice", "GIT_AUTHOR_EMAIL=", "GIT_COMMITTER_NAME=Sluice",
              "GIT_COMMITTER_EMAIL="});
  const std::string seconds = std::to_string(settings.network_timeout);
  std::string ssh = "ssh -o BatchMode=yes";
  if (settings.network_timeout > 0)
    ssh += fmt::format(" -o ConnectTimeout={0} -o ServerAliveInterval={0} -o ServerAliveCountMax=1",
                       seconds);
  out.push_back("GIT_SSH_COMMAND=" + ssh);
  // fetch.unpackLimit: objects come in packs, which are there whole or not at all, however few they
  // are.
  std::vector<std::pair<std::string, std::string>> config = {
      {"core.hooksPath", "/dev/null"},
      {"core.fsmonitor", "false"},
      {"core.autocrlf", "false"},
      {"core.symlinks", "true"},
      {"core.fileMode", "true"},
      {"core.attributesFile", "/dev/null"},
      {"core.excludesFile", "/dev/null"},
      {"gc.auto", "0"},
      {"maintenance.auto", "false"},
      {"init.defaultBranch", "master"},
      {"advice.detachedHead", "false"},
      {"credential.helper", ""},
      {"core.askPass", "true"},
      {"fetch.recurseSubmodules", "false"},
      {"submodule.recurse", "false"},
      {"fetch.writeCommitGraph", "false"},
      {"fetch.unpackLimit", "1"},
      {"http.lowSpeedLimit", settings.network_timeout > 0 ? "1" : "0"},
      {"http.lowSpeedTime", seconds}};
  config.insert(config.end(), call.config.begin(), call.config.end());
  out.push_back(fmt::format("GIT_CONFIG_COUNT={}", config.size()));
  for (std::size_t i = 0; i < config.size(); ++i) {
    out.push_back(fmt::format("GIT_CONFIG_KEY_{}={}", i, config[i].first));
    out.push_back(fmt::format("GIT_CONFIG_VALUE_{}={}", i, config[i].second));
  }
  if (!call.git_dir.empty()) out.push_back("GIT_DIR=" + call.git_dir);
  if (!call.work_tree.empty()) out.push_back("GIT_WORK_TREE=" + call.work_tree);
  if (!call.alternates.empty())
    out.push_back("GIT_ALTERNATE_OBJECT_DIRECTORIES=" + call.alternates);
  if (!call.index.empty()) out.push_back("GIT_INDEX_FILE=" + call.index);
  return out;
}

std::string base64(const std::string& text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

// The last lines of what git wrote, without what it draws over again and again.
std::string said_at_last(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (const std::size_t redrawn = line.rfind('\r');
        redrawn != std::string_view::npos && redrawn + 1 < line.size())
      line.remove_prefix(redrawn + 1);
    if (!line.empty()) out += without_credentials(line) + "\n";
    at = end + 1;
  }
  constexpr std::size_t kMost = 4096;
  if (out.size() > kMost) out.erase(0, out.find('\n', out.size() - kMost) + 1);
  return out;
}

}  // namespace

Result<ToolRun> GitProgram::run(const GitCall& call) {
  const model::Settings& settings = surroundings_.settings();
  Tool tool;
  tool.argv = {"git"};
  tool.argv.insert(tool.argv.end(), call.arguments.begin(), call.arguments.end());
  tool.directory = call.directory;
  tool.environment = environment(call, settings);
  tool.input = call.input;
  tool.errors = Tool::Errors::kApart;
  tool.own_session = true;
  tool.max_output = call.discard ? std::size_t{1} << 20 : std::size_t{256} << 20;
  if (!call.url.empty()) tool.silence = std::chrono::seconds(settings.network_timeout);
  std::string command = "git";
  for (const std::string& argument : call.arguments) command += " " + argument;
  surroundings_.log(fmt::format("Running host command {}: {}\n",
                                call.directory.empty() ? call.git_dir : call.directory,
                                without_credentials(command)));
  auto ended = TRY(run_tool(tool, surroundings_.stop()));
  surroundings_.log(said_at_last(ended.errors));
  if (ended.cut && !call.discard)
    return source_error(source_, "too-much-output",
                        fmt::format("{}`{}` wrote more than is read", where(source_),
                                    without_credentials(command)));
  return ended;
}

Result<std::string> GitProgram::output(const GitCall& call, std::string_view failure) {
  auto ended = TRY(run(call));
  if (ended.status != 0) return failed(ended, failure);
  if (ended.output.ends_with('\n')) ended.output.pop_back();
  return std::move(ended.output);
}

bool is_refusal(const ToolRun& run) {
  static constexpr std::string_view kRefusals[] = {"Host key verification failed",
                                                   "Permission denied (",
                                                   "strange hostname",
                                                   "strange pathname",
                                                   "strange port",
                                                   "terminal prompts disabled",
                                                   "Authentication failed"};
  return run.status != 0 &&
         std::any_of(std::begin(kRefusals), std::end(kRefusals), [&](std::string_view text) {
           return run.errors.find(text) != std::string::npos;
         });
}

tl::unexpected<Error> GitProgram::failed(const ToolRun& run, std::string_view failure) const {
  std::string detail = said_at_last(run.errors);
  if (run.silent)
    detail +=
        fmt::format("It was ended, since nothing came for {} s (scheduler.network-timeout).\n",
                    surroundings_.settings().network_timeout);
  if (run.errors.find("Host key verification failed") != std::string::npos)
    detail +=
        "Nobody is asked whether a host is the right one: its key has to be in ~/.ssh/known_hosts, "
        "where `ssh` to it puts it.\n";
  if (run.errors.find("Permission denied (") != std::string::npos)
    detail +=
        "Nobody is asked for a password: ssh needs a key, of an agent or of ~/.ssh, that the "
        "server knows.\n";
  return fail("plugin", "", fmt::format("{}{}", where(source_), without_credentials(failure)),
              source_.provenance, std::move(detail));
}

GitUrl git_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (!url.starts_with("http://") && !url.starts_with("https://")) return {std::string(url), ""};
  const std::string_view rest = url.substr(scheme + 3);
  const std::size_t at = rest.substr(0, rest.find('/')).rfind('@');
  const std::string_view user = at == std::string_view::npos ? "" : rest.substr(0, at);
  const std::size_t colon = user.find(':');
  if (colon == std::string_view::npos) return {std::string(url), ""};
  const std::string pair =
      percent_decoded(user.substr(0, colon)) + ":" + percent_decoded(user.substr(colon + 1));
  return {fmt::format("{}{}", url.substr(0, scheme + 3), rest.substr(at + 1)),
          "Basic " + base64(pair)};
}

bool is_local_url(std::string_view url) {
  if (url.starts_with("file://")) return true;
  const std::size_t colon = url.find(':');
  // A colon before any slash ends a scheme, or a host as scp has it.
  return colon == std::string_view::npos || url.find('/') < colon;
}

}  // namespace sluice::sources
