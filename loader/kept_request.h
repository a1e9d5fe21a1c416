// How each snapshot in a file was asked for, kept in a file beside it: what a reload of it is made
// of (spec/snapshot.md, L11).
//
// Whoever wants the project as it is now names the snapshot that he has. What he was not told of
// (options, targets, places of configuration) he can neither change nor get wrong. It is kept in a
// file because the loader may be another process by then.
#pragma once

#include <string>

#include "base/result.h"
#include "wire/messages.h"

namespace sluice::loader {

// Keeps the arguments for the snapshot of that id, which is in the file
// `arguments.wanted.snapshot_file`. It is to be called before anybody is told of the snapshot.
Status keep_request(const wire::LoadArguments& arguments, const std::string& id);

// The arguments of a load that makes the snapshot once more, into the file FILE.again. Errors:
// reason "no-request", when the file is none that a load wrote, or has another snapshot by now.
Result<wire::LoadArguments> request_again(const wire::ReloadArguments& arguments);

}  // namespace sluice::loader
