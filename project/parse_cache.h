// Trees of files that yaml-cpp had to read (those of simple files take less time to read than
// to find here), by the SHA-256 of their text, from one load of a project to the next.
//
// All of a project's are in one file (kept_file.h), which is read when the first is asked for
// and written anew at the end when there are more. Of two loads that end at the same time
// one's additions are lost, and will be made again.
//
// May be used by several threads at a time.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "project/kept_file.h"
#include "project/yaml.h"

namespace sluice::project {

class ParseCache {
 public:
  // `directory` is the project's. Nothing is read before the first find().
  explicit ParseCache(std::string_view directory);

  // The tree of a text by its SHA-256, made in `arena`; nullptr when the cache hasn't got it.
  Node* find(Arena& arena, const File& file, const std::string& sha256);
  void add(const std::string& sha256, const Node& root);

  // Writes the project's file when something was added.
  void save();

 private:
  void load();

  KeptFiles files_;
  std::string name_;
  std::mutex mutex_;
  bool loaded_ = false;
  bool added_ = false;
  std::string kept_;
  std::unordered_map<std::string, std::string_view> trees_;  // in `kept_` or in `new_`
  std::unordered_set<std::string> used_;
  std::unordered_map<std::string, std::string> new_;
};

}  // namespace sluice::project
