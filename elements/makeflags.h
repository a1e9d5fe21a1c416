// MAKEFLAGS and the like, and what they say of parallel processes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/model.h"

namespace sluice::elements {

// The number of tokens of a jobserver that a make with these flags can use: one less than the
// processes of its -j, a thousand and some for a -j without a number. 0: it has no -j, one process,
// or a jobserver already.
std::uint32_t tokens_of_makeflags(std::string_view flags);

// The environment where as many processes as the machine has are to be `jobs`, of an element that
// was loaded on another one. Only variables that enter no key (environment-nocache) change, and of
// those what says a number of processes and says max-jobs, as it was when the element was loaded:
// the N of "-jN", "-j N", "--jobs=N" and "--jobs N", and the value N of a variable that is named
// after jobs ("MAXJOBS"). An element that is `notparallel` stays so.
model::StringMap with_jobs(model::StringMap environment, const model::ElementBody& body,
                           std::uint32_t jobs);

}  // namespace sluice::elements
