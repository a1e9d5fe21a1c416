// What jobs and commands ask of plugins in Python beside the work of work.h.
#pragma once

#include "base/result.h"
#include "model/model.h"
#include "sources/info.h"
#include "sources/work.h"

namespace sluice::sources::plugin {

// Where a source comes from, as its plugin says; nothing for a plugin that doesn't.
Infos info(const model::Source& source, Surroundings& surroundings);

// What the plugin of a mirror makes of a URL (mirror_url.h) of a source, of whatever kind. Errors:
// those that the plugin says, of domain "source"; "plugin"/bad-mirror-url, unhandled-exception and
// those of its host.
Result<Address> address_of(const model::Source& source, Surroundings& surroundings,
                           const std::string& url);

// What a key has where tracking writes it: in the element, or where the project keeps refs; kNull
// where it isn't there. Errors: job/bad-job.
Result<model::Node> kept_value(const model::Source& source, const std::string& key);

// The source as it is with the ref that tracking has found, for sources behind it that are tracked
// by what it stages.
Result<model::Source> with_ref(const model::Source& source, const Found& found);

}  // namespace sluice::sources::plugin
