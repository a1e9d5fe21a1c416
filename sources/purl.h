// Package URLs, by which other tools know packages (github.com/package-url/purl-spec).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sources/info.h"

namespace sluice::sources {

// "pkg:TYPE/SPACE/NAME@VERSION?KEY=VALUE", escaped. `space`, which may have several parts with '/'
// between them, and `version` may be "". Qualifiers in the order of their keys; those without a
// value are left out. "" without a name.
std::string package_url(
    std::string_view type, std::string_view space, std::string_view name, std::string_view version,
    const std::vector<std::pair<std::string_view, std::string>>& qualifiers = {});

// The two parts of an archive's name where that is exact: {"YAML-Tiny", "1.76"} of
// "YAML-Tiny-1.76.tar.gz", {"pytz", "2026.3.post1"} of "pytz-2026.3.post1-py3-none-any.whl". Both
// are "" for what has another form.
std::pair<std::string, std::string> name_and_version(std::string_view file);

// Of a package of Python, whose name is the same with '-', '_' and '.', large and small.
std::string python_package_url(std::string_view name, std::string_view version);

// A name of a source whose kind knows none, of what its URL says: the repository of a commit, or
// the file that is downloaded as a `generic` package with its checksum. "" where no other tool
// could do something with it. `url` is the info's, without alias and credentials.
std::string package_url_of(const Info& info, const std::string& url);

// The last part of a URL's path: "zlib-1.3.1.tar.gz"; of a repository without ".git".
std::string last_part(std::string_view url);

// Where a commit is fetched from as SPDX writes it: "git+https://host/path@COMMIT". "" for what
// isn't a URL of another machine or a file's.
std::string commit_location(std::string_view url, std::string_view commit);

}  // namespace sluice::sources
