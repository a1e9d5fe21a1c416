#include "project/read_ahead.h"

#include <algorithm>

#include <sched.h>

#include "base/paths.h"
#include "project/packed_tree.h"
#include "project/parse_cache.h"
#include "project/project_file.h"
#include "project/yaml.h"

namespace sluice::project {

namespace {

// Jobs in line from which on they are worth threads.
constexpr std::size_t kEnough = 16;
constexpr std::size_t kMostThreads = 8;
// Files that are parsed before others are told: telling costs as much as parsing one.
constexpr std::size_t kTogether = 16;

std::uint64_t hash_of(const std::string& path) { return std::hash<std::string>{}(path); }

void add_name(const Node& node, std::vector<std::string>& names) {
  if (node.is_scalar() && node.text.find(':') == std::string_view::npos &&
      node.text.ends_with(".bst"))
    names.push_back(normalize(node.text));
}

}  // namespace

std::size_t processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::size_t>(CPU_COUNT(&set))
                                                       : 1;
}

ReadAhead::ReadAhead(ParseCache* cache) : cache_(cache) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  more_.notify_all();
}

// The names are what the file says plainly; conditionals and includes may add to them.
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

void ReadAhead::put_in_line(const std::string& elements, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::string path = join(elements, name);
    if (entries_.try_emplace(hash_of(path)).second) jobs_.push_back({std::move(path), elements});
  }
}

void ReadAhead::enqueue(const std::string& elements, const std::vector<std::string>& names) {
  const std::lock_guard lock(mutex_);
  put_in_line(elements, names);
  if (!started_ && jobs_.size() >= kEnough) {
    started_ = true;
    threads_.start(std::clamp<std::size_t>(processors(), 2, kMostThreads + 1), [this] { work(); });
  }
  if (idle_ > 0 && jobs_.size() >= kEnough) more_.notify_all();
}

void ReadAhead::expect(const std::string& elements, const std::vector<std::string>& names) {
  std::vector<std::string> plain;
  for (const std::string& name : names) {
    if (name.find(':') == std::string::npos) plain.push_back(normalize(name));
  }
  enqueue(elements, plain);
}

void ReadAhead::expect(const std::string& elements, const Node& element) {
  enqueue(elements, names_of(element));
}

void ReadAhead::work() {
  Tools tools;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!jobs_.empty()) {
      parse_some(lock, tools);
      continue;
    }
    ++idle_;
    more_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    --idle_;
  }
}

void ReadAhead::parse_some(std::unique_lock<std::mutex>& lock, Tools& tools) {
  if (tools.packed == nullptr || tools.packed->bytes() > kTreesTogether)
    tools.packed = std::make_shared<Arena>(kTreesTogether);
  std::vector<Ready> all;
  const std::size_t share = jobs_.size() / (threads_.size() + 1) + 1;
  while (!jobs_.empty() && all.size() < std::min(share, kTogether)) {
    Entry& entry = entries_.at(hash_of(jobs_.front().path));
    if (entry.state == Entry::State::kWaiting) {
      entry.state = Entry::State::kActive;
      // The address of an entry holds: an unordered map doesn't move its elements.
      all.push_back({std::move(jobs_.front()), &entry, std::make_unique<Parsed>(), nullptr, {}});
    }
    jobs_.pop_front();
  }
  lock.unlock();
  for (Ready& ready : all) parse(ready, tools);
  lock.lock();
  for (Ready& ready : all) {
    put_in_line(ready.job.elements, ready.names);
    if (ready.file != nullptr) files_.push_back(std::move(ready.file));
    ready.entry->parsed = std::move(ready.parsed);
    ready.entry->state = Entry::State::kDone;
  }
  if (waiting_) done_.notify_all();
  if (idle_ > 0 && jobs_.size() >= kEnough) more_.notify_all();
}

void ReadAhead::parse(Ready& ready, Tools& tools) {
  tools.scratch.reset();
  // The lookup counts only when somebody takes the file, who notes it then.
  ready.parsed->lookup.path = ready.job.path;
  const auto text = Lookups::read(tools.scratch, ready.parsed->lookup);
  if (!text) return;
  ready.file = std::make_unique<File>();
  ready.parsed->file = ready.file.get();
  const auto root =
      parse_yaml_kept(cache_, tools.scratch, *ready.file, *text, ready.parsed->lookup.outcome);
  if (!root) return;
  tools.packing.clear();
  pack_tree(tools.packing, **root, ready.file.get());
  ready.parsed->tree = tools.packed->copy(tools.packing);
  ready.parsed->held = tools.packed;
  ready.names = names_of(**root);
}

std::unique_ptr<ReadAhead::Parsed> ReadAhead::take(const std::string& path) {
  std::unique_lock lock(mutex_);
  const auto [found, fresh] = entries_.try_emplace(hash_of(path));
  Entry& entry = found->second;
  if (entry.state == Entry::State::kActive && !jobs_.empty()) parse_some(lock, own_);
  waiting_ = true;
  done_.wait(lock, [&] { return entry.state != Entry::State::kActive; });
  waiting_ = false;
  auto parsed = entry.state == Entry::State::kDone ? std::move(entry.parsed) : nullptr;
  entry.state = Entry::State::kTaken;
  if (parsed == nullptr || parsed->tree.empty() || parsed->lookup.path != path) return nullptr;
  return parsed;
}

}  // namespace sluice::project
