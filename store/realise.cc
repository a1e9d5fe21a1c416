#include "store/realise.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/try.h"
#include "store/fs.h"
#include "store/measure.h"
#include "store/root_builder.h"
#include "store/roots.h"
#include "store/twins.h"

namespace sluice::store {

namespace {

// The number of roots that are looked at as possible bases, the last used first.
constexpr std::size_t kCandidates = 8;
constexpr char kHeader[] = "sluice-root 1";

std::string boot_id() {
  auto id = read_file("/proc/sys/kernel/random/boot_id");
  return id ? id->substr(0, id->find('\n')) : "unknown";
}

std::int64_t to_number(std::string_view text) {
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc{} ? value : -1;
}

}  // namespace

std::string root_name(const Digest& root) { return fmt::format("{}-{}", root.hash, root.size); }

std::optional<Digest> parse_root_name(std::string_view name) {
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  Digest digest{std::string(name.substr(0, dash)), to_number(name.substr(dash + 1))};
  if (!valid_digest(digest) || root_name(digest) != name) return std::nullopt;
  return digest;
}

Result<std::optional<UniqueFd>> lock_root(const std::string& roots, const std::string& name,
                                          bool exclusive) {
  auto lock = lock_own_file(fmt::format("{}/{}/lock", roots, name),
                            exclusive ? LockMode::kExclusive : LockMode::kShared,
                            exclusive ? LockWait::kTry : LockWait::kWait);
  if (!lock && lock.error().reason == "enoent") return std::nullopt;
  return lock;
}

Status discard_root(Cas& cas, const std::string& roots, const std::string& name) {
  const std::string away = cas.temporary_name();
  if (::rename((roots + "/" + name).c_str(), away.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, roots + "/" + name);
  }
  return remove_tree(away);
}

struct Realiser::State {
  static Result<std::unique_ptr<State>> open(Cas& cas, RealiseOptions options) {
    auto twins = TRY(Twins::open(cas));
    const std::string roots = cas.cachedir() + "/sluice/roots";
    CHECK(make_directories(roots));
    options.max_layers = std::max(options.max_layers, 1u);
    return std::make_unique<State>(State{cas, options, std::move(twins), roots, boot_id()});
  }

  Cas& cas;
  RealiseOptions options;
  Twins twins;
  std::string roots;
  std::string boot;

  // Recipe is what the file `layers` says.
  struct Recipe {
    std::string boot;
    std::int64_t made_ns = 0;
    std::vector<std::string> layers;  // names of roots, lowest first, the last is the root itself
  };

  // Whether a root is to be trusted: one that was made in an earlier boot is when the store was
  // synced after it. Before that, a loss of power may have emptied its files.
  bool trusted(const Recipe& recipe) const {
    if (recipe.boot == boot) return true;
    auto text = read_file(cas.cachedir() + "/sluice/synced");
    return text && recipe.made_ns <= to_number(std::string_view(*text).substr(0, text->find('\n')));
  }

  std::optional<Recipe> read_recipe(const std::string& name) const {
    UniqueFd fd(::open(fmt::format("{}/{}/layers", roots, name).c_str(),
                       O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return std::nullopt;
    auto text = read_all(fd.get(), std::size_t{1} << 20);
    if (!text) return std::nullopt;
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text->size();) {
      const std::size_t end = text->find('\n', at);
      if (end == std::string::npos) return std::nullopt;
      lines.push_back(text->substr(at, end - at));
      at = end + 1;
    }
    if (lines.size() < 4 || lines[0] != kHeader || lines.back() != name) return std::nullopt;
    Recipe recipe{lines[1], to_number(lines[2]), {lines.begin() + 3, lines.end()}};
    if (recipe.made_ns < 0) return std::nullopt;
    for (const std::string& layer : recipe.layers) {
      if (!parse_root_name(layer)) return std::nullopt;
    }
    return recipe;
  }

  // Whether a root's files are as they were made: they are hashed once by this process or those
  // forked from it, and believed then.
  Result<bool> was_verified(const std::string& name, const RealisedRoot& root) {
    if (twins.verified().has(verified_key(name))) return true;
    std::vector<UniqueFd> open;
    std::vector<int> layers;
    for (const std::string& path : root.layers) {
      auto fd = fs::open_directory(path);
      if (!fd) return false;
      layers.push_back(fd->get());
      open.push_back(std::move(*fd));
    }
    auto good = RootBuilder(cas, twins).is_good(layers, *parse_root_name(name));
    if (good && *good) twins.verified().add(verified_key(name));
    return good;
  }

  Result<std::vector<std::string>> damaged() {
    auto directory = TRY(fs::open_directory(roots));
    auto names = TRY(fs::list(directory.get()));
    std::vector<std::string> found;
    for (const auto& [name, type] : names) {
      if (!parse_root_name(name)) continue;
      const auto recipe = read_recipe(name);
      if (!recipe) continue;
      RealisedRoot root;
      for (const std::string& layer : recipe->layers)
        root.layers.push_back(roots + "/" + layer + "/tree");
      const auto good = was_verified(name, root);
      if (good && !*good) found.push_back(name);
    }
    return found;
  }

  // Takes a root that is there; std::nullopt when it isn't, or was of no use and has been removed.
  Result<std::optional<RealisedRoot>> use(const std::string& name) {
    auto own = TRY(lock_root(roots, name, false));
    if (!own) return std::nullopt;
    const auto recipe = read_recipe(name);
    RealisedRoot root;
    bool good = recipe && trusted(*recipe);
    for (std::size_t i = 0; good && i < recipe->layers.size(); ++i) {
      const std::string& layer = recipe->layers[i];
      root.layers.push_back(roots + "/" + layer + "/tree");
      if (layer == name) continue;
      auto lock = TRY(lock_root(roots, layer, false));
      if (!lock) {
        good = false;
        break;
      }
      const auto below = read_recipe(layer);
      good = below && trusted(*below);
      root.locks.push_back(std::move(*lock));
    }
    if (good) {
      good = TRY(was_verified(name, root));
    }
    if (!good) {
      own.reset();
      CHECK(discard_root(cas, roots, name));
      return std::nullopt;
    }
    // The time of `layers` is the root's time of use.
    ::utimensat(AT_FDCWD, fmt::format("{}/{}/layers", roots, name).c_str(), nullptr, 0);
    root.reused = true;
    root.locks.push_back(std::move(*own));
    return root;
  }

  struct Base {
    Digest digest;
    RealisedRoot root;
    std::vector<std::string> layers;
  };

  // The nearest root that has room for another layer, when a layer over it is much less than the
  // whole.
  Result<std::optional<Base>> find_base(const Digest& wanted) {
    auto directory = TRY(fs::open_directory(roots));
    auto names = TRY(fs::list(directory.get()));
    std::vector<std::pair<std::int64_t, std::string>> candidates;
    for (const auto& [name, type] : names) {
      struct stat info {};
      if (parse_root_name(name) &&
          ::fstatat(directory.get(), (name + "/layers").c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
        candidates.emplace_back(fs::to_ns(info.st_mtim), name);
      }
    }
    std::sort(candidates.rbegin(), candidates.rend());
    auto whole = TRY(tree_distance(cas, empty_digest(), wanted, SIZE_MAX));
    std::size_t best = whole / 2;
    std::optional<std::string> nearest;
    std::size_t looked_at = 0;
    for (const auto& [time, name] : candidates) {
      if (looked_at == kCandidates || best == 0) break;
      const auto recipe = read_recipe(name);
      if (!recipe || recipe->layers.size() >= options.max_layers) continue;
      ++looked_at;
      // The root's Directory messages may have been expired.
      const auto far = tree_distance(cas, *parse_root_name(name), wanted, best);
      if (!far || *far >= best) continue;
      best = *far;
      nearest = name;
    }
    if (!nearest) return std::nullopt;
    auto root = TRY(use(*nearest));
    if (!root) return std::nullopt;
    const auto recipe = read_recipe(*nearest);
    if (!recipe || recipe->layers.size() >= options.max_layers) return std::nullopt;
    return Base{*parse_root_name(*nearest), std::move(*root), recipe->layers};
  }

  // Makes the root in a temporary directory and renames it to its place.
  Status make(const Digest& root, const std::string& name) {
    CHECK(check_unfolded(cas, root));
    std::optional<Base> base;
    if (options.max_layers > 1) {
      base = TRY(find_base(root));
    }
    const std::string temporary = cas.temporary_name();
    auto made = make_in(root, name, temporary, base);
    if (made && ::rename(temporary.c_str(), (roots + "/" + name).c_str()) == 0) return {};
    const int cause = errno;
    static_cast<void>(remove_tree(temporary));
    if (!made) return made;
    // Somebody else was first, whose root is as good.
    if (cause == EEXIST || cause == ENOTEMPTY) return {};
    return fail_errno(cause, roots + "/" + name);
  }

  Status make_in(const Digest& root, const std::string& name, const std::string& temporary,
                 const std::optional<Base>& base) {
    const std::string tree = temporary + "/tree";
    if (::mkdir(temporary.c_str(), 0755) != 0 || ::mkdir(tree.c_str(), 0755) != 0)
      return fail_errno(errno, tree);
    auto directory = TRY(fs::open_directory(tree));
    if (::fchmod(directory.get(), 0755) != 0) return fail_errno(errno, tree);
    RootBuilder builder(cas, twins);
    CHECK(base ? builder.fill_delta(std::move(directory), base->digest, root)
               : builder.fill(std::move(directory), root));
    twins.verified().add(verified_key(name));
    std::string recipe = fmt::format("{}\n{}\n{}\n", kHeader, boot, fs::wall_now_ns());
    if (base) {
      for (const std::string& layer : base->layers) recipe += layer + "\n";
    }
    recipe += name + "\n";
    return write_file_atomic(temporary + "/layers", recipe);
  }
};

Realiser::Realiser(std::unique_ptr<State> state) : state_(std::move(state)) {}
Realiser::Realiser(Realiser&&) noexcept = default;
Realiser& Realiser::operator=(Realiser&&) noexcept = default;
Realiser::~Realiser() = default;

Result<Realiser> Realiser::open(Cas& cas, RealiseOptions options) {
  auto state = TRY(State::open(cas, options));
  return Realiser(std::move(state));
}

Result<RealisedRoot> Realiser::realise(const Digest& root) {
  if (!valid_digest(root))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", root.hash));
  const std::string name = root_name(root);
  bool made_here = false;
  // The loop runs once as a rule, and again when expiry takes the root between making and locking.
  for (int attempt = 0; attempt < 16; ++attempt) {
    auto used = TRY(state_->use(name));
    if (used) {
      used->reused = !made_here;
      return std::move(*used);
    }
    CHECK(state_->make(root, name));
    made_here = true;
  }
  return fail("cas", "busy", fmt::format("The root {} is removed again and again", name));
}

bool Realiser::is_realised(const Digest& root) const {
  return valid_digest(root) && path_exists(state_->roots + "/" + root_name(root) + "/layers");
}

Result<std::vector<std::string>> Realiser::damaged() { return state_->damaged(); }

}  // namespace sluice::store
