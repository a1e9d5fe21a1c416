// One command on another machine, in BuildStream's order of steps
// (buildstream/sandbox/_sandboxremote.py): its result is looked up, its blobs are sent, it is run,
// what it left is fetched. What comes is checked before it enters the store.
//
// What BuildStream fails for is mended once: a result that is known, but whose blobs are gone, is
// made anew, and blobs that the server has lost meanwhile are sent again.
#pragma once

#include <functional>

#include "base/result.h"
#include "remote/execution.h"
#include "store/cas.h"
#include "wire/execute_protocol.h"

namespace sluice::remote {

// Refers to what it is given. `action_cache` may be null.
struct ExecutionServices {
  Peer& storage;
  ExecutionService& execution;
  ActionCacheService* action_cache;
};

Result<wire::ExecuteReply> execute(store::Cas& cas, const wire::ExecuteRequest& request,
                                   const ExecutionServices& services,
                                   const std::function<void(const wire::ExecuteEvent&)>& told);

}  // namespace sluice::remote
