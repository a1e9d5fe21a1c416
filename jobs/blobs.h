// Blobs is the runner's end of its helper (wire/blob_helper.h): what jobs need comes from the
// session's store, what they made goes there. Only a runner that has a store of its own has one.
//
// The helper starts with the first request. When it dies it is started again and told once more
// what it had not answered; one that dies again and again without answering anything is given up:
// "remote"/"helper-died". One that is old is replaced as soon as it has answered all, for what it
// has used since it began doesn't expire (store/quota.h); what is asked meanwhile waits.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/result.h"
#include "wire/blob_helper.h"
#include "wire/job_protocol.h"
#include "wire/reactor.h"

namespace sluice::jobs {

// Lives in the reactor's thread.
class Blobs {
 public:
  struct Callbacks {
    // A request has ended: one of each verb at a time for a job.
    std::function<void(const wire::JobId&, wire::HelperVerb, const wire::HelperReply&)> on_done;
    // It goes on, but the session's store can't be reached; why.
    std::function<void(const wire::JobId&, const std::string& why)> on_waits;
  };
  // `store_age`: for how long a helper serves.
  Blobs(wire::Reactor& reactor, wire::HelperOpen open, Callbacks callbacks,
        Duration store_age = wire::kStoreHeldFor)
      : reactor_(reactor), open_(std::move(open)), callbacks_(std::move(callbacks)),
        store_age_(store_age) {}
  ~Blobs();
  Blobs(const Blobs&) = delete;
  Blobs& operator=(const Blobs&) = delete;

  // Begin a request for a job; on_done is called later, never from within.
  void fetch(const wire::JobId& id, std::vector<wire::JobInput> inputs);
  void prefetch(const wire::JobId& id, std::vector<wire::JobInput> inputs);
  void upload(const wire::JobId& id, std::string ref, std::string log);
  // Ends all requests of a job. Nothing is heard of them any more.
  void cancel(const wire::JobId& id);
  // Something that was fetched isn't there any more.
  void forget();

 private:
  struct Asked {
    wire::JobId job;
    wire::HelperRequest request;
    bool sent = false;
  };
  void ask(const wire::JobId& id, wire::HelperRequest request);
  bool retires() const;
  void replace_if_done();
  void start_later(Duration pause);
  Status start();
  void send(const std::string& body);
  void write();
  void watch();
  void on_socket(short events);
  void on_reply(const wire::HelperReply& reply);
  void end_helper();
  void died(const std::string& why);
  void give_up(const Error& error);

  wire::Reactor& reactor_;
  const wire::HelperOpen open_;
  const Callbacks callbacks_;
  const Duration store_age_;
  Process process_;
  Duration started_at_{0};
  UniqueFd socket_;
  wire::FrameReader frames_;
  std::string unsent_;
  std::map<std::uint64_t, Asked> asked_;
  std::uint64_t next_ = 1;
  unsigned deaths_ = 0;  // since it answered anything
  wire::Reactor::TimerId timer_ = 0;
};

}  // namespace sluice::jobs
