#include "loader/python/python_packages.h"

#include <algorithm>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/paths.h"
#include "loader/python/python_version.h"
#include "loader/yaml.h"

namespace sluice::loader {

namespace {

template <typename Function>
void each_line(std::string_view text, Function&& function) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (!function(strip(text.substr(0, end)))) return;
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> split_path(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    if (colon != 0) parts.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  return parts;
}

// Whether a file is called like "python3.11".
bool is_versioned(std::string_view name) {
  if (!name.starts_with("python3.") || name.size() == 8) return false;
  return std::all_of(name.begin() + 8, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool PythonPackages::is_file(const std::string& path) {
  return S_ISREG(lookups_.resolve(path).type);
}

std::string_view PythonPackages::text(const std::string& path) {
  auto read = lookups_.read(arena_, path);
  return read ? *read : std::string_view();
}

void PythonPackages::add_prefix(const std::string& prefix, const std::vector<std::string>& versions,
                                bool system) {
  const auto add = [&](std::string path) {
    if (lookups_.exists(path)) sites_->push_back(std::move(path));
  };
  if (system) {
    for (const std::string& version : versions)
      add(fmt::format("{}/local/lib/{}/dist-packages", prefix, version));
    add(prefix + "/lib/python3/dist-packages");
  }
  for (const std::string& version : versions) {
    if (system) add(fmt::format("{}/lib/{}/dist-packages", prefix, version));
    for (std::string_view lib : {"lib", "lib64"})
      add(fmt::format("{}/{}/{}/site-packages", prefix, lib, version));
  }
}

const std::vector<std::string>& PythonPackages::sites() {
  if (sites_) return *sites_;
  sites_.emplace();
  for (std::string& path : split_path(lookups_.environment("PYTHONPATH").value_or("")))
    sites_->push_back(std::move(path));
  for (const std::string& directory : split_path(lookups_.environment("PATH").value_or(""))) {
    const auto resolved = lookups_.resolve(directory + "/python3");
    if (!S_ISREG(resolved.type)) continue;
    const std::string own_prefix = parent(directory);
    std::string system_prefix = parent(parent(resolved.path));
    const std::string real_name = resolved.path.substr(resolved.path.rfind('/') + 1);
    std::vector<std::string> versions;
    if (is_versioned(real_name)) versions.push_back(real_name);
    const bool is_virtual = lookups_.exists(own_prefix + "/pyvenv.cfg");
    if (versions.empty()) {
      for (const Lookups::Entry& entry :
           lookups_.list((is_virtual ? own_prefix : system_prefix) + "/lib")) {
        if (entry.is_directory && is_versioned(entry.name)) versions.push_back(entry.name);
      }
      std::sort(versions.rbegin(), versions.rend());
    }
    bool system = true;
    if (is_virtual) {
      add_prefix(own_prefix, versions, false);
      system = false;
      each_line(text(own_prefix + "/pyvenv.cfg"), [&](std::string_view line) {
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) return true;
        const std::string_view key = strip(line.substr(0, equals));
        const std::string_view value = strip(line.substr(equals + 1));
        if (key == "home") system_prefix = parent(value);
        if (key == "include-system-site-packages") system = value == "true";
        return true;
      });
    }
    if (system) {
      if (const auto home = lookups_.environment("HOME"); home && !home->empty()) {
        for (const std::string& version : versions) {
          std::string path = fmt::format("{}/.local/lib/{}/site-packages", *home, version);
          if (lookups_.exists(path)) sites_->push_back(std::move(path));
        }
      }
      add_prefix(system_prefix, versions, true);
    }
    break;
  }
  return *sites_;
}

std::optional<PythonPackage> PythonPackages::find(std::string_view name) {
  const std::string wanted = normal_package_name(name);
  for (const std::string& site : sites()) {
    for (const Lookups::Entry& entry : lookups_.list(site)) {
      const std::string_view file = entry.name;
      const bool dist = file.ends_with(".dist-info");
      if (!dist && !file.ends_with(".egg-info")) continue;
      const std::string_view stem =
          file.substr(0, file.size() - std::string_view(dist ? ".dist-info" : ".egg-info").size());
      if (normal_package_name(stem.substr(0, stem.find('-'))) != wanted) continue;
      PythonPackage package;
      package.site = site;
      package.info = fmt::format("{}/{}", site, file);
      const std::string metadata = dist                 ? package.info + "/METADATA"
                                   : entry.is_directory ? package.info + "/PKG-INFO"
                                                        : package.info;
      each_line(text(metadata), [&](std::string_view line) {
        if (line.empty()) return false;  // the description of the package follows
        if (line.starts_with("Name:")) package.name = strip(line.substr(5));
        if (line.starts_with("Version:")) package.version = strip(line.substr(8));
        return true;
      });
      if (package.name.empty()) continue;
      return package;
    }
  }
  return std::nullopt;
}

Result<std::optional<std::string>> PythonPackages::entry_point(const PythonPackage& package,
                                                               std::string_view group,
                                                               std::string_view name) {
  std::string module;
  bool in_group = false;
  each_line(text(package.info + "/entry_points.txt"), [&](std::string_view line) {
    if (line.starts_with("[")) {
      in_group = line == fmt::format("[{}]", group);
    } else if (const std::size_t equals = line.find('=');
               in_group && equals != std::string_view::npos) {
      if (strip(line.substr(0, equals)) != name) return true;
      std::string_view value = strip(line.substr(equals + 1));
      value = strip(value.substr(0, value.find('[')));
      module = strip(value.substr(0, value.find(':')));
    }
    return true;
  });
  if (module.empty()) return std::optional<std::string>();
  std::string relative = module;
  std::replace(relative.begin(), relative.end(), '.', '/');
  std::vector<std::string> places = {package.site};
  places.insert(places.end(), sites().begin(), sites().end());
  for (const std::string& site : places) {
    for (std::string_view ending : {".py", "/__init__.py"}) {
      std::string path = fmt::format("{}/{}{}", site, relative, ending);
      if (is_file(path)) return std::optional(std::move(path));
    }
  }
  return fail(
      "plugin", "plugin-not-found",
      fmt::format(
          "Python package '{}' {} at {} names a module '{}' for plugin '{}' that isn't there",
          package.name, package.version, package.site, module, name));
}

}  // namespace sluice::loader
