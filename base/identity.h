// A program's own key pair with a certificate that it signed itself, in X.509's PEM forms: what two
// processes show each other over TLS where no authority vouches for them. Whoever knows the
// fingerprint knows the holder; names and times in the certificate prove nothing.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice {

struct Identity {
  std::string key;          // path of the private key: elliptic curve P-256, PKCS #8, PEM
  std::string certificate;  // path of the certificate, PEM
  std::string fingerprint;  // SHA-256 of the certificate's DER form, lower-case hexadecimal
};

// Makes `directory`/NAME.key and NAME.crt, both of mode 0600, or reads what is there: an identity
// is made once. The directory must be there. `common_name` (64 characters at most) is the subject,
// and the DNS name for which a TLS client takes the certificate. It was valid long ago and is for
// ever, since clocks differ and who trusts it says until when. Errors: domain "identity",
// "bad-identity" of files that are no pair, "crypto"; those of files.
Result<Identity> make_identity(const std::string& directory, const std::string& name,
                               const std::string& common_name);

// The fingerprint of the first certificate in a PEM text. Error: "bad-identity".
Result<std::string> certificate_fingerprint(std::string_view pem);

}  // namespace sluice
