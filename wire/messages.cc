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

}  // namespace sluice::wire
