// A runner of the crowd: the real one's core and outbox, and its three links as sluice-runner has
// them, in a loop that it shares. It never publishes: brief jobs don't. One that is to join a
// session over TCP has its key enrolled before, by a connection of its own, as `sluice runner join`
// does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "fleet_loop.h"
#include "jobs/runner.h"
#include "wire/hello.h"
#include "wire/joined.h"
#include "wire/session.h"
#include "wire/socket.h"

namespace sluice::bench {

class CrowdRunner final : public jobs::RunnerOutputs {
 public:
  struct Settings {
    std::string instance;
    std::uint64_t epoch = 0;
    std::uint32_t slots = 0;
    std::string outbox;       // a file
    wire::RunnerHello offer;  // what HELLO says of the machine
    // To join over TCP. Without a name yet in it, its keys are enrolled first.
    std::shared_ptr<wire::Joined> joined;
  };
  // Begins to connect. Ends the process on errors of the system's.
  CrowdRunner(wire::Context& context, Loop& loop, wire::SessionPaths paths, Settings settings);
  CrowdRunner(const CrowdRunner&) = delete;
  CrowdRunner& operator=(const CrowdRunner&) = delete;
  ~CrowdRunner() override = default;

  // All links have been welcomed.
  bool welcomed() const { return runner_ && runner_->heartbeat_ms() != 0 && welcomed_; }
  // Called once each interval().
  void beat();
  Duration interval() const;
  // How often the scheduler and the broker have said HEARTBEAT.
  std::uint64_t scheduler_beats() const { return scheduler_beats_; }
  std::uint64_t broker_beats() const { return broker_beats_; }
  // How often it has said HELLO to the scheduler.
  std::uint64_t hellos() const { return hellos_; }

 private:
  // ---- jobs::RunnerOutputs
  void send(std::string_view name, std::string body) override;
  std::uint64_t publish(std::string_view type, std::string packed_event,
                        std::string_view ticket) override;
  std::uint64_t acknowledged() const override { return 0; }
  Status start(const jobs::JobStart& start) override;
  void cancel(const wire::JobId&, Duration) override {}
  Result<std::string> scratch_root(const std::string&) override;
  Status freeze() override { return {}; }
  void thaw() override {}

  void open();
  void on_enrolment();
  void on_jobs();
  void on_records();

  struct Connection {
    wire::Socket socket;
    std::unique_ptr<Loop::Watch> watch;
    template <typename T>
    void say(const T& message) {
      send(T::kName, wire::encode(message));
    }
    void send(std::string_view name, std::string body) {
      socket.send(name, std::move(body));
      watch->sent();
    }
  };
  std::unique_ptr<Connection> connect(wire::SocketKind kind, const wire::Address& address,
                                      std::function<void()> readable);

  wire::Context& context_;
  Loop& loop_;
  wire::SessionPaths paths_;
  const Settings settings_;
  wire::Hello hello_;
  std::unique_ptr<jobs::Runner> runner_;
  std::unique_ptr<Connection> enrolment_, jobs_, records_, live_;
  bool welcomed_ = false;  // on the records link
  std::uint64_t scheduler_beats_ = 0, broker_beats_ = 0, hellos_ = 0;
};

}  // namespace sluice::bench
