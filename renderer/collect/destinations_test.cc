// What destinations make of records that are larger than others take, and of peers that talk.
#include <thread>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "renderer/collect/destination.h"
#include "renderer/collect/sockets.h"
#include "tests/support/test_directory.h"

namespace sluice::collect {
namespace {

using Json = nlohmann::json;

TEST_CASE("a record that is too long for a line of Loki's is there without its largest fields") {
  auto loki = make_loki("http://127.0.0.1:1", *renderer::Arguments::read({}, {}, {}));
  REQUIRE(loki);
  wire::Event event;
  event.type = "run.started";
  event.time = 7;
  event.text = "small";
  const auto line_of = [&] {
    const std::string packed = wire::encode(event);
    return Json::parse(Json::parse((*loki)->encode({packed, event})->body).get<std::string>());
  };
  event.elements.emplace(10);
  CHECK(line_of()["elements"].size() == 10);
  CHECK_FALSE(line_of().contains("left_out"));
  event.elements->resize(5000);
  for (wire::ElementSection& element : *event.elements) element.name = std::string(50, 'x');
  event.detail = std::string(300'000, 'y');
  const Json line = line_of();
  CHECK(line.dump().size() < 256 << 10);
  CHECK(line["left_out"] == Json({"elements", "detail"}));
  CHECK(line["type"] == "run.started");
  CHECK(line["time"] == 7);
  CHECK(line["text"] == "small");
}

TEST_CASE("a peer that only talks, and never ends the connection, is given up in time") {
  const TestDirectory directory;
  const std::string path = directory / "socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd listens(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(listens.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listens.get(), 1) == 0);
  std::thread talker([&] {
    const UniqueFd peer(::accept(listens.get(), nullptr, nullptr));
    const std::string words(4096, 'x');
    while (::send(peer.get(), words.data(), words.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  const auto place = read_place("unix:" + path);
  REQUIRE(place);
  const auto sent = send_and_confirm(*place, "a record", std::chrono::milliseconds(100));
  talker.join();
  REQUIRE_FALSE(sent);
  CHECK(sent.error().reason == "unavailable");
}

}  // namespace
}  // namespace sluice::collect
