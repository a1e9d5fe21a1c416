// Functions of the kinds' info.cc, for the table of info_table.cc.
#pragma once

#include "sources/info.h"

namespace sluice::sources {

namespace bzr {
Infos info(const model::Source& source);
}
namespace cargo {
Infos info(const model::Source& source);
}
namespace cargo2 {
Infos info(const model::Source& source);
}
namespace cpan {
Infos info(const model::Source& source);
}
namespace docker {
Infos info(const model::Source& source);
}
namespace git {
Infos info(const model::Source& source);
}
namespace git_module {
Infos info(const model::Source& source);
}
namespace git_repo {
Infos info(const model::Source& source);
}
namespace git_tag {
Infos info(const model::Source& source);
}
namespace go_module {
Infos info(const model::Source& source);
}
namespace local {
Infos info(const model::Source& source);
Infos workspace_info(const model::Source& source);
}  // namespace local
namespace patch {
Infos info(const model::Source& source);
}
namespace patch_queue {
Infos info(const model::Source& source);
}
namespace pip {
Infos info(const model::Source& source);
}
namespace pypi {
Infos info(const model::Source& source);
}

}  // namespace sluice::sources
