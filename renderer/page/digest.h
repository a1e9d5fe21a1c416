// What the page (page.js) is told of a session: each record that it needs as a small JSON map, in
// the records' order. `sluice report` embeds them, `sluice web` sends them as they come, and the
// page makes the same of both.
//
//   {"k": kind, "at": wall clock in ms, ...}
//
// Times are whole milliseconds; a field that is empty or 0 is left out.
//
//   session  id project verb state                       session.*; `limits`: builders, fetchers
//   run      n verb dir targets strict builders logdir cache elements deps
//            elements: [name, kind, state, brief, key]; deps: of each the indices of those it needs
//   plan     n expected: of each element
//   state    e s brief key                               element.state
//   start    job attempt e a runner host slot from log   job.started
//   done     the same, outcome origin text detail tail ms cpu mem bytes, brief key s of the element
//   end      n outcome ms failures resolved              run.finished
//   prompt   id e text log artifact choices              prompt.opened
//   answered id answer by                                prompt.closed
//   runner   what name host slots why
//   message  level text detail e file line               messages that are warnings or worse
#pragma once

#include <string>
#include <string_view>

#include "wire/events.h"

namespace sluice::renderer {

// The map of one event; "" of one that the page doesn't show. Texts are cut: the whole of them is
// in logs and records.
std::string page_event(const wire::Event& event);
// The map of a status: state, progress, estimate, active jobs, open prompts.
std::string page_status(const wire::Event& status);

// JSON that stands in a <script> of a page: nothing in it ends that, or begins a comment there.
std::string script_safe(std::string_view json);
// Text between tags, and in an attribute's double quotes.
std::string html_text(std::string_view text);

}  // namespace sluice::renderer
