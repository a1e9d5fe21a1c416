#include "scheduler/durations_store.h"

#include <memory>

#include <unistd.h>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/try.h"

namespace sluice::scheduler {

namespace {

constexpr int kVersion = 1;
constexpr int kBusyMs = 5000;
constexpr std::int64_t kYear = std::int64_t{365} * 24 * 3600;

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

tl::unexpected<Error> failed(sqlite3* database, const std::string& file) {
  const int code = database != nullptr ? sqlite3_errcode(database) : SQLITE_NOMEM;
  const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
  return fail(
      "durations", damaged ? "damaged" : "sqlite",
      fmt::format("{}: {}", file, database != nullptr ? sqlite3_errmsg(database) : "no memory"));
}

Result<Statement> prepare(sqlite3* database, const std::string& file, const char* text) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database, text, -1, &raw, nullptr) != SQLITE_OK)
    return failed(database, file);
  return Statement(raw);
}

Status run(sqlite3* database, const std::string& file, const char* text) {
  if (sqlite3_exec(database, text, nullptr, nullptr, nullptr) != SQLITE_OK)
    return failed(database, file);
  return {};
}

Result<Database> open(const std::string& file, int flags) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(file.c_str(), &raw, flags, nullptr);
  Database database(raw);
  if (opened != SQLITE_OK) return failed(raw, file);
  sqlite3_busy_timeout(raw, kBusyMs);
  return database;
}

Result<int> version(sqlite3* database, const std::string& file) {
  auto statement = TRY(prepare(database, file, "PRAGMA user_version"));
  if (sqlite3_step(statement.get()) != SQLITE_ROW) return failed(database, file);
  return sqlite3_column_int(statement.get(), 0);
}

void bind_text(sqlite3_stmt* statement, int at, std::string_view text) {
  sqlite3_bind_text(statement, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

std::string column(sqlite3_stmt* statement, int at) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, at));
  return text == nullptr
             ? std::string()
             : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, at)));
}

Status write_once(const std::string& file, const std::vector<JobDuration>& jobs) {
  auto database = TRY(open(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  sqlite3* db = database.get();
  // What a power failure takes is the last run's durations.
  if (auto done = run(db, file, "PRAGMA synchronous = OFF; BEGIN IMMEDIATE"); !done) return done;
  auto found = TRY(version(db, file));
  if (found != 0 && found != kVersion)
    return fail("durations", "damaged", fmt::format("{}: of version {}", file, found));
  if (auto done = run(db, file,
                      "CREATE TABLE IF NOT EXISTS durations (project TEXT NOT NULL, element TEXT "
                      "NOT NULL, action TEXT NOT NULL,"
                      " time INTEGER NOT NULL, written INTEGER NOT NULL, PRIMARY KEY (project, "
                      "element, action)) WITHOUT ROWID;"
                      "PRAGMA user_version = 1");
      !done) {
    return done;
  }
  const std::int64_t now = system_clock().wall_ns() / 1'000'000'000;
  auto insert = TRY(prepare(db, file, "INSERT OR REPLACE INTO durations VALUES (?, ?, ?, ?, ?)"));
  for (const JobDuration& job : jobs) {
    bind_text(insert.get(), 1, job.project);
    bind_text(insert.get(), 2, job.element);
    bind_text(insert.get(), 3, text_of(job.action));
    sqlite3_bind_int64(insert.get(), 4, job.time);
    sqlite3_bind_int64(insert.get(), 5, now);
    if (sqlite3_step(insert.get()) != SQLITE_DONE) return failed(db, file);
    sqlite3_reset(insert.get());
  }
  auto old = TRY(prepare(db, file, "DELETE FROM durations WHERE written < ?"));
  sqlite3_bind_int64(old.get(), 1, now - kYear);
  if (sqlite3_step(old.get()) != SQLITE_DONE) return failed(db, file);
  old.reset();
  insert.reset();
  return run(db, file, "COMMIT");
}

}  // namespace

Result<std::vector<JobDuration>> read_durations(const std::string& file,
                                                const std::vector<std::string>& projects) {
  std::vector<JobDuration> out;
  if (!path_exists(file)) return out;
  auto database = TRY(open(file, SQLITE_OPEN_READONLY));
  sqlite3* db = database.get();
  auto found = TRY(version(db, file));
  if (found != kVersion) return out;
  auto select =
      TRY(prepare(db, file, "SELECT element, action, time FROM durations WHERE project = ?"));
  for (const std::string& project : projects) {
    bind_text(select.get(), 1, project);
    int step = 0;
    while ((step = sqlite3_step(select.get())) == SQLITE_ROW) {
      // Another version of Sluice may write of other actions.
      const auto action = model::named<model::Action>(column(select.get(), 1));
      if (!action) continue;
      JobDuration job;
      job.project = project;
      job.element = column(select.get(), 0);
      job.action = *action;
      job.time = sqlite3_column_int64(select.get(), 2);
      out.push_back(std::move(job));
    }
    if (step != SQLITE_DONE) return failed(db, file);
    sqlite3_reset(select.get());
  }
  return out;
}

Status write_durations(const std::string& file, const std::vector<JobDuration>& jobs) {
  CHECK(make_directories(file.substr(0, file.rfind('/'))));
  auto written = write_once(file, jobs);
  if (written || written.error().reason != "damaged") return written;
  // SQLite's journal belongs to the file that was there.
  ::unlink((file + "-journal").c_str());
  if (::unlink(file.c_str()) != 0) return fail_errno(errno, file);
  return write_once(file, jobs);
}

}  // namespace sluice::scheduler
