// A command as the surroundings of sources' work (sources/work.h). Whoever ends the command ends
// what it runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/report.h"
#include "model/model.h"
#include "plugins/hosts.h"
#include "sources/work.h"
#include "store/cas.h"

namespace sluice::cli {

class CommandSurroundings final : public sources::Surroundings {
 public:
  // `report` may be null, then nothing is said; `cas` may be for work that doesn't store anything.
  // All must outlive this.
  CommandSurroundings(Report* report, const model::Settings& settings,
                      const std::vector<std::string>& fatal_warnings, store::Cas* cas)
      : report_(report), settings_(settings), fatal_warnings_(fatal_warnings), cas_(cas),
        plugins_(settings.plugins) {}
  // Removes the scratch directories.
  ~CommandSurroundings() override;

  const model::Settings& settings() const override { return settings_; }
  store::Cas& cas() override { return *cas_; }
  void message(sources::Weight weight, std::string_view text, std::string_view detail) override;
  void log(std::string_view) override {}
  void begin(std::string_view text, std::string_view detail) override {
    message(sources::Weight::kInfo, text, detail);
  }
  void end(bool) override {}
  bool is_fatal(std::string_view warning) const override;
  Status check() override { return {}; }
  Stop stop() override { return {}; }
  // The run that fetched has tried again already.
  Status wait_for_retry(unsigned, const Error& error) override {
    return tl::unexpected<Error>(error);
  }
  Result<std::string> directory(const std::string& name) override;
  Result<std::string> previous() override {
    if (previous_.empty()) return fail("app", "bad-call", "Nothing is staged before this source");
    return previous_;
  }
  // Says where the sources before the next one are staged.
  void previous_is(std::string directory) { previous_ = std::move(directory); }
  plugins::Hosts& plugins() override { return plugins_; }

 private:
  Report* report_;
  const model::Settings& settings_;
  const std::vector<std::string>& fatal_warnings_;
  store::Cas* cas_;
  std::string scratch_;
  std::string previous_;
  plugins::Hosts plugins_;
};

}  // namespace sluice::cli
