#include "model/remotes.h"

namespace sluice::model {

namespace {

bool serves(const std::vector<Remote>& remotes, bool push) {
  bool index = false, storage = false;
  for (const Remote& remote : remotes) {
    if (push && !remote.push) continue;
    index = index || remote.type != "storage";
    storage = storage || remote.type != "index";
  }
  return index && storage;
}

}  // namespace

bool can_pull(const std::vector<Remote>& remotes) { return serves(remotes, false); }
bool can_push(const std::vector<Remote>& remotes) { return serves(remotes, true); }

}  // namespace sluice::model
