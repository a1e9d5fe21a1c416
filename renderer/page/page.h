// The page that shows a session: one for the report, which has everything in its file, and for the
// web, which gets the same as it happens. Its parts are the files in this folder, which are in the
// program.
#pragma once

#include <string>
#include <string_view>

namespace sluice::renderer {

// All of the page's scripts, one behind the other, and its style.
std::string page_script();
std::string_view page_style();

struct ReportPage {
  std::string title;
  std::string without_script;  // HTML: the main facts, for who runs no scripts
  std::string data;            // JSON, as boot.js takes it
};
// A file that needs no other: by its Content-Security-Policy it can't even ask for one.
std::string report_page(const ReportPage& report);

// The page of `sluice web`: its script and style are /page.js and /page.css.
std::string web_page();
// The header Content-Security-Policy of what the web serves.
inline constexpr const char* kWebPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace sluice::renderer
