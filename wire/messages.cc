#include "wire/messages.h"

#include "base/credentials.h"

namespace sluice::wire {

ErrorBody ErrorBody::from(const Error& error) {
  return {error.domain,
          error.reason,
          without_credentials(error.message),
          without_credentials(error.detail),
          error.provenance.file,
          error.provenance.line,
          error.provenance.column,
          error.subject,
          error.introduction};
}

Error ErrorBody::to_error() const {
  return {domain, reason, message, detail, {file, line, column}, subject, introduction};
}

SLUICE_CODERS(, ErrorBody);
SLUICE_CODERS(, Hello);
SLUICE_CODERS(, Welcome);
SLUICE_CODERS(, Refused);
SLUICE_CODERS(, Ending);
SLUICE_CODERS(, Heartbeat);
SLUICE_CODERS(, Ack);
SLUICE_CODERS(, Resend);
SLUICE_CODERS(, Nack);
SLUICE_CODERS(, Next);
SLUICE_CODERS(, Request);
SLUICE_CODERS(, Reply);
SLUICE_CODERS(, Peer);
SLUICE_CODERS(, Peers);
SLUICE_CODERS(, EnrolArguments);
SLUICE_CODERS(, Enrolled);
SLUICE_CODERS(, RevokeArguments);
SLUICE_CODERS(, LoadInput);
SLUICE_CODERS(, LoadWanted);
SLUICE_CODERS(, LoadArguments);
SLUICE_CODERS(, ReloadArguments);
SLUICE_CODERS(, ProjectServers);
SLUICE_CODERS(, LoadResult);
SLUICE_CODERS(, RefEdit);
SLUICE_CODERS(, WriteRefs);
SLUICE_CODERS(, RefFile);
SLUICE_CODERS(, WriteRefsResult);
SLUICE_CODERS(, ProjectRemotes);
SLUICE_CODERS(, RunArguments);
SLUICE_CODERS(, RunAccepted);
SLUICE_CODERS(, RetryArguments);
SLUICE_CODERS(, LimitsArguments);
SLUICE_CODERS(, AnswerArguments);

}  // namespace sluice::wire
