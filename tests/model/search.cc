#include "tests/model/search.h"

#include <optional>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "tests/model/snapshot_heap.h"
#include "tests/support/test_directory.h"
#include "wire/snapshot.h"

namespace sluice::search {

namespace {

struct Digest {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Digest&) const = default;
};
struct HashDigest {
  std::size_t operator()(const Digest& digest) const { return digest.low; }
};

// Two FNV-1a sums: of a million states no two are taken for one.
Digest digest_of(const std::string& text) {
  Digest digest{0xcbf29ce484222325u, 0x9e3779b97f4a7c15u};
  for (const char byte : text) {
    digest.low = (digest.low ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
    digest.high = (digest.high ^ static_cast<unsigned char>(byte)) * 0x880355f21e6d1965u;
    digest.high ^= digest.high >> 29;
  }
  return digest;
}

class Searcher {
 public:
  Searcher(const Setup& setup, std::size_t most, std::size_t depth)
      : setup_(setup), most_(most), depth_(depth) {}

  Found run(const std::string& snapshot_file) {
    // Statics of everything that is used are made before the region is: what a snapshot can't put
    // back.
    walk_outside(snapshot_file);
    SnapshotHeap::clear();
    {
      const SnapshotHeap::Inside inside;
      world_ = new World(setup_, snapshot_file);
    }
    visit(0, {});
    while (!stack_.empty() && found_.violation.empty()) step();
    if (found_.violation.empty()) look_for_stuck();
    found_.states = states_.size();
    return found_;
  }

 private:
  struct State {
    std::uint32_t from = 0;  // where it was met first
    std::uint32_t depth = 0;
    Action by;
  };
  struct Frame {
    SnapshotHeap::Snapshot snapshot;
    std::uint32_t state = 0;
    std::vector<Action> actions;
    std::size_t next = 0;
  };

  void walk_outside(const std::string& snapshot_file) {
    std::srand(1);
    for (int walk = 0; walk < 30; ++walk) {
      World world(setup_, snapshot_file);
      for (int i = 0; i < 150 && !world.finished() && world.violation().empty(); ++i) {
        (void)world.state();
        const auto actions = world.actions();
        if (actions.empty()) break;
        world.apply(actions[static_cast<std::size_t>(std::rand()) % actions.size()]);
      }
    }
  }

  // The world's present state, met from `from`; false when it was met before.
  void visit(std::uint32_t from, const Action& by) {
    const bool first = states_.empty();
    const std::uint32_t depth = first ? 0 : states_[from].depth + 1;
    const auto [entry, is_new] =
        known_.try_emplace(digest_of(world_->state()), static_cast<std::uint32_t>(states_.size()));
    const std::uint32_t state = entry->second;
    if (!first && by.kind != Kind::kFault && state != from) edges_.emplace_back(from, state);
    if (is_new) {
      states_.push_back({from, depth, by});
    } else if (depth_ != 0 && depth < states_[state].depth) {
      states_[state] = {from, depth, by};
    } else {
      return;
    }
    if (!world_->violation().empty()) {
      found_.violation = world_->violation() + path(state);
      return;
    }
    if (states_.size() > most_) {
      found_.violation = fmt::format("more than {} states", most_);
      return;
    }
    if (world_->finished()) {
      finished_.push_back(state);
      return;
    }
    if (depth_ != 0 && depth >= depth_) return;
    Frame frame;
    frame.state = state;
    frame.actions = world_->actions();
    frame.snapshot = SnapshotHeap::save();
    bytes_ += frame.snapshot.size();
    stack_.push_back(std::move(frame));
    found_.most_bytes = std::max(found_.most_bytes, bytes_);
    found_.deepest = std::max(found_.deepest, stack_.size());
  }

  void step() {
    Frame& frame = stack_.back();
    if (frame.next == frame.actions.size()) {
      bytes_ -= frame.snapshot.size();
      stack_.pop_back();
      return;
    }
    const std::uint32_t from = frame.state;
    const Action action = frame.actions[frame.next++];
    SnapshotHeap::restore(frame.snapshot);
    ++found_.transitions;
    {
      const SnapshotHeap::Inside inside;
      world_->apply(action);
    }
    visit(from, action);
  }

  void look_for_stuck() {
    found_.finished = finished_.size();
    std::vector<std::uint32_t> first(states_.size() + 1), sources(edges_.size());
    for (const auto& [from, to] : edges_) ++first[to + 1];
    for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    std::vector<std::uint32_t> fill(first.begin(), first.end() - 1);
    for (const auto& [from, to] : edges_) sources[fill[to]++] = from;
    std::vector<bool> good(states_.size());
    std::vector<std::uint32_t> todo = finished_;
    for (const auto state : todo) good[state] = true;
    while (!todo.empty()) {
      const std::uint32_t state = todo.back();
      todo.pop_back();
      for (std::uint32_t i = first[state]; i < first[state + 1]; ++i) {
        if (good[sources[i]]) continue;
        good[sources[i]] = true;
        todo.push_back(sources[i]);
      }
    }
    std::optional<std::uint32_t> worst;
    std::size_t bad = 0;
    for (std::uint32_t state = 0; state < states_.size(); ++state) {
      if (good[state]) continue;
      ++bad;
      if (!worst || states_[state].depth < states_[*worst].depth) worst = state;
    }
    if (worst && depth_ == 0)
      found_.stuck = fmt::format("{} states, the first of them:{}", bad, path(*worst));
  }

  std::string path(std::uint32_t state) const {
    std::vector<std::string> actions;
    for (; state != 0; state = states_[state].from) actions.push_back(states_[state].by.str());
    std::string out;
    for (auto action = actions.rbegin(); action != actions.rend(); ++action)
      out += "\n  " + *action;
    return out;
  }

  const Setup& setup_;
  const std::size_t most_, depth_;
  World* world_ = nullptr;  // in the region; as it was when it is restored
  std::unordered_map<Digest, std::uint32_t, HashDigest> known_;
  std::vector<State> states_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> edges_;
  std::vector<std::uint32_t> finished_;
  std::vector<Frame> stack_;
  std::size_t bytes_ = 0;
  Found found_;
};

}  // namespace

Found search(const Setup& setup, std::size_t most_states, std::size_t depth) {
  const TestDirectory directory;
  const std::string file = directory / "snapshot";
  model::Snapshot snapshot = scheduler::make_snapshot(setup.elements, setup.targets);
  snapshot.settings.builders = setup.builders;
  Found found;
  if (auto written = wire::write_snapshot(file, snapshot); written) {
    found = Searcher(setup, most_states, depth).run(file);
  } else {
    found.violation = written.error().str();
  }
  return found;
}

}  // namespace sluice::search
