// The parts of a kind's unique key, as JSON under their names.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::loader {

// Values of keys are collected as JSON under their names, which sorts them.
using KeyFields = std::map<std::string, std::string, std::less<>>;

// Which dependency goes where in the sandbox: paths of dependencies by location.
using Layout = std::map<std::string, std::vector<std::string>, std::less<>>;

void write_key(const KeyFields& fields, std::string& key);
std::string json_of(std::string_view text);
std::string json_of(const char* text);
std::string json_of(const std::vector<std::string>& strings);
std::string json_of(bool flag);
std::string json_of(const Layout& layout);

}  // namespace sluice::loader
