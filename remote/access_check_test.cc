#include "remote/access_check.h"

#include <catch2/catch.hpp>

#include "base/file.h"
#include "base/identity.h"
#include "store/test_store.h"

namespace sluice::remote {
namespace {

using store::test::must;
using store::test::Place;
using store::test::reason;

constexpr const char* kRead =
    "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs";
constexpr const char* kWrite =
    "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs";
constexpr const char* kFind =
    "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs";
constexpr const char* kName = "/build.bazel.remote.asset.v1.Push/PushBlob";
constexpr const char* kAskName = "/build.bazel.remote.asset.v1.Fetch/FetchBlob";

struct Someone {
  Someone(const Place& place, const std::string& name, std::string role)
      : identity(must(make_identity(place / "", name, name))),
        pem(must(read_file(identity.certificate))) {
    entry.public_key = name;
    entry.name = name;
    entry.role = std::move(role);
    entry.certificate = identity.fingerprint;
  }
  Identity identity;
  std::string pem;
  wire::AccessEntry entry;
};

TEST_CASE("Who may do what goes by the role that the certificate was enrolled with (J82)") {
  const Place place;
  must(make_directories(place / ""));
  const Someone runner(place, "host-b", "runner"), control(place, "laptop", "control"),
      observer(place, "wall", "observe"), owner(place, "me", "run"), stranger(place, "who", "");
  must(wire::write_access_list(place / "state",
                               {{runner.entry, control.entry, observer.entry, owner.entry}}));
  AccessCheck access(place / "state");
  for (const char* call : {kRead, kWrite, kFind}) CHECK(access.check(runner.pem, call, 1));
  CHECK(reason(access.check(runner.pem, kName, 1)) == "access/denied");
  CHECK(reason(access.check(runner.pem, kAskName, 1)) == "access/denied");
  for (const Someone* reader : {&control, &observer}) {
    CHECK(access.check(reader->pem, kRead, 1));
    CHECK(access.check(reader->pem, kAskName, 1));
    for (const char* call : {kWrite, kFind, kName, "", "/grpc.reflection.v1/Any"})
      CHECK(reason(access.check(reader->pem, call, 1)) == "access/denied");
  }
  // The session's host goes by its own files, never by this way.
  CHECK(reason(access.check(owner.pem, kRead, 1)) == "access/denied");
  CHECK(reason(access.check(stranger.pem, kRead, 1)) == "access/unauthenticated");
  CHECK(reason(access.check("", kRead, 1)) == "access/unauthenticated");
  CHECK(reason(access.check("no certificate", kRead, 1)) == "access/unauthenticated");
}

TEST_CASE("The list counts as it is when the call comes (J82)") {
  const Place place;
  must(make_directories(place / ""));
  Someone runner(place, "host-b", "runner");
  AccessCheck access(place / "state");
  CHECK(reason(access.check(runner.pem, kRead, 1)) == "access/unauthenticated");
  runner.entry.expires = 1000;
  must(wire::write_access_list(place / "state", {{runner.entry}}));
  CHECK(access.check(runner.pem, kRead, 999));
  CHECK(reason(access.check(runner.pem, kRead, 1000)) == "access/unauthenticated");
  runner.entry.revoked = true;
  must(wire::write_access_list(place / "state", {{runner.entry}}));
  CHECK(reason(access.check(runner.pem, kRead, 1)) == "access/unauthenticated");
}

}  // namespace
}  // namespace sluice::remote
