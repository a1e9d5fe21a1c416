#include "cli/listening.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/file.h"
#include "base/identity.h"
#include "base/json.h"
#include "base/text.h"
#include "base/try.h"
#include "base/utc.h"
#include "cli/sessions.h"
#include "project/user_config.h"
#include "store/space.h"
#include "wire/access.h"
#include "wire/control.h"
#include "wire/handshake.h"
#include "wire/hello.h"
#include "wire/reactor.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::json;

// The version of join files.
constexpr int kJoinVersion = 1;
constexpr unsigned kMostOfOneName = 1000;
constexpr std::size_t kLongestMachine = 48;
constexpr std::size_t kLongestHost = 255;
constexpr std::string_view kJoinRoles[] = {"runner", "observe", "control"};

// The host as others reach it: one that listens everywhere is known by its name.
std::string advertised(const ListenOptions& options, const std::string& host) {
  if (!options.advertise.empty()) return options.advertise;
  if (host != "0.0.0.0" && host != "::" && host != "*") return host;
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

Result<wire::AccessKeys> make_keys() {
  wire::AccessKeys keys;
  keys.server = TRY(wire::make_curve_keys());
  keys.ticket_secret.resize(32);
  if (::getrandom(keys.ticket_secret.data(), keys.ticket_secret.size(), 0) != 32)
    return fail_errno(errno, "getrandom");
  return keys;
}

// The enrolment keys' secret halves, by role: the access list has the public ones alone.
std::string enrolment_path(const wire::SessionPaths& paths, std::string_view role) {
  return fmt::format("{}/access/enrol-{}", paths.state, role);
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= kLongestHost &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c <= '~'; });
}

template <typename T>
Result<T> member(const Json& from, const char* key, const std::string& path) {
  const auto found = from.find(key);
  const bool fits = found != from.end() &&
                    (std::is_integral_v<T> ? found->is_number_unsigned() : found->is_string());
  if (!fits) {
    return fail("join", "bad-join",
                fmt::format("{}: '{}' is missing, or no {}", path, key,
                            std::is_integral_v<T> ? "number" : "text"));
  }
  return found->template get<T>();
}

}  // namespace

Status prepare_listening(const wire::SessionPaths& paths, const ListenOptions& options,
                         const std::string& cachedir) {
  if (wire::listens_on_tcp(paths.state)) return {};
  CHECK(make_directories(paths.state + "/access", 0700));
  CHECK(make_directories(cachedir));
  CHECK(wire::write_access_keys(paths.state, TRY(make_keys())));
  CHECK(make_identity(paths.state + "/access", wire::kCasEndpoint.data(), wire::kCasName));
  const std::int64_t now = system_clock().wall_ns();
  wire::AccessList list;
  for (const std::string_view role : kJoinRoles) {
    const wire::CurveKeys keys = TRY(wire::make_curve_keys());
    CHECK(write_file_atomic(enrolment_path(paths, role), wire::encode(keys), 0600));
    list.entries.push_back(
        {.public_key = keys.public_key,
         .role = std::string(role),
         .enrols = true,
         .since = now,
         .expires =
             options.expires_s == 0 ? 0 : now + std::int64_t{options.expires_s} * 1'000'000'000});
  }
  CHECK(wire::write_access_list(paths.state, list));
  wire::ListenPlan plan;
  plan.host = options.host;
  plan.port = options.port;
  plan.advertised = advertised(options, options.host);
  plan.cachedir = cachedir;
  plan.allow_skew = options.allow_skew;
  // The plan is last: where there is one all else is.
  return wire::write_listen_plan(paths.state, plan);
}

Result<std::vector<std::string>> write_join_files(const wire::SessionPaths& paths,
                                                  const std::string& directory) {
  const std::string to = directory.empty() ? paths.state : directory;
  const wire::ListenPlan plan = TRY(wire::read_listen_plan(paths.state));
  const wire::AccessKeys keys = TRY(wire::read_access_keys(paths.state));
  const wire::AccessList list = TRY(wire::read_access_list(paths.state));
  const std::string certificate = TRY(read_file(paths.state + "/access/cas.crt"));
  std::vector<std::string> written;
  for (const std::string_view role : kJoinRoles) {
    const std::string packed = TRY(read_file(enrolment_path(paths, role)));
    const auto enrolment = TRY(wire::decode<wire::CurveKeys>(packed));
    std::int64_t expires = 0;
    for (const wire::AccessEntry& entry : list.entries) {
      if (entry.public_key == enrolment.public_key) expires = entry.expires;
    }
    Json ports = Json::object();
    for (const auto& [name, port] : plan.ports) {
      // Others than runners have nothing to do with jobs and blobs.
      const bool runners_only = name == "jobs" || name == "live-in" || name == wire::kCasEndpoint;
      const bool others_only = name == "live-out";
      if (role == "runner" ? !others_only : !runners_only) ports[name] = port;
    }
    Json join{{"sluice-join", kJoinVersion},
              {"session", paths.id},
              {"role", role},
              {"host", plan.advertised},
              {"ports", std::move(ports)},
              {"server-key", keys.server.public_key},
              {"enrolment-public-key", enrolment.public_key},
              {"enrolment-secret-key", enrolment.secret_key}};
    if (role == "runner") join["cas-certificate"] = certificate;
    if (expires != 0) {
      join["expires"] = utc_text(expires / 1'000'000'000);
      join["expires-ns"] = static_cast<std::uint64_t>(expires);
    }
    const std::string path = fmt::format("{}/{}.json", to, role);
    CHECK(write_file_atomic(path, join.dump(2, ' ', false, Json::error_handler_t::replace) + "\n",
                            0600));
    written.push_back(path);
  }
  return written;
}

OwnSession::Prepare preparation(const Invocation& invocation, const ListenOptions& options) {
  if (options.given.empty()) return {};
  return [&invocation, options](const wire::SessionPaths& paths) -> Status {
    const wire::LoadArguments load = load_arguments(invocation.global);
    const auto config = TRY(project::load_user_config(load.what.config, load.overrides, 1));
    // They hold for what runners store, who may come before anything is loaded.
    CHECK(store::limit_store(
        config->settings.cachedir,
        {config->settings.cache_quota, config->cache_reserved, config->cache_low_watermark}));
    return prepare_listening(paths, options, config->settings.cachedir);
  };
}

Status say_join_files(Invocation& invocation, const wire::SessionPaths& paths,
                      const ListenOptions& options) {
  const auto files = TRY(write_join_files(paths, options.join_files));
  const wire::ListenPlan plan = TRY(wire::read_listen_plan(paths.state));
  std::string ports;
  for (const auto& [name, port] : plan.ports)
    ports += fmt::format("{}{} {}", ports.empty() ? "" : ", ", name, port);
  invocation.report.info(fmt::format("Session {} listens at {} ({}). Join files: {}", paths.id,
                                     plan.advertised, ports, fmt::join(files, ", ")));
  return {};
}

Result<wire::JoinTicket> read_join_file(const std::string& path) {
  const std::string text = TRY(read_file(path));
  const Json json = parse_json(text);
  if (!json.is_object() || !json.contains("sluice-join"))
    return fail("join", "bad-join", fmt::format("{} is no join file", path));
  if (const auto version = json.find("sluice-join"); *version != kJoinVersion) {
    return fail("join", "bad-join",
                fmt::format("{} is a join file of version {}; this program knows {}", path,
                            version->dump(), kJoinVersion));
  }
  wire::JoinTicket ticket;
  ticket.session = TRY(member<std::string>(json, "session", path));
  ticket.role = TRY(member<std::string>(json, "role", path));
  ticket.host = TRY(member<std::string>(json, "host", path));
  // Both become parts of names: of a directory, of an endpoint.
  if (!wire::is_session_id(ticket.session))
    return fail("join", "bad-join", fmt::format("{}: 'session' is no id of a session", path));
  if (!is_host(ticket.host))
    return fail("join", "bad-join", fmt::format("{}: 'host' is no name or address", path));
  ticket.server_key = TRY(member<std::string>(json, "server-key", path));
  ticket.enrolment.public_key = TRY(member<std::string>(json, "enrolment-public-key", path));
  ticket.enrolment.secret_key = TRY(member<std::string>(json, "enrolment-secret-key", path));
  for (const std::string& key :
       {ticket.server_key, ticket.enrolment.public_key, ticket.enrolment.secret_key}) {
    if (key.size() != 40)
      return fail("join", "bad-join", fmt::format("{}: a key has 40 characters", path));
  }
  if (json.contains("cas-certificate"))
    ticket.cas_certificate = TRY(member<std::string>(json, "cas-certificate", path));
  if (json.contains("expires-ns"))
    ticket.expires =
        static_cast<std::int64_t>(TRY(member<std::uint64_t>(json, "expires-ns", path)));
  const auto ports = json.find("ports");
  if (ports == json.end() || !ports->is_object())
    return fail("join", "bad-join", fmt::format("{}: 'ports' is missing, or no map", path));
  for (const auto& [name, port] : ports->items()) {
    const auto number = TRY(member<std::uint32_t>(*ports, name.c_str(), path));
    if (number == 0 || number > 65535)
      return fail("join", "bad-join", fmt::format("{}: {} is no port", path, number));
    ticket.ports.emplace_back(name, number);
  }
  if (!wire::role_of(ticket.role) || ticket.role == wire::text_of(wire::Role::kOwner))
    return fail("join", "bad-join", fmt::format("{}: there is no role '{}'", path, ticket.role));
  return ticket;
}

namespace {

// Asks the session to let `keys` in; its answer is the name that they have there.
Result<std::string> enrol(const wire::JoinTicket& ticket, const wire::EnrolArguments& arguments,
                          Duration timeout) {
  wire::Context context;
  wire::Reactor reactor;
  auto address = TRY(wire::address_of(ticket, "control", ticket.enrolment));
  const std::string endpoint = address.endpoint;
  if (auto shaken = wire::try_handshake(context, address, timeout); !shaken) {
    const bool expired = ticket.expires != 0 && ticket.expires < system_clock().wall_ns();
    if (expired && shaken.error().reason == "not-let-in") {
      return fail("join", "expired",
                  fmt::format("The join file of session {} has expired at {}", ticket.session,
                              utc_text(ticket.expires / 1'000'000'000)));
    }
    return fail(
        "join", shaken.error().reason,
        fmt::format("Session {} can't be joined: {}", ticket.session, shaken.error().message));
  }
  auto client = TRY(
      wire::ControlClient::create(context, reactor, address, client_hello(wire::kControlProtocol)));
  std::optional<wire::Reply> answer;
  client->request("broker", "enrol", wire::encode(arguments), timeout,
                  [&](const wire::Reply& reply) {
                    answer = reply;
                    reactor.stop();
                  });
  reactor.run();
  client.reset();
  if (answer->status == "unknown") {
    return fail("join", "no-answer",
                fmt::format("No answer from session {} at {}", ticket.session, endpoint));
  }
  if (answer->status != "done") {
    if (answer->error) return tl::unexpected<Error>(answer->error->to_error());
    return fail("join", "refused", fmt::format("Session {} refused to enrol", ticket.session));
  }
  auto enrolled = TRY(wire::decode<wire::Enrolled>(answer->result.bytes));
  if (!wire::is_enrolled_name(enrolled.name))
    return fail("join", "bad-answer",
                fmt::format("Session {} gives a name that can't be one", ticket.session));
  return std::move(enrolled.name);
}

}  // namespace

std::string machine_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  std::string text;
  for (const char c : std::string_view(name)) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    text += fine ? c : '-';
  }
  if (text.empty() || text.front() == '-' || text.front() == '.') text.insert(0, "runner");
  // A role is added to it, and a number.
  return text.substr(0, kLongestMachine);
}

Result<JoinPlace> take_join_place(const std::string& session, const std::string& name) {
  if (!wire::is_session_id(session))
    return fail("join", "bad-join", "The join file's 'session' is no id of a session");
  if (!wire::is_enrolled_name(name))
    return fail(
        "join", "bad-name",
        fmt::format("'{}' can't be a name: it has 1 to {} letters, digits, '.', '_' and '-'",
                    clean(name), wire::kLongestName));
  const std::string home = state_home() + "/joined";
  CHECK(make_directories(home, 0700));
  for (unsigned number = 1; number <= kMostOfOneName; ++number) {
    JoinPlace place;
    place.directory = fmt::format("{}/{}-{}", home, session, name);
    if (number > 1) place.directory += fmt::format("+{}", number);
    CHECK(make_directories(place.directory + "/logs", 0700));
    place.lock.reset(
        ::open((place.directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!place.lock) return fail_errno(errno, place.directory + "/lock");
    if (::flock(place.lock.get(), LOCK_EX | LOCK_NB) == 0) return place;
    if (errno != EWOULDBLOCK) return fail_errno(errno, place.directory + "/lock");
  }
  return fail(
      "join", "too-many",
      fmt::format("{} processes called {} are on this machine already", kMostOfOneName, name));
}

Result<wire::Joined> join_session(const wire::JoinTicket& ticket, const std::string& name,
                                  const std::string& directory, Duration timeout) {
  CHECK(make_directories(directory, 0700));
  wire::Joined joined;
  if (path_exists(directory + "/joined")) {
    joined = TRY(wire::read_joined(directory));
    // Another session has other keys.
    if (joined.ticket.server_key != ticket.server_key) joined = {};
  }
  if (joined.keys.public_key.empty()) joined.keys = TRY(wire::make_curve_keys());
  joined.ticket = ticket;
  wire::EnrolArguments arguments;
  arguments.public_key = joined.keys.public_key;
  arguments.name = joined.name.empty() ? name : joined.name;
  arguments.host = machine_name();
  if (ticket.role == wire::text_of(wire::Role::kRunner)) {
    arguments.certificate = TRY(make_identity(directory, "tls", "sluice-runner")).fingerprint;
    CHECK(write_file_atomic(directory + "/cas.crt", ticket.cas_certificate, 0600));
  }
  // The key is kept before it is let in: one that was lost would be let in for ever.
  CHECK(wire::write_joined(directory, joined));
  joined.name = TRY(enrol(ticket, arguments, timeout));
  CHECK(wire::write_joined(directory, joined));
  return joined;
}

}  // namespace sluice::cli
