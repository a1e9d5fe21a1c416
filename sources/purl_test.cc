#include "sources/purl.h"

#include <catch2/catch.hpp>

namespace sluice::sources {

namespace {

std::string of_file(const std::string& url, const std::string& guess) {
  return package_url_of({url, "remote-file", "sha256", std::string(64, 'a'), guess, {}}, url);
}

}  // namespace

TEST_CASE("package URLs escape what has a meaning in them") {
  CHECK(package_url("pypi", "", "a b", "1.0+x") == "pkg:pypi/a%20b@1.0%2Bx");
  CHECK(package_url("golang", "example.org/@x", "y", "v1") == "pkg:golang/example.org/%40x/y@v1");
  CHECK(package_url("generic", "", "a", "", {{"a", ""}, {"b", "c?d&e"}}) ==
        "pkg:generic/a?b=c%3Fd%26e");
  CHECK(package_url("generic", "", "", "1").empty());
  CHECK(python_package_url("Zope_Interface", "5") == "pkg:pypi/zope-interface@5");
}

TEST_CASE("the name of an archive says what it is of where that is exact") {
  using Parts = std::pair<std::string, std::string>;
  CHECK(name_and_version("YAML-Tiny-1.76.tar.gz") == Parts("YAML-Tiny", "1.76"));
  CHECK(name_and_version("pytz-2026.3.post1-py3-none-any.whl") == Parts("pytz", "2026.3.post1"));
  CHECK(name_and_version("no_version.tar.gz") == Parts());
  CHECK(name_and_version("a-1.exe") == Parts());
}

TEST_CASE("a downloaded file is a generic package with its checksum") {
  const std::string sum(64, 'a');
  CHECK(of_file("https://h/zlib-1.3.tar.gz", "1.3") ==
        "pkg:generic/zlib@1.3?checksum=sha256:" + sum + "&download_url=https://h/zlib-1.3.tar.gz");
  CHECK(of_file("https://h/x/v1.3.zip", "1.3") ==
        "pkg:generic/v1.3.zip@1.3?checksum=sha256:" + sum + "&download_url=https://h/x/v1.3.zip");
  CHECK(of_file("https://h/tool_v2.0.0.tgz?raw=1", "2.0.0") ==
        "pkg:generic/tool@2.0.0?checksum=sha256:" + sum +
            "&download_url=https://h/tool_v2.0.0.tgz%3Fraw%3D1");
  CHECK(of_file("relative/file.tar", "").empty());
  CHECK(package_url_of({"f", "local", "sha256", sum, "", {}}, "files/f").empty());
}

TEST_CASE("a commit is a package of its forge, or says where its repository is") {
  const std::string commit(40, 'c');
  const auto of = [&](const std::string& url) {
    return package_url_of({url, "git", "commit", commit, "1.2", {}}, url);
  };
  CHECK(of("https://github.com/Owner/Name.git") == "pkg:github/owner/name@" + commit);
  CHECK(of("https://git.example.org/a/b.git") ==
        "pkg:generic/b@1.2?vcs_url=git%2Bhttps://git.example.org/a/b.git%40" + commit);
  CHECK(commit_location("git@host:a/b.git", "1") == "git+ssh://git@host/a/b.git@1");
  CHECK(commit_location("git://host/a", "") == "git://host/a");
  CHECK(commit_location("/srv/repo", "1").empty());
  CHECK(commit_location("../repo", "1").empty());
  CHECK(last_part("https://host/a/b.git/") == "b");
}

}  // namespace sluice::sources
