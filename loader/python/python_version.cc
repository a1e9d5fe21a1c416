#include "loader/python/python_version.h"

#include <algorithm>
#include <tuple>

namespace sluice::loader {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Takes pieces from the front of a version.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  bool take_separator() { return take(".") || take("-") || take("_"); }

  std::optional<std::int64_t> number() {
    std::size_t length = 0;
    while (length < rest_.size() && is_digit(rest_[length])) ++length;
    if (length == 0 || length > 18) return std::nullopt;
    std::int64_t value = 0;
    for (std::size_t i = 0; i < length; ++i) value = value * 10 + (rest_[i] - '0');
    rest_.remove_prefix(length);
    return value;
  }

 private:
  std::string_view rest_;
};

// The release without zeros at its end, which say nothing.
std::vector<std::int64_t> stripped(std::vector<std::int64_t> release) {
  while (!release.empty() && release.back() == 0) release.pop_back();
  return release;
}

// The order of pre-releases, where a bare "dev" comes first and none at all last.
std::tuple<int, std::int64_t> pre_order(const PythonVersion& version) {
  if (version.pre_kind != 0) return {version.pre_kind, version.pre};
  return {version.dev && !version.post ? 0 : 4, 0};
}

bool same_base(const PythonVersion& a, const PythonVersion& b) {
  return a.epoch == b.epoch && stripped(a.release) == stripped(b.release);
}

bool has_prefix(const PythonVersion& version, const PythonVersion& prefix, std::size_t length) {
  if (version.epoch != prefix.epoch) return false;
  for (std::size_t i = 0; i < length; ++i) {
    if ((i < version.release.size() ? version.release[i] : 0) != prefix.release[i]) return false;
  }
  return true;
}

bool fits(const PythonRequirement::Specifier& specifier, std::string_view text) {
  if (specifier.op == "===") return lower(specifier.version) == lower(trim(text));
  const auto version = parse_python_version(text);
  const auto wanted = parse_python_version(specifier.version);
  if (!version || !wanted) return false;
  const int order = compare(*version, *wanted);
  const bool equal = specifier.wildcard
                         ? has_prefix(*version, *wanted, wanted->release.size())
                         : order == 0 && (wanted->local.empty() || wanted->local == version->local);
  if (specifier.op == "==") return equal;
  if (specifier.op == "!=") return !equal;
  if (specifier.op == ">=") return order >= 0;
  if (specifier.op == "<=") return order <= 0;
  if (specifier.op == "~=")
    return order >= 0 && has_prefix(*version, *wanted, wanted->release.size() - 1);
  if (specifier.op == "<") {
    return order < 0 &&
           (wanted->is_prerelease() || !version->is_prerelease() || !same_base(*version, *wanted));
  }
  return order > 0 &&
         (wanted->post.has_value() || !version->post.has_value() ||
          !same_base(*version, *wanted)) &&
         (version->local.empty() || !same_base(*version, *wanted));
}

}  // namespace

std::optional<PythonVersion> parse_python_version(std::string_view text) {
  const std::string lowered = lower(trim(text));
  Scanner scan(lowered);
  scan.take("v");
  PythonVersion version;
  auto number = scan.number();
  if (!number) return std::nullopt;
  if (scan.take("!")) {
    version.epoch = *number;
    number = scan.number();
    if (!number) return std::nullopt;
  }
  version.release.push_back(*number);
  while (scan.rest().size() > 1 && scan.rest()[0] == '.' && is_digit(scan.rest()[1])) {
    scan.take(".");
    number = scan.number();
    if (!number) return std::nullopt;
    version.release.push_back(*number);
  }
  const auto attempt = [&](auto&& piece) {
    const Scanner before = scan;
    if (!piece()) scan = before;
  };
  attempt([&] {
    scan.take_separator();
    static constexpr std::pair<std::string_view, int> kWords[] = {
        {"alpha", 1}, {"beta", 2}, {"preview", 3}, {"pre", 3},
        {"rc", 3},    {"a", 1},    {"b", 2},       {"c", 3}};
    for (const auto& [word, kind] : kWords) {
      if (!scan.take(word)) continue;
      version.pre_kind = kind;
      const Scanner here = scan;
      scan.take_separator();
      const auto value = scan.number();
      if (!value) scan = here;
      version.pre = value.value_or(0);
      return true;
    }
    return false;
  });
  attempt([&] {
    if (scan.rest().size() > 1 && scan.rest()[0] == '-' && is_digit(scan.rest()[1])) {
      scan.take("-");
      version.post = scan.number();
      return version.post.has_value();
    }
    scan.take_separator();
    if (!scan.take("post") && !scan.take("rev") && !scan.take("r")) return false;
    const Scanner here = scan;
    scan.take_separator();
    const auto value = scan.number();
    if (!value) scan = here;
    version.post = value.value_or(0);
    return true;
  });
  attempt([&] {
    scan.take_separator();
    if (!scan.take("dev")) return false;
    const Scanner here = scan;
    scan.take_separator();
    const auto value = scan.number();
    if (!value) scan = here;
    version.dev = value.value_or(0);
    return true;
  });
  if (scan.take("+")) {
    version.local = scan.rest();
    const auto good = [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; };
    if (version.local.empty() || !std::all_of(version.local.begin(), version.local.end(), good))
      return std::nullopt;
    if (!is_alnum(version.local.front()) || !is_alnum(version.local.back())) return std::nullopt;
    std::replace_if(
        version.local.begin(), version.local.end(), [](char c) { return !is_alnum(c); }, '.');
    return version;
  }
  if (!scan.done()) return std::nullopt;
  return version;
}

int compare(const PythonVersion& a, const PythonVersion& b) {
  // A release without "post" comes before its posts; without "dev" after its devs.
  const auto order = [](const PythonVersion& version) {
    return std::make_tuple(version.epoch, stripped(version.release), pre_order(version),
                           version.post.value_or(-1), version.dev.value_or(INT64_MAX));
  };
  const auto left = order(a);
  const auto right = order(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

bool PythonRequirement::contains(std::string_view version) const {
  return std::all_of(specifiers.begin(), specifiers.end(),
                     [&](const Specifier& specifier) { return fits(specifier, version); });
}

std::optional<PythonRequirement> parse_python_requirement(std::string_view text) {
  PythonRequirement requirement;
  std::string_view rest = trim(text);
  std::size_t length = 0;
  const auto in_name = [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; };
  while (length < rest.size() && in_name(rest[length])) ++length;
  requirement.name = rest.substr(0, length);
  if (length == 0 || !is_alnum(requirement.name.front()) || !is_alnum(requirement.name.back()))
    return std::nullopt;
  rest = trim(rest.substr(length));
  if (rest.starts_with("[")) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    rest = trim(rest.substr(close + 1));
  }
  if (rest.starts_with("@"))
    return trim(rest.substr(1)).empty() ? std::nullopt : std::optional(requirement);
  if (const std::size_t marker = rest.find(';'); marker != std::string_view::npos) {
    if (trim(rest.substr(marker + 1)).empty()) return std::nullopt;
    rest = trim(rest.substr(0, marker));
  }
  if (rest.starts_with("(")) {
    if (!rest.ends_with(")")) return std::nullopt;
    rest = trim(rest.substr(1, rest.size() - 2));
  }
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    std::string_view item = trim(rest.substr(0, comma));
    PythonRequirement::Specifier specifier;
    for (std::string_view op : {"===", "~=", "==", "!=", "<=", ">=", "<", ">"}) {
      if (!item.starts_with(op)) continue;
      specifier.op = op;
      item = trim(item.substr(op.size()));
      break;
    }
    if (specifier.op.empty() || item.empty()) return std::nullopt;
    if (item.ends_with(".*")) {
      if (specifier.op != "==" && specifier.op != "!=") return std::nullopt;
      specifier.wildcard = true;
      item.remove_suffix(2);
    }
    const auto version = parse_python_version(item);
    if (specifier.op != "===" && !version) return std::nullopt;
    if (specifier.op == "~=" && version->release.size() < 2) return std::nullopt;
    specifier.version = item;
    requirement.specifiers.push_back(std::move(specifier));
    if (comma == std::string_view::npos) break;
    rest = rest.substr(comma + 1);
    // A comma may end the list.
    if (trim(rest).empty()) break;
  }
  return requirement;
}

std::string normal_package_name(std::string_view name) {
  std::string result;
  for (const char c : lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (separator && !result.empty() && result.back() == '-') continue;
    result += separator ? '-' : c;
  }
  return result;
}

}  // namespace sluice::loader
