#include "renderer/page/page.h"

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/sha256.h"
#include "page_files.h"
#include "renderer/page/digest.h"

namespace sluice::renderer {

namespace {

// What a Content-Security-Policy names a text by.
std::string policy_hash(std::string_view text) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string hex = sha256_hex(text);
  const auto nibble = [&](std::size_t i) -> std::uint32_t {
    if (i >= hex.size()) return 0;
    return static_cast<std::uint32_t>(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
  };
  // Three hexadecimal digits are two of base64: 64 digits make 42 and two bits more.
  std::string out = "'sha256-";
  for (std::size_t i = 0; i < hex.size(); i += 3) {
    const std::uint32_t bits = nibble(i) << 8 | nibble(i + 1) << 4 | nibble(i + 2);
    out += kDigits[bits >> 6];
    if (i + 1 < hex.size()) out += kDigits[bits & 63];
  }
  return out + "='";
}

using Values = std::vector<std::pair<std::string_view, std::string_view>>;

// The page with each "@name@" that is among `values` replaced; what is put in isn't looked at
// again.
std::string fill(std::string_view text, const Values& values) {
  std::string out;
  while (!text.empty()) {
    const std::size_t begin = text.find('@');
    const std::size_t end = begin == text.npos ? text.npos : text.find('@', begin + 1);
    out += text.substr(0, begin);
    if (end == text.npos) {
      if (begin != text.npos) out += text.substr(begin);
      break;
    }
    const std::string_view name = text.substr(begin + 1, end - begin - 1);
    for (const auto& [key, value] : values) {
      if (key == name) out += value;
    }
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

std::string page_script() {
  std::string out;
  for (const std::string_view part :
       {kModelScript, kDomScript, kTimelineScript, kViewScript, kWebScript, kBootScript}) {
    out += part;
  }
  return out;
}

std::string_view page_style() { return kPageStyle; }

std::string report_page(const ReportPage& report) {
  const std::string script = page_script();
  const std::string policy = fmt::format(
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src {}; "
      "style-src {}; img-src data:; base-uri 'none'; form-action 'none'\">",
      policy_hash(script), policy_hash(page_style()));
  return fill(kPage,
              {{"head", policy},
               {"title", html_text(report.title)},
               {"style", fmt::format("<style>{}</style>", page_style())},
               {"static", report.without_script},
               {"data", fmt::format("<script type=\"application/json\" id=\"data\">{}</script>",
                                    script_safe(report.data))},
               {"script", fmt::format("<script>{}</script>", script)}});
}

std::string web_page() {
  return fill(kPage, {{"head", ""},
                      {"title", "Sluice"},
                      {"style", "<link rel=\"stylesheet\" href=\"/page.css\">"},
                      {"static",
                       "<noscript>This page needs JavaScript; `sluice report` makes one "
                       "that shows the main facts without.</noscript>"},
                      {"data", ""},
                      {"script", "<script src=\"/page.js\"></script>"}});
}

}  // namespace sluice::renderer
