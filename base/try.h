// Passing errors on without ceremony, where nearly every step can fail.
//
//   Node* node = TRY(get_map(root, "config"));   // returns the error from here
//   CHECK(compose(arena, *overrides, *target));  // for Status
//
// CHECK refuses what gives an owner of something (a lock, a descriptor), which would be gone at
// once.
//
// TRY uses a statement expression, which both compilers we build with have.
#pragma once

#include <type_traits>
#include <utility>

#include "base/result.h"

namespace sluice {

template <typename T>
inline constexpr bool may_be_dropped =
    std::is_void_v<typename T::value_type> || std::is_copy_constructible_v<typename T::value_type>;

}  // namespace sluice

#define TRY(expression)                                    \
  ({                                                       \
    auto try_result = (expression);                        \
    if (!try_result) return ::sluice::forward(try_result); \
    std::move(*try_result);                                \
  })

#define CHECK(expression)                                                                         \
  do {                                                                                            \
    auto check_result = (expression);                                                             \
    static_assert(::sluice::may_be_dropped<decltype(check_result)>, "keep what this gives: TRY"); \
    if (!check_result) return ::sluice::forward(check_result);                                    \
  } while (false)
