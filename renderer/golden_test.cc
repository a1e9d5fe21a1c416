// Recorded events, rendered and compared: with BuildStream's own logs, and with files that were
// approved (SLUICE_APPROVE=1 writes them).

#include "renderer/renderer.h"
#include "renderer/test_support.h"
#include "tests/support/test_directory.h"

namespace sluice::renderer {

namespace {

const std::string kGolden = SLUICE_SOURCE_DIR "/tests/golden/renderer/";
const std::string kBstLogs = SLUICE_SOURCE_DIR "/tests/golden/bst-log/";

// A directory that stands for WORK, with the job log that a failure shows.
class WorkDirectory {
 public:
  const std::string& path() const { return directory_.str(); }

  // Below lines of which the excerpt has none.
  void write_log(const std::string& tail, const std::string& at) {
    const auto text = read_file(tail);
    if (!text) return;
    std::string before;
    if (split_lines(*text).size() >= 20) before = "BuildStream 2.8.1\nline of the front\n\n";
    const std::string path = directory_.str() + at;
    REQUIRE(make_directories(path.substr(0, path.rfind('/'))));
    REQUIRE(write_file_atomic(path, before + *text));
  }

 private:
  TestDirectory directory_;
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

std::string plain(const std::vector<std::string>& events, LineSettings settings) {
  TestSink sink;
  FakeClock clock;
  auto lines = Lines::create(std::move(settings));
  REQUIRE(lines);
  const auto renderer = make_plain(sink, clock, std::move(*lines));
  for (const auto& event : events) renderer->record(event);
  REQUIRE(renderer->poll());
  CHECK(renderer->done());
  return sink.all();
}

// The command and the exit status that a golden log tells, and the empty lines at its end, which
// are of an error without a text.
std::string body_of_log(std::string text) {
  if (text.starts_with("$ ")) text.erase(0, text.find('\n') + 1);
  if (const auto status = text.find("\nexit status "); status != std::string::npos)
    text.resize(status);
  while (text.ends_with('\n')) text.pop_back();
  return text + "\n";
}

void compare_with_bst(const std::string& events, const std::string& log, const std::string& tail,
                      LineSettings settings) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  auto expected = read_file(log);
  REQUIRE(expected);
  WorkDirectory work;
  // The log file that the excerpt names.
  const auto at = expected->find("from log file:");
  if (at != std::string::npos) {
    const auto start = expected->find("WORK", at) + 4;
    work.write_log(tail, expected->substr(start, expected->find(".log", start) + 4 - start));
  }
  const std::string actual =
      replaced(plain(load_events(events, work.path()), std::move(settings)), work.path(), "WORK");
  CHECK(first_difference(replaced(body_of_log(actual), "Sluice Version " SLUICE_VERSION,
                                  "BuildStream Version 2.8.1"),
                         body_of_log(*expected)) == "");
}

}  // namespace

TEST_CASE("plain lines are BuildStream's, byte for byte") {
  const std::string name =
      GENERATE("1-build", "2-null", "3-fail-continue", "5-retry", "7-fetch", "9-deps-build");
  INFO(name);
  compare_with_bst(kGolden + name + ".events.jsonl", kBstLogs + name + ".txt",
                   kGolden + name + ".tail", {});
}

TEST_CASE("long details are cut, options are in the heading") {
  compare_with_bst(kGolden + "build.events.jsonl", kGolden + "build.bst.txt",
                   kGolden + "build.tail", {});
}

TEST_CASE("colours are BuildStream's escapes") {
  LineSettings settings;
  settings.colors = true;
  compare_with_bst(kGolden + "colors.events.jsonl", kGolden + "colors.bst.txt",
                   kGolden + "colors.tail", settings);
}

TEST_CASE("without verbose a failure only names its log") {
  LineSettings settings;
  settings.verbose = false;
  compare_with_bst(kGolden + "quiet.events.jsonl", kGolden + "quiet.bst.txt",
                   kGolden + "quiet.tail", settings);
}

TEST_CASE("no lines of details and logs leave no blank ones in their place") {
  LineSettings settings;
  settings.message_lines = 0;
  settings.error_lines = 0;
  const std::string shown = plain(load_events(kGolden + "steps.events.jsonl"), settings);
  CHECK(shown.find("\n    \n") == std::string::npos);
  CHECK(shown.find("\n\n\n") == std::string::npos);
  CHECK(shown.find("Message contains") == std::string::npos);
}

TEST_CASE("events that those logs lack, in each style") {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  const auto events = load_events(kGolden + "steps.events.jsonl");
  LineSettings settings;
  check_golden(kGolden + "steps.plain.txt", plain(events, settings));
  settings.colors = true;
  check_golden(kGolden + "steps.colors.txt", plain(events, settings));
  settings.colors = false;
  settings.verbose = false;
  settings.debug = true;
  settings.error_lines = 0;
  settings.message_lines = 1;
  settings.key_length = 4;
  settings.message_format =
      "%{wallclock-us} %{elapsed-us} %{key}|%{element}|%{action}|%%%{message}";
  settings.element_format = "%{name:.<28}%{kind: ^10}%{key} %{state}";
  check_golden(kGolden + "steps.formats.txt", plain(events, settings));

  TestSink sink;
  const auto renderer = make_json(sink);
  for (const auto& event : events) {
    renderer->record(event);
    REQUIRE(renderer->poll());
  }
  CHECK(sink.writes.size() == events.size());  // no line waits for another
  check_golden(kGolden + "steps.json.txt", sink.all());
  // It says what the record said, key for key.
  std::size_t index = 0;
  const std::string all = sink.all();
  for (const auto line : split_lines(all)) {
    const auto out = nlohmann::json::parse(line);
    const auto in = nlohmann::json::from_msgpack(events[index++]);
    for (const auto& [key, value] : in.items()) CHECK(out.at(key) == value);
    if (in.at("type") == "error") {
      CHECK(out.at("scope") == in.at("error").at("scope"));
      CHECK(out.at("reason") == in.at("error").at("reason"));
      if (in.at("error").contains("file"))
        CHECK(out.at("provenance") ==
              nlohmann::json({{"file", "elements/two.bst"}, {"line", 3}, {"column", 2}}));
    } else {
      CHECK(out.size() == in.size());
    }
  }
  CHECK(index == events.size());
}

}  // namespace sluice::renderer
