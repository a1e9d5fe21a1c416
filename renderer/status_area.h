// What the status area shows, from one `status` event: three rows of heading as BuildStream's
// (session, queues, cache), then the running jobs in columns.
//
//    =========== 00:01:12 freedesktop-sdk (143/387) ===========
//        (Sources Fetched:117 3 0)→ (Built:24 0 1, 118 waiting)
//                ~~~~~~ cache: 4.2G / 64G (6%) ~~~~~~
//   [00:00:31][build:components/gcc.bst] [00:00:02][fetch:components/jq.bst   ]
//
// Pure functions; times go on from the event by `since`, for display only.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "renderer/renderer.h"
#include "renderer/screen.h"
#include "renderer/style.h"
#include "wire/events.h"

namespace sluice::renderer {

// News that are older are called so.
inline constexpr Duration kStale = std::chrono::seconds(5);
// At most size.rows - 2 rows, each at most size.columns - 1 wide; none when the terminal has no
// room. `since` is how long ago the event came; a suspended session's times stand still. `hint` has
// rows, parted by tabs, that come last, if there is room for them and some jobs.
std::vector<Row> status_rows(const wire::Event& status, Duration since, Size size,
                             const Painter& paint, std::string_view hint = {});

// Whether the status' times go on.
bool ticking(const wire::Event& status);

}  // namespace sluice::renderer
