// Work on sources: each kind's KIND/work.cc tracks, fetches and stages. Jobs call it, and give it
// its surroundings.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/tool.h"
#include "model/model.h"
#include "store/cas.h"

namespace sluice::plugins {
class Hosts;
}

namespace sluice::sources {

// Weight says how much a message matters.
enum class Weight { kStatus, kInfo, kWarning };

// Surroundings are where work is done, by whom and for whom. One thread.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual const model::Settings& settings() const = 0;
  virtual store::Cas& cas() = 0;
  virtual void message(Weight weight, std::string_view text, std::string_view detail = {}) = 0;
  // Writes to the log alone.
  virtual void log(std::string_view text) = 0;
  // Begins a step. The last that began ends first. What is said within one may go to the log alone.
  virtual void begin(std::string_view text, std::string_view detail = {}) = 0;
  virtual void end(bool success) = 0;
  // Whether the project makes an error of the warning of that name ("git:unlisted-submodule").
  virtual bool is_fatal(std::string_view warning) const = 0;
  // "job"/"killed" when the work shall stop.
  virtual Status check() = 0;
  virtual Stop stop() = 0;
  // Says that the `attempt`th try (from 1) of something on a network failed, and waits for the time
  // of the next one.
  virtual Status wait_for_retry(unsigned attempt, const Error& error) = 0;
  // An empty directory of that name, for this source alone; what is left in it goes with the job.
  virtual Result<std::string> directory(const std::string& name) = 0;
  // A directory with what the sources before the one that is tracked have staged, of the refs that
  // tracking has just found for them. It lasts until the next call; track() may ask, and fetch() of
  // kinds that change what was before.
  virtual Result<std::string> previous() = 0;
  // The processes in which plugins do their work, for all sources that these surroundings are of.
  virtual plugins::Hosts& plugins() = 0;
  // Whether something that was believed of the store turned out to be untrue, so that all is looked
  // at.
  virtual bool in_doubt() const { return false; }
};

// Step is a step of some work, which has failed unless success() was called.
class Step {
 public:
  Step(Surroundings& surroundings, std::string_view text) : surroundings_(surroundings) {
    surroundings_.begin(text);
  }
  ~Step() { surroundings_.end(success_); }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  void success() { success_ = true; }

 private:
  Surroundings& surroundings_;
  bool success_ = false;
};

// Found is what tracking found: the ref, in the form that the kind's traits say, and how it is
// shown.
struct Found {
  model::Node ref;
  std::string shown;
  // Of plugins: the keys of the source that say the ref, kNull for those that do no more.
  model::NodeMap writes = {};
};

// The functions of a row get a whole source as it was loaded. Errors: domain "source" or "plugin",
// with its place; "job"/"killed"; the store's.
struct WorkRow {
  std::string_view kind;
  // One of several ways of working, where plugins of that name differ (Source::works_as); "" for
  // the kind's own.
  std::string_view way;
  // Finds the ref of now; std::nullopt: there is nothing to be tracked, and the source's ref stays.
  Result<std::optional<Found>> (*track)(const model::Source& source,
                                        Surroundings& surroundings) = nullptr;
  // Whether what fetch() brings is there; null when it brings nothing.
  Result<bool> (*cached)(const model::Source& source, Surroundings& surroundings) = nullptr;
  // Brings what stage() needs from elsewhere to the source directory; null when it needs nothing.
  Status (*fetch)(const model::Source& source, Surroundings& surroundings) = nullptr;
  // Puts the source's files into the store; gives the root of their tree.
  Result<model::Digest> (*stage)(const model::Source& source, Surroundings& surroundings) = nullptr;
  // Takes the place of stage() in kinds that change what is there: `directory` has what the sources
  // before this one have staged.
  Status (*change)(const model::Source& source, Surroundings& surroundings,
                   const std::string& directory) = nullptr;
  // Puts what is to be in a workspace into an empty directory; null where that is what stage()
  // gives.
  Status (*init_workspace)(const model::Source& source, Surroundings& surroundings,
                           const std::string& directory) = nullptr;
};

// The row of a kind; nullptr for one that has no work here: such a source is refused by its kind's
// name.
const WorkRow* find_work(std::string_view kind, std::string_view way = {});
// The row of a source: the one of its kind, or that of plugins in Python.
const WorkRow* find_work(const model::Source& source);
std::span<const WorkRow> work_rows();

// "tar source at FILE [line 4 column 2]: ", as BuildStream has it, or nothing where a source has no
// place.
std::string where(const model::Source& source);
tl::unexpected<Error> source_error(const model::Source& source, std::string reason,
                                   std::string message, std::string detail = {});
// The directory of Surroundings::previous() in which the source itself is staged, for kinds that
// look at what is there: made where it isn't, and never by the way of a symbolic link
// ("bad-directory").
Result<std::string> previous_of(const model::Source& source, Surroundings& surroundings);
// Says a warning; an error where a warning of that name is fatal. `warning` has the kind in front
// when it is the kind's own.
Status warn(const model::Source& source, Surroundings& surroundings, std::string_view warning,
            std::string_view text, std::string_view detail);

// Address is where something is tried to be had from.
struct Address {
  std::string url;
  std::vector<std::string> headers;  // of HTTP requests, beside those that the kind sends
};
// Calls `attempt` with each of `urls`, which are a source's or begin with one of them, until it
// succeeds. The error is the last one, and its detail names all where there are several. What ends
// it at once: "job"/"killed", and a mirror's plugin that fails otherwise than by saying so.
Status first_of(const model::Source& source, Surroundings& surroundings,
                const std::vector<std::string>& urls,
                const std::function<Status(const Address& address)>& attempt);

// Download is a file that is had from elsewhere, and kept as DIRECTORY/SHA256.
struct Download {
  std::vector<std::string> urls;  // in the order to try
  std::string directory;
  std::string sha256;                // "" for whatever is there now
  std::vector<std::string> headers;  // of the HTTP requests, as "Accept: text/html"
};
// Downloads a file unless it is there, from the first URL that has it, again while that may help;
// gives its path. `text` begins the message of each try ("Fetching"). Errors:
// source/wrong-checksum, download-refused, download-failed, file-missing, bad-url.
Result<std::string> download_file(const model::Source& source, Surroundings& surroundings,
                                  const Download& download, std::string_view text);

// The work of kinds that download one file. ensure_download() gives the file's path, and downloads
// it when it isn't there; track_download() gives the SHA-256 of what the URL has now.
Result<std::string> ensure_download(const model::Source& source, Surroundings& surroundings);
Result<bool> cached_download(const model::Source& source, Surroundings& surroundings);
Status fetch_download(const model::Source& source, Surroundings& surroundings);
Result<std::optional<Found>> track_download(const model::Source& source,
                                            Surroundings& surroundings);

// Lets sluice-unpack put something into `directory`, by `words` of its command line and what it
// reads, and enters that into the store.
Result<model::Digest> stage_unpacked(const model::Source& source, Surroundings& surroundings,
                                     std::vector<std::string> words, const std::string& directory,
                                     std::string_view input);
// The same for kinds that download one archive, and cut a base directory off; `words` say what kind
// of archive it is.
Result<model::Digest> stage_archive(const model::Source& source, Surroundings& surroundings,
                                    std::vector<std::string> words);

}  // namespace sluice::sources
