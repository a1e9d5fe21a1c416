#include "wire/messages.h"

namespace sluice::wire {

ErrorBody ErrorBody::from(const Error& error) {
  return {error.domain, error.reason, error.message, error.detail,
          error.provenance.file, error.provenance.line, error.provenance.column};
}

Error ErrorBody::to_error() const { return {domain, reason, message, detail, {file, line, column}}; }

}  // namespace sluice::wire
