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
#include <unordered_map>
#include <vector>

#include "base/threads.h"
#include "project/lookups.h"
#include "project/yaml.h"

namespace sluice::project {

class ParseCache;

// The number of processors that this process may use.
std::size_t processors();

class ReadAhead {
 public:
  // `cache` may be null and must outlive this. Threads start when there are enough files to read.
  explicit ReadAhead(ParseCache* cache);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Puts what an element depends on in line, as far as its file names it. The loader has read that
  // file itself; `elements` is the directory of its project's elements.
  void expect(const std::string& elements, const Node& element);
  // Puts elements in line by their names.
  void expect(const std::string& elements, const std::vector<std::string>& names);

  struct Parsed {
    File* file = nullptr;         // that marks refer to; whoever takes it fills it in
    std::string_view tree;        // packed (packed_tree.h); "" when it couldn't be read or parsed
    std::shared_ptr<Arena> held;  // what `tree` lies in, with other trees
    Lookup lookup;
  };
  // The file at `path` when it has been parsed or just is; nullptr when the caller has to read it.
  // While it is being parsed this thread parses others, since they would soon be asked for, too.
  // File objects live as long as this.
  std::unique_ptr<Parsed> take(const std::string& path);

 private:
  struct Entry {
    enum class State : std::uint8_t { kWaiting, kActive, kDone, kTaken } state = State::kWaiting;
    std::unique_ptr<Parsed> parsed;  // has the path, too
  };
  struct Job {
    std::string path;
    std::string elements;
  };

  void work();
  // What a thread parses with.
  struct Tools {
    Arena scratch;
    std::string packing;
    std::shared_ptr<Arena> packed;
  };
  // Parses what is next in line. `mutex_` is locked before and after, but not meanwhile.
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
  // Puts files in line. `mutex_` is locked.
  void put_in_line(const std::string& elements, const std::vector<std::string>& names);
  static std::vector<std::string> names_of(const Node& element);

  ParseCache* cache_;
  std::mutex mutex_;
  std::condition_variable more_;                      // threads wait for jobs
  std::condition_variable done_;                      // take() waits for an entry
  std::size_t idle_ = 0;                              // threads that wait for `more_`
  bool waiting_ = false;                              // whether take() waits for `done_`
  std::unordered_map<std::uint64_t, Entry> entries_;  // by the hash of the path
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<File>> files_;
  Tools own_;             // of the thread that calls take()
  bool started_ = false;  // threads, as far as there were any to be had
  Helpers threads_;
};

}  // namespace sluice::project
