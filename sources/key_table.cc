// Table of the keys of all kinds of sources, a row for each, and of the Python that is known to
// make the same ones.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/source_kinds.h"
#include "sources/keys.h"

namespace sluice::sources {

namespace {

constexpr std::array kRows = {
    KeyRow{.kind = "bzr", .package = Package::kPlugins, .key = bzr::key},
    KeyRow{.kind = "cargo",
           .package = Package::kPlugins,
           .custom_provenance = true,
           .needs_previous = true,
           .key = cargo::key},
    KeyRow{.kind = "cargo2",
           .package = Package::kCommunity,
           .needs_previous = true,
           .key = cargo2::key},
    KeyRow{.kind = "cpan", .package = Package::kCommunity, .key = cpan::key},
    KeyRow{.kind = "docker", .package = Package::kPlugins, .key = docker::key},
    KeyRow{.kind = "git", .package = Package::kPlugins, .key = git::key},
    KeyRow{.kind = "git_module",
           .package = Package::kCommunity,
           .needs_previous = true,
           .key = git_module::key},
    KeyRow{.kind = "git_repo", .package = Package::kCommunity, .key = git_repo::key},
    KeyRow{.kind = "git_tag", .package = Package::kCommunity, .key = git_tag::key},
    KeyRow{.kind = "go_module",
           .package = Package::kCommunity,
           .needs_previous = true,
           .key = go_module::key},
    KeyRow{.kind = "local", .key = local::key},
    KeyRow{.kind = "patch", .package = Package::kPlugins, .key = patch::key},
    KeyRow{.kind = "patch_queue", .package = Package::kCommunity, .key = patch_queue::key},
    KeyRow{.kind = "pip", .package = Package::kPlugins, .needs_previous = true, .key = pip::key},
    KeyRow{.kind = "pypi", .package = Package::kCommunity, .key = pypi::key},
    KeyRow{.kind = "remote", .key = remote::key},
    KeyRow{.kind = "tar", .key = tar::key},
    KeyRow{.kind = "zip", .package = Package::kCommunity, .key = zip::key},
};

constexpr KeyRow row_of(std::string_view kind) {
  for (const KeyRow& row : kRows) {
    if (row.kind == kind) return row;
  }
  return {};
}

// Plugins whose configuration didn't tell of versions yet.
constexpr KeyRow kCpanWithoutVersion = {
    .kind = "cpan", .package = Package::kCommunity, .key = cpan::key_without_version};
constexpr KeyRow kPypiWithoutVersion = {
    .kind = "pypi", .package = Package::kCommunity, .key = pypi::key_without_version};
constexpr KeyRow kGitRepoWithoutVersion = {
    .kind = "git_repo", .package = Package::kCommunity, .key = git_repo::key_without_version};
constexpr KeyRow cargo2_row(decltype(KeyRow::key) key) {
  KeyRow row = row_of("cargo2");
  row.key = key;
  return row;
}

constexpr KeyRow kGoModuleBefore22 = {.kind = "go_module",
                                      .package = Package::kCommunity,
                                      .needs_previous = true,
                                      .key = go_module::key_before_2_2};

// Texts of get_unique_key() by their SHA-256. Earlier versions of bzr, docker and git take less,
// and make the same keys of it. Of Apache's package those of all releases are here, but for cargo
// before 2.2, whose key has the URL that the alias stands for.
struct KnownKey {
  std::string_view fingerprint;
  KeyRow row;
};
constexpr KnownKey kKnownKeys[] = {
    {"1715ed51d7b20c410d1ae00bacb7d3453c22420b0e5c6d29d0ec121b935fdfc1", row_of("bzr")},
    {"b76aeecdb9ffdabccd0b5d2417fe221488c701038c2269c70f1ff5cd9a380f3f", row_of("bzr")},
    {"a21fcd555c5baecffc8f65f5aeffafb47af6f4d6c944a4d9afbbc3eab7f6adfe", row_of("cargo")},
    {"74ffb740e7a7632505d8a02a07cef5eb41822a5cd2d913f6b4d11228c51e1fbe", row_of("cargo2")},
    {"504d73732021935b960e4b467eb947806f0524cb8096ea2ec103bab86185e8f8",
     cargo2_row(cargo2::key_of_2024)},
    {"a21fcd555c5baecffc8f65f5aeffafb47af6f4d6c944a4d9afbbc3eab7f6adfe",
     cargo2_row(cargo2::key_without_letter)},
    {"1dba1ac2c2cb4c073b848d318dcc2f42119489eb5f2c6c1708d4afce172b4e9e", row_of("docker")},
    {"880bc42757db55cb86078832b1014d3a954f5c376087d1c17728ca338fc096f1", row_of("docker")},
    {"7474563e2d36a81166cf3d222bb7d092a5f82d51bd697396ce6f13d278af131a", row_of("docker")},
    {"9a00fe3ec110111a5b6b909c4dd9c8394fdb88f2008aa9adc91c7c777413b107", row_of("git")},
    {"53ccdf620ec532dbbe31b30bebb951ab9dba62cc16016d55eb8c4dffa89fa96d", row_of("git")},
    {"67e679e1a7df2fd746744569720e7103a0b5f98d10319fcb017dfbe0f50f4e2f", row_of("patch")},
    {"9618f37ff3bf3079284438af599b7ce821699524c483f16695b6c5b927c37fe5", row_of("patch")},
    {"0439f87e53cc68f5f151ac5025043cc26ef2e824f14963edd7a9744437abe15b", row_of("pip")},
    {"eed2d19141466795698965fb67be62ab0a41e1578fa0367e4442edbdfd22d7a7", row_of("git_repo")},
    {"f63669aec291e2613761d2f93e5930c09e09c4cf9a2c7e9bbfee8adb1469bdaf", kGitRepoWithoutVersion},
    {"325a213e8041292bfddd72eb02ba1ed34e16398a12a4d08c0ae1f7d8154db1b8", row_of("git_tag")},
    {"668cdd546fabba7529cb29e9337f04a81105d375f8a1e1ac5451174181638713", row_of("git_tag")},
    // What it adds to the key of the class that it has from git_tag.
    {"e20fc5ec8200ea06b4a5c2990227ee81e1aa0139f85c098bcf0fbdb95272f5d6", row_of("git_module")},
    {"3741127ba4295eeadf492785ef288970fc5c8b331b540e2f829164b9aaa266f5", row_of("go_module")},
    {"fbbef93cb37296365cfde9e652d793b3b12801c78e5293503ad7f13dca9fdb24", kGoModuleBefore22},
    {"253dc1b1bf395f5e52dc6b20e97eba03e4fdbeec06f895408f668e1c53da14a3", row_of("patch_queue")},
    {"b274a423d07eadb4bb8f46dec35c66bacf79fceaf0c177a44a33e82b0ae43ceb", row_of("pypi")},
    {"b274a423d07eadb4bb8f46dec35c66bacf79fceaf0c177a44a33e82b0ae43ceb", row_of("cpan")},
    {"050e2bf3efb210679eff081cf04db7167ffbacbd89aed60c9f0078d83bd12fb5", kCpanWithoutVersion},
    {"050e2bf3efb210679eff081cf04db7167ffbacbd89aed60c9f0078d83bd12fb5", kPypiWithoutVersion},
    {"9fdc60e96948bea0ee3d0da2d359b91cd8f289b029f6d68ceb878fc4a4acf5fa", row_of("zip")},
};

// Texts of whole plugins, with the modules beside them that they import, that track, fetch and
// stage as the kind here does.
struct KnownWork {
  std::string_view kind, way, fingerprint;
};
constexpr KnownWork kKnownWork[] = {
    // buildstream-plugins 2.7 and 2.8, 2.5, 2.3 and 2.4, 2.2.
    {"cargo", "", "51f538678bd91f9ddab941f627ef5f4fcd07bef844c69f6d15fbe1bab425d383"},
    {"cargo", "", "20adb30a8444043db1e807280726e0db209cbca083e6f809bd7d6cd8e33d4b9d"},
    {"cargo", "", "b154353af5ac2ca9be7d123fb450bd31807f170b82ef99a8c8facce0bb54a130"},
    {"cargo", "", "ecfc77e9057c7c247bc1b2ff153a3790c85e1fefad9f50d623125d0216a0ca73"},
    // buildstream-plugins 2.8; 2.7, which knows no OCI; 2.5, 2.4, 2.3, which fail where a layer
    // takes
    // away a directory or all that is in one.
    {"docker", "", "db82f0d883a3c0aa357e0ea3b030ab4e965a8916c44d6d8e6cb4fda15a2cf1ea"},
    {"docker", "", "1190a15f96c94e645eb6cf1e22e0f54e3b6a62902aa055e85dd8174b61f45175"},
    {"docker", "", "7913190752aba549af72b837dfd05e2934cb7dd8f1106ca477d2256dc2b97b63"},
    {"docker", "", "ce2117501fc880d348e56df6beed99c9177d7aadebfd23bd1b4f84ea640a99fb"},
    {"docker", "", "e878ce5b5c8b9ff58610da65cbbaca7569b010ebb33b4bc1cfd1f696d7436447"},
    // buildstream-plugins 2.5 to 2.8, 2.3 and 2.4; 2.0 to 2.2.
    {"git", "", "901e716825b558537afb1e9cd907a5f320f9e986450f915679f2e83a43b6100b"},
    {"git", "", "cef09949da9e8fb88469ac69c0eea05fd85ee8fbba70508c6da1292b7c4e528a"},
    {"git", "2.2", "be2e369e5deb8e598aa4433097f557a631b33424c2def8c2ddb164129d1d4908"},
    {"patch", "", "798fd2e4b9486e597a3de99eb70c8023b05bae2b959f0b289b89271bbbf07888"},
    {"patch", "", "bb37cd41ae817f86b790e9c3df92f4082f7e6bd2c03d47abc7141ba07d6012da"},
    // buildstream-plugins 2.5 to 2.8, 2.3 and 2.4, 2.0.1 to 2.2, 2.0.0, which look for fewer
    // Pythons.
    {"pip", "", "61c39c4a31aaf26c28c013ceec733af4e1c4df38fa75c9134df64e7dbe93a999"},
    {"pip", "", "b452787f333903d904f804ee10f294fe579ac58f4daf0feb51c90cca29d5ad1e"},
    {"pip", "", "8e45b3cae5941087d072067b1f571e61039f1d8605328ec900ee139490f27928"},
    {"pip", "", "e96c3d0fe702c1086ce423d59ab43c79fb762843f23ebd946f8fe19f9f953c01"},
    // buildstream-plugins-community 2.1 and later, and before.
    {"cpan", "", "47cd6f80b65e0fa9979cf86cfe5b8719d9d3123de0120935616c1d84a02eacf4"},
    {"cpan", "", "7f570640d21eabbcdb48b8b57b6398579b8d3274d167b16e80aac5c2c1e13ba0"},
    {"pypi", "", "5f723f71c577ed7c5001e7cb20871a9cc7504e18c5671e3a1152abd6d25a13e2"},
    {"pypi", "", "d160fc6a06f7da1be9fe085e9743c99bbb21c93011c501dc8b3b2b5ee578dd72"},
    // Its release 2.1.1.
    {"git_repo", "", "6f8bbc25dea414fce2c9bb046225e93e28544b6ee28e28fd957d48595a34fdcd"},
    {"go_module", "2.1", "bb3440b64744eaebda107d6ee04ad90050cc7a76bd8cc6c05c817cc4784e1cba"},
    // buildstream-plugins-community 2.4; of git_module and git_tag those before it.
    {"git_repo", "", "6ddcf7a64a75dc8a87567b6d0dd4650c5a450ca0129c43f4936d2afeac13c3ab"},
    {"git_module", "", "103b9436812091194599353f26739db8776eb95ba57c96f670078fd7f5f5f001"},
    {"git_tag", "", "8732168ffd84caadd6b906306df0b0b8c1ebf9d27a69ee5e60a18e4b7eac3903"},
    {"git_tag", "", "4ab7bddf7798aeecbf15c0ad5630522ab416f3957cbf1b908556a80feb34abc4"},
    {"patch_queue", "", "36ab45cc990a06e46cffa2592bf1f3c0f08f58da518ce1aaaa16212c12f78aea"},
    // A copy of it that projects have, which doesn't need git.
    {"patch_queue", "patch", "64c77256f024bc368dd1630e1317b180ee4b1af007ae06c3b6cc0cc6469de99e"},
    {"zip", "", "fa46bf1bfe6b9640d8fd03dad6dd018994d55c9df373842f873a2a6a271c3c44"},
};

bool is_in(const PluginText& plugin, std::string_view package) {
  return plugin.file.ends_with(fmt::format("/{}/sources/{}.py", package, plugin.kind));
}

// git_tag and git_module, where they make a key that is known, do the same in all versions of the
// community's package and of the one that was there before it.
bool is_clone_of_community(const PluginText& plugin) {
  return (plugin.kind == "git_tag" || plugin.kind == "git_module") &&
         (is_in(plugin, "buildstream_plugins_community") ||
          is_in(plugin, "bst_plugins_experimental"));
}

// cargo2 of its own package, whose key has a letter that changes whenever what it stages does.
bool says_how_it_works(const PluginText& plugin, const KeyRow& row) {
  return row.key == cargo2::key &&
         plugin.file.ends_with("/buildstream_plugins_community/sources/cargo2.py");
}

}  // namespace

PackageName package_name(Package package) {
  switch (package) {
    case Package::kCore: break;
    case Package::kPlugins: return {"buildstream-plugins", "2.8.0"};
    case Package::kCommunity: return {"buildstream-plugins-community", "2.4.0"};
  }
  return {};
}

std::span<const KeyRow> key_rows() { return kRows; }

const KeyRow* find_key(std::string_view kind) {
  const auto found =
      std::find_if(kRows.begin(), kRows.end(), [&](const KeyRow& row) { return row.kind == kind; });
  return found != kRows.end() ? &*found : nullptr;
}

// A plugin is known by its text alone, wherever it lies: in a package of another release it may
// make other keys.
KnownPlugin recognise(const PluginText& plugin) {
  KnownPlugin known;
  for (const KnownKey& key : kKnownKeys) {
    if (known.row == nullptr && key.row.kind == plugin.kind && key.fingerprint == plugin.key)
      known.row = &key.row;
  }
  known.work = known.row != nullptr &&
               (is_clone_of_community(plugin) || says_how_it_works(plugin, *known.row));
  for (const KnownWork& work : kKnownWork) {
    if (known.row == nullptr || work.kind != plugin.kind || work.fingerprint != plugin.whole)
      continue;
    known.work = true;
    known.way = work.way;
  }
  return known;
}

}  // namespace sluice::sources
