// Passing errors on without ceremony, where nearly every step can fail.
//
//   Node* node = TRY(get_map(root, "config"));   // returns the error from here
//   CHECK(compose(arena, *overrides, *target));  // for Status
//
// TRY uses a statement expression, which both compilers we build with have.
#pragma once

#include <utility>

#include "base/result.h"

#define TRY(expression)                                    \
  ({                                                       \
    auto try_result = (expression);                        \
    if (!try_result) return ::sluice::forward(try_result); \
    std::move(*try_result);                                \
  })

#define CHECK(expression)                                      \
  do {                                                         \
    auto check_result = (expression);                          \
    if (!check_result) return ::sluice::forward(check_result); \
  } while (false)
