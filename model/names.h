// Names of elements where their own can't stand: in the names of files and of artifacts.
#pragma once

#include <string>
#include <string_view>

namespace sluice::model {

// BuildStream's Element.normal_name: "core/hello.bst" is "core-hello". Log files and build scripts
// are named by it. `element` is the name in its project, or a junction's.
std::string normal_name(std::string_view element);

// "PROJECT/ELEMENT/KEY", an artifact's name. ELEMENT is the normal name, with '_' for each
// character that isn't an ASCII letter or digit, '-', '.' or '_'.
std::string artifact_ref(std::string_view project, std::string_view element, std::string_view key);

}  // namespace sluice::model
