#include "base/log.h"

#include <cstdlib>
#include <memory>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace sluice {

void start_process_log(const std::string& program, const std::string& path) {
  std::shared_ptr<spdlog::logger> logger;
  try {
    if (!path.empty()) {
      logger = std::make_shared<spdlog::logger>(
          program, std::make_shared<spdlog::sinks::basic_file_sink_st>(path));
    }
  } catch (const spdlog::spdlog_ex&) {
    // The log's file can't be opened: standard error is better than nothing.
  }
  if (logger == nullptr) {
    logger = std::make_shared<spdlog::logger>(program,
                                              std::make_shared<spdlog::sinks::stderr_sink_st>());
  }
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %n[%P] %l: %v");
  logger->flush_on(spdlog::level::info);
  const char* level = std::getenv("SLUICE_LOG");
  logger->set_level(level != nullptr ? spdlog::level::from_str(level) : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void log::line(Level level, std::string_view text) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::info, spdlog::level::warn,
                                                   spdlog::level::err, spdlog::level::critical};
  spdlog::default_logger_raw()->log(kLevels[static_cast<int>(level)],
                                    spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace sluice
