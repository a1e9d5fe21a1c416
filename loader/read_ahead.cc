#include "loader/read_ahead.h"

#include <algorithm>

#include <sched.h>

#include "loader/parse_cache.h"
#include "loader/paths.h"
#include "loader/yaml_parse.h"

namespace sluice::loader {

namespace {

// Less isn't worth a thread.
constexpr std::size_t kEnough = 16;
constexpr std::size_t kMostThreads = 8;

std::uint64_t hash_of(const std::string& path) { return std::hash<std::string>{}(path); }

void add_name(const Node& node, std::vector<std::string>& names) {
  if (node.is_scalar() && node.text.find(':') == std::string_view::npos && node.text.ends_with(".bst")) names.push_back(normalize(node.text));
}

}  // namespace

std::size_t processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::size_t>(CPU_COUNT(&set)) : 1;
}

ReadAhead::ReadAhead(ParseCache* cache) : cache_(cache) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

// As far as the file says it plainly; conditionals and includes may add to it.
std::vector<std::string> ReadAhead::names_of(const Node& element) {
  std::vector<std::string> names;
  for (std::string_view key : {"build-depends", "depends", "runtime-depends"}) {
    const Node* list = element.find(key);
    if (list == nullptr) continue;
    for (const Node* item : list->items()) {
      add_name(*item, names);
      const Node* filename = item->find("filename");
      if (filename == nullptr || item->contains("junction")) continue;
      add_name(*filename, names);
      for (const Node* each : filename->items()) add_name(*each, names);
    }
  }
  return names;
}

void ReadAhead::enqueue(const std::string& elements, std::vector<std::string> names) {
  bool added = false;
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& name : names) {
      std::string path = join(elements, name);
      if (!entries_.try_emplace(hash_of(path)).second) continue;
      jobs_.push_back({std::move(path), elements});
      added = true;
    }
    if (threads_.empty() && jobs_.size() >= kEnough) {
      for (std::size_t i = std::clamp<std::size_t>(processors() - 1, 1, kMostThreads); i > 0; --i) {
        arenas_.push_back(std::make_unique<Arena>());
        threads_.emplace_back([this, &arena = *arenas_.back()] { work(arena); });
      }
    }
  }
  if (added) changed_.notify_all();
}

void ReadAhead::expect(const std::string& elements, const std::vector<std::string>& names) {
  std::vector<std::string> plain;
  for (const std::string& name : names) {
    if (name.find(':') == std::string::npos) plain.push_back(normalize(name));
  }
  enqueue(elements, std::move(plain));
}

void ReadAhead::expect(const std::string& elements, const Node& element) {
  if (&element == last_taken_) return;
  enqueue(elements, names_of(element));
}

void ReadAhead::work(Arena& arena) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    Entry& entry = entries_.at(hash_of(job.path));
    if (entry.state != Entry::State::kWaiting) continue;
    entry.state = Entry::State::kActive;
    lock.unlock();

    auto parsed = std::make_unique<Parsed>();
    std::vector<std::string> names;
    // Inputs of its own: what nobody takes was not looked at.
    Inputs inputs;
    auto text = inputs.read(arena, job.path);
    if (text) {
      parsed->input = inputs.noted().front();
      auto file = std::make_unique<File>();
      parsed->file = file.get();
      auto root = parse_yaml_kept(cache_, arena, *parsed->file, *text, parsed->input.outcome);
      if (root) {
        parsed->root = *root;
        names = names_of(**root);
      }
      const std::lock_guard again(mutex_);
      files_.push_back(std::move(file));
    }
    enqueue(job.elements, std::move(names));

    lock.lock();
    // Elements of an unordered map stay where they are.
    entry.parsed = std::move(parsed);
    entry.state = Entry::State::kDone;
    changed_.notify_all();
  }
}

std::unique_ptr<ReadAhead::Parsed> ReadAhead::take(const std::string& path) {
  std::unique_lock lock(mutex_);
  const auto found = entries_.find(hash_of(path));
  if (found == entries_.end()) {
    entries_[hash_of(path)].state = Entry::State::kTaken;
    return nullptr;
  }
  Entry& entry = found->second;
  if (entry.state == Entry::State::kActive) changed_.wait(lock, [&] { return entry.state == Entry::State::kDone; });
  auto parsed = entry.state == Entry::State::kDone ? std::move(entry.parsed) : nullptr;
  entry.state = Entry::State::kTaken;
  if (parsed == nullptr || parsed->root == nullptr || parsed->input.path != path) return nullptr;
  last_taken_ = parsed->root;
  return parsed;
}

}  // namespace sluice::loader
