// Lines for systems that run builds: each element's in one piece when it is done, in a group that
// can be folded; failures open, and as annotations where there are such.
//
// What builds say can't steer the system: on GitHub commands are stopped around it
// (`::stop-commands::TOKEN`, the token is random), on GitLab nothing of it can begin with an
// escape.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "renderer/calm_lines.h"
#include "renderer/renderer.h"

namespace sluice::renderer {

struct CiSettings {
  bool github = false;  // else GitLab
  std::string token;    // that stops commands, and starts them again
  std::string summary;  // the file that the summary is appended to; "": none
  // What names of files are to be relative to; "": as they are. And where a project is looked for
  // before a run says where it is.
  std::string workspace, directory;
};

std::unique_ptr<Renderer> make_ci(Sink& sink, const Clock& clock, CalmSettings lines,
                                  CiSettings settings, Duration silence);

}  // namespace sluice::renderer
