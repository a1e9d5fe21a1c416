// Element files, read and parsed by other threads before the loader asks for them. What an
// element depends on is in its file: whoever has parsed one puts those that it names in line.
//
// It is only an advance: what isn't there in time, or couldn't be read or parsed, the loader
// reads itself, in its own order, with its own errors. Nothing that is read in vain is noted
// as a lookup.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "project/lookups.h"
#include "project/yaml.h"

namespace sluice::project {

class ParseCache;

// That this process may use.
std::size_t processors();

class ReadAhead {
 public:
  // `cache` may be null and must outlive this. Threads start when there is enough to do.
  explicit ReadAhead(ParseCache* cache);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // An element that the loader has read itself, and the directory of its project's elements.
  void expect(const std::string& elements, const Node& element);
  // Elements that it will read.
  void expect(const std::string& elements, const std::vector<std::string>& names);

  struct Parsed {
    File* file = nullptr;         // that marks refer to; its name is the taker's to set
    std::string_view tree;        // packed (packed_tree.h); "" when it couldn't be read or parsed
    std::shared_ptr<Arena> held;  // the tree lies in it, with others
    Lookup lookup;
  };
  // A file that is there or is just being parsed; nullptr: the taker reads it. While it is
  // being parsed the taker parses others, since it would soon ask for these too. Files live as
  // long as this.
  std::unique_ptr<Parsed> take(const std::string& path);

 private:
  struct Entry {
    enum class State : std::uint8_t { kWaiting, kActive, kDone, kTaken } state = State::kWaiting;
    std::unique_ptr<Parsed> parsed;  // says which path it is
  };
  struct Job {
    std::string path;
    std::string elements;
  };

  void work();
  // Parses what is next in line. Locked before and after, but not meanwhile.
  // What a thread parses with.
  struct Tools {
    Arena scratch;
    std::string packing;
    std::shared_ptr<Arena> packed;
  };
  void parse_some(std::unique_lock<std::mutex>& lock, Tools& tools);
  struct Ready {
    Job job;
    Entry* entry = nullptr;
    std::unique_ptr<Parsed> parsed;
    std::unique_ptr<File> file;
    std::vector<std::string> names;
  };
  void parse(Ready& ready, Tools& tools);
  void enqueue(const std::string& elements, const std::vector<std::string>& names);
  // The same, locked.
  void put_in_line(const std::string& elements, const std::vector<std::string>& names);
  static std::vector<std::string> names_of(const Node& element);

  ParseCache* cache_;
  std::mutex mutex_;
  std::condition_variable more_;                      // jobs, for threads that have none
  std::condition_variable done_;                      // something that is waited for, perhaps
  std::size_t idle_ = 0;                              // threads that wait for more
  bool waiting_ = false;                              // for something to be done
  std::unordered_map<std::uint64_t, Entry> entries_;  // by the hash of the path
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<File>> files_;
  Tools own_;  // of the thread that takes
  std::vector<std::jthread> threads_;
};

}  // namespace sluice::project
