#include "remote/test_remote.h"

#include "store/check.h"

namespace sluice::remote::test {

RemoteSpec spec(std::string url, bool push) {
  RemoteSpec spec;
  spec.url = std::move(url);
  spec.push = push;
  spec.retry_limit = 0;
  spec.retry_delay = 10;
  return spec;
}

void Target::check_sound(std::uint64_t refs) const {
  const store::Cas cas = open();
  const store::CheckReport report = must(store::verify_all(cas));
  CHECK(report.corrupt == std::vector<std::string>{});
  CHECK(report.incomplete == std::vector<std::string>{});
  CHECK(report.refs == refs);
}

}  // namespace sluice::remote::test
