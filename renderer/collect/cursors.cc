#include "renderer/collect/cursors.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <sys/file.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "base/try.h"
#include "wire/session.h"

namespace sluice::collect {

namespace {

constexpr std::string_view kHead = "sluice-collect 1";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find_first_of(" \n"), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(line.size(), end + 1));
  }
  return words;
}

}  // namespace

Result<Cursors> Cursors::open(const std::string& file) {
  Cursors cursors;
  cursors.file_ = file;
  if (file.empty()) return cursors;
  // The file itself is replaced, so something beside it is locked.
  const std::string lock = file + ".lock";
  cursors.lock_.reset(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!cursors.lock_) return fail_errno(errno, lock);
  if (::flock(cursors.lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail("collect", "in-use", fmt::format("Another collector keeps its place in {}", file));
  if (path_exists(file)) CHECK(cursors.read(TRY(read_file(file))));
  return cursors;
}

Status Cursors::read(const std::string& text) {
  std::uint32_t number = 0;
  for (const std::string_view line : split_lines(text)) {
    const auto words = words_of(line);
    const auto wrong = [&](const char* what) {
      return fail("collect", "bad-cursors", what, {file_, number, 0});
    };
    if (++number == 1) {
      if (line != fmt::format("{}\n", kHead)) return wrong("This is no file of sluice-collect's");
      continue;
    }
    if (words.size() == 2 && words[0] == "since" && wire::is_session_id(words[1])) {
      since_ = words[1];
      continue;
    }
    Place place;
    place.end = words.size() == 3 && words[2] == "end";
    if (words.size() < 2 || words.size() > 3 || (words.size() == 3 && !place.end) ||
        !wire::is_session_id(words[0]))
      return wrong("This line isn't 'ID CURSOR [end]'");
    const auto [end, error] =
        std::from_chars(words[1].data(), words[1].data() + words[1].size(), place.next);
    if (error != std::errc() || end != words[1].data() + words[1].size() || place.next == 0)
      return wrong("This is no cursor");
    places_[std::string(words[0])] = place;
  }
  return {};
}

std::optional<std::uint64_t> Cursors::next(const std::string& session) const {
  const auto found = places_.find(session);
  if (found == places_.end()) return std::nullopt;
  return found->second.end ? 0 : found->second.next;
}

std::vector<std::string> Cursors::unfinished() const {
  std::vector<std::string> ids;
  for (const auto& [id, place] : places_) {
    if (!place.end) ids.push_back(id);
  }
  return ids;
}

void Cursors::begin(const std::string& session, std::uint64_t next) {
  changed_ = places_.try_emplace(session, Place{next, false}).second || changed_;
}

void Cursors::set(const std::string& session, std::uint64_t next) {
  Place& place = places_[session];
  if (next <= place.next) return;
  place.next = next;
  changed_ = true;
}

void Cursors::set_end(const std::string& session) {
  changed_ = !std::exchange(places_[session].end, true) || changed_;
}

void Cursors::set_since(const std::string& session) {
  if (session <= since_) return;
  since_ = session;
  changed_ = true;
}

Status Cursors::save() {
  if (!std::exchange(changed_, false) || file_.empty()) return {};
  const auto kept = wire::list_session_ids();
  std::erase_if(places_, [&](const auto& one) {
    return std::find(kept.begin(), kept.end(), one.first) == kept.end();
  });
  std::string text = fmt::format("{}\n", kHead);
  if (!since_.empty()) text += fmt::format("since {}\n", since_);
  for (const auto& [id, place] : places_)
    text += fmt::format("{} {}{}\n", id, place.next, place.end ? " end" : "");
  return write_file_atomic(file_, text, 0600);
}

}  // namespace sluice::collect
