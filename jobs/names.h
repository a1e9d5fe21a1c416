// Names of elements/, sandbox/ and the jobs protocol, which this folder uses all the time, without
// their namespaces.
#pragma once

#include "wire/job_protocol.h"

namespace sluice::elements {}
namespace sluice::sandbox {}

namespace sluice::jobs {

using namespace elements;  // NOLINT(google-build-using-namespace)
using namespace sandbox;   // NOLINT(google-build-using-namespace)
using wire::frame;
using wire::FrameReader;
using wire::JobEvent;
using wire::JobNote;
using wire::JobStart;
using wire::ServerReply;
using wire::ServerRequest;

}  // namespace sluice::jobs
