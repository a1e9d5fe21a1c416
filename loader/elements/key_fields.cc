#include "loader/elements/key_fields.h"

#include "yaml/json.h"

namespace sluice::loader {

using yaml::json_string;
using yaml::json_strings;

void write_key(const KeyFields& fields, std::string& key) {
  key += '{';
  const char* separator = "";
  for (const auto& [name, json] : fields) {
    key += separator;
    json_string(key, name);
    key += ':';
    key += json;
    separator = ",";
  }
  key += '}';
}

std::string json_of(std::string_view text) {
  std::string json;
  json_string(json, text);
  return json;
}

std::string json_of(const char* text) { return json_of(std::string_view(text)); }

std::string json_of(const std::vector<std::string>& strings) {
  std::string json;
  json_strings(json, strings);
  return json;
}

std::string json_of(bool flag) { return flag ? "true" : "false"; }

std::string json_of(const Layout& layout) {
  KeyFields fields;
  for (const auto& [location, paths] : layout) fields[location] = json_of(paths);
  std::string json;
  write_key(fields, json);
  return json;
}

}  // namespace sluice::loader
