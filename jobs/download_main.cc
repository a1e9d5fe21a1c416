// sluice-download FILE SECONDS [MAX-BYTES [resume]] <REQUEST: one file by http, https or ftp, in a
// process of its own so that nobody else loads what that takes. REQUEST is the URL, and a line for
// each header of an HTTP request ("Accept: text/html"); both may have a password in them, which an
// argument would show to everybody. Headers that are for one server alone ("Authorization") don't
// follow a redirection to another. A server may send nothing for so many SECONDS (0: for ever), and
// not more than MAX-BYTES (0: as many as it likes). FILE is made anew, or gets with `resume` what
// it lacks, when the server can give a part; whether its content is what was wanted is the caller's
// to check. The headers of the answer go to standard output, a line for each, names in lower case.
// An error goes there as a packed wire::ErrorBody ("source"/"download-failed" when another try may
// help; "no-such-range" when there is no more than FILE has; "download-unauthorized" has what the
// server challenges with, a line for each, as detail); the status is 1 then.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/fd.h"
#include "base/result.h"
#include "wire/messages.h"

namespace {

constexpr std::size_t kMaxHeaders = std::size_t{64} << 10;

struct Request {
  std::string url;
  std::vector<std::string> headers;
};

struct Sink {
  CURL* curl = nullptr;
  int fd = -1;
  long max_bytes = 0;
  long resumed = 0;  // bytes of an earlier download that the file begins with
  long bytes = 0;    // what the file has
  bool began = false;
  int cause = 0;
  bool too_large = false;
  // Those of the last answer, "name: value\n" each.
  std::string headers;
};

// Keeps what an earlier download left only where the answer goes on behind it: a server may as well
// send all of it again.
bool begin(Sink& sink) {
  sink.began = true;
  if (sink.resumed == 0) return true;
  long response = 0;
  curl_easy_getinfo(sink.curl, CURLINFO_RESPONSE_CODE, &response);
  const std::string range = fmt::format("content-range: bytes {}-", sink.resumed);
  if (response == 206 && sink.headers.find(range) != std::string::npos) return true;
  sink.resumed = 0;
  sink.bytes = 0;
  return ::ftruncate(sink.fd, 0) == 0 && ::lseek(sink.fd, 0, SEEK_SET) == 0 && response != 206;
}

std::size_t receive(char* data, std::size_t size, std::size_t count, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  const std::size_t length = size * count;
  if (!sink.began && !begin(sink)) return 0;
  sink.bytes += static_cast<long>(length);
  if (sink.max_bytes != 0 && sink.bytes > sink.max_bytes) {
    sink.too_large = true;
    return 0;
  }
  if (auto written = sluice::write_all(sink.fd, {data, length}); !written) {
    sink.cause = errno;
    return 0;
  }
  return length;
}

std::size_t receive_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  std::string_view line(data, size * count);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  // Another answer begins: this one was a redirection, or an intermediate one.
  if (line.starts_with("HTTP/")) {
    sink.headers.clear();
    return size * count;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || sink.headers.size() + line.size() > kMaxHeaders)
    return size * count;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  line.remove_prefix(colon + 1);
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  sink.headers += fmt::format("{}: {}\n", name, line);
  return size * count;
}

std::string challenges(std::string_view headers) {
  constexpr std::string_view kName = "www-authenticate: ";
  std::string found;
  while (!headers.empty()) {
    const std::string_view line = headers.substr(0, headers.find('\n'));
    headers.remove_prefix(std::min(headers.size(), line.size() + 1));
    if (!line.starts_with(kName)) continue;
    if (!found.empty()) found += '\n';
    found += line.substr(kName.size());
  }
  return found;
}

tl::unexpected<sluice::Error> failed(std::string reason, std::string message) {
  return sluice::fail("source", std::move(reason), std::move(message));
}

Request parse(const std::string& text) {
  Request request{text.substr(0, text.find('\n')), {}};
  for (std::size_t at = request.url.size(); at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at + 1), text.size());
    request.headers.push_back(text.substr(at + 1, end - at - 1));
    at = end;
  }
  return request;
}

sluice::Result<std::string> download(const Request& request, const char* path, long timeout,
                                     long max_bytes, bool resume) {
  struct Headers {
    curl_slist* list = nullptr;
    ~Headers() { curl_slist_free_all(list); }
  } headers;
  for (const std::string& header : request.headers)
    headers.list = curl_slist_append(headers.list, header.c_str());
  const char* url = request.url.c_str();
  sluice::UniqueFd file(
      ::open(path, O_WRONLY | O_CREAT | (resume ? 0 : O_TRUNC) | O_CLOEXEC, 0666));
  // Whoever began it may not have ended yet, though the job that it worked for was killed.
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (resume && file && ::fcntl(file.get(), F_SETLKW, &lock) != 0) file.reset();
  const off_t there = file ? ::lseek(file.get(), 0, SEEK_END) : -1;
  if (there < 0) return failed("download-file", fmt::format("{}: {}", path, std::strerror(errno)));
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* curl = curl_easy_init();
  if (curl == nullptr) return failed("download-failed", "libcurl can't be used");
  char error[CURL_ERROR_SIZE] = "";
  Sink sink;
  sink.curl = curl;
  sink.fd = file.get();
  sink.max_bytes = max_bytes;
  sink.resumed = sink.bytes = there;
  const std::string range = fmt::format("{}-", there);
  if (there != 0) curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, receive_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &sink);
  // Whom to believe that it is a server, where it isn't what the machine says, as curl has it.
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* file = std::getenv(name);
    if (file == nullptr || *file == '\0') continue;
    curl_easy_setopt(curl, CURLOPT_CAINFO, file);
    break;
  }
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 20L);
  // A redirection may lead to no other protocol, above all to no file of this machine.
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp,ftps");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "Sluice/" SLUICE_VERSION);
  curl_easy_setopt(curl, CURLOPT_NETRC, CURL_NETRC_OPTIONAL);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, timeout == 0 ? 60L : std::min(60L, timeout));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, timeout);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  const CURLcode code = curl_easy_perform(curl);
  long response = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response);
  // An answer without a byte takes away what an earlier download left, too.
  const bool whole = code == CURLE_OK && (sink.began || begin(sink));
  curl_easy_cleanup(curl);
  if (whole) return std::move(sink.headers);
  if (sink.cause != 0)
    return failed("download-file", fmt::format("{}: {}", path, std::strerror(sink.cause)));
  if (sink.too_large)
    return failed("too-large", fmt::format("it is longer than {} bytes", max_bytes));
  if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) {
    return failed("bad-url", fmt::format("{} can't be downloaded: {}", url,
                                         *error != '\0' ? error : curl_easy_strerror(code)));
  }
  if (code == CURLE_TOO_MANY_REDIRECTS) return failed("download-refused", "redirected without end");
  if (code == CURLE_HTTP_RETURNED_ERROR && response == 401) {
    auto refused =
        failed("download-unauthorized", *error != '\0' ? error : curl_easy_strerror(code));
    refused.value().detail = challenges(sink.headers);
    return refused;
  }
  if (code == CURLE_HTTP_RETURNED_ERROR && response == 416)
    return failed("no-such-range", *error != '\0' ? error : curl_easy_strerror(code));
  // A server that has understood and says no will say so again, unless it is busy or we were too
  // fast.
  if (code == CURLE_HTTP_RETURNED_ERROR && response >= 400 && response < 500 && response != 408 &&
      response != 425 && response != 429) {
    return failed("download-refused", *error != '\0' ? error : curl_easy_strerror(code));
  }
  return failed("download-failed", *error != '\0' ? error : curl_easy_strerror(code));
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int at) { return std::strtol(argv[at], nullptr, 10); };
  const long timeout = argc >= 3 ? number(2) : -1;
  const long max_bytes = argc >= 4 ? number(3) : 0;
  const bool resume = argc == 5 && std::string_view(argv[4]) == "resume";
  if (timeout < 0 || max_bytes < 0 || argc > 5 || (argc == 5 && !resume)) {
    std::fputs("usage: sluice-download FILE SECONDS [MAX-BYTES [resume]] <REQUEST\n", stderr);
    return 2;
  }
  auto request = sluice::read_all(0, 1u << 20);
  auto done = request ? download(parse(*request), argv[1], timeout, max_bytes, resume)
                      : sluice::Result<std::string>(tl::unexpected<sluice::Error>(request.error()));
  [[maybe_unused]] auto written = sluice::write_all(
      1, done ? *done : sluice::wire::encode(sluice::wire::ErrorBody::from(done.error())));
  return done ? 0 : 1;
}
