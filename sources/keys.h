// Functions of the kinds' key.cc, for the table of key_table.cc.
#pragma once

#include "sources/key.h"

namespace sluice::sources {

namespace bzr {
Status key(Instance& instance, std::string& json);
}
namespace cargo {
Status key(Instance& instance, std::string& json);
}
namespace cargo2 {
Status key(Instance& instance, std::string& json);
Status key_of_2024(Instance& instance, std::string& json);
Status key_without_letter(Instance& instance, std::string& json);
}  // namespace cargo2
namespace cpan {
Status key(Instance& instance, std::string& json);
Status key_without_version(Instance& instance, std::string& json);
}  // namespace cpan
namespace docker {
Status key(Instance& instance, std::string& json);
}
namespace git {
Status key(Instance& instance, std::string& json);
}
namespace git_module {
Status key(Instance& instance, std::string& json);
}
namespace git_repo {
Status key(Instance& instance, std::string& json);
Status key_without_version(Instance& instance, std::string& json);
}  // namespace git_repo
namespace git_tag {
Status key(Instance& instance, std::string& json);
}
namespace go_module {
Status key(Instance& instance, std::string& json);
Status key_before_2_2(Instance& instance, std::string& json);
}  // namespace go_module
namespace local {
Status key(Instance& instance, std::string& json);
}
namespace patch {
Status key(Instance& instance, std::string& json);
}
namespace patch_queue {
Status key(Instance& instance, std::string& json);
}
namespace pip {
Status key(Instance& instance, std::string& json);
}
namespace pypi {
Status key(Instance& instance, std::string& json);
Status key_without_version(Instance& instance, std::string& json);
}  // namespace pypi
namespace remote {
Status key(Instance& instance, std::string& json);
}
namespace tar {
Status key(Instance& instance, std::string& json);
}
namespace zip {
Status key(Instance& instance, std::string& json);
}

}  // namespace sluice::sources
