// sluice-download FILE SECONDS <REQUEST: one file by http, https or ftp, in a process of its own so
// that nobody else loads what that takes. REQUEST is the URL, and a line for each header of an HTTP
// request ("Accept: text/html"); both may have a password in them, which an argument would show to
// everybody. Headers don't follow a redirection to another host. A server may send nothing for so
// many SECONDS (0: for ever). FILE is made anew; whether its content is what was wanted is the
// caller's to check. An error goes to standard output as a packed wire::ErrorBody
// ("source"/"download-failed" when another try may help); the status is 1 then.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/fd.h"
#include "base/result.h"
#include "wire/messages.h"

namespace {

using sluice::Status;

struct Sink {
  int fd = -1;
  int cause = 0;
};

std::size_t receive(char* data, std::size_t size, std::size_t count, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  if (auto written = sluice::write_all(sink.fd, {data, size * count}); !written) {
    sink.cause = errno;
    return 0;
  }
  return size * count;
}

tl::unexpected<sluice::Error> failed(std::string reason, std::string message) {
  return sluice::fail("source", std::move(reason), std::move(message));
}

Status download(const std::string& request, const char* path, long timeout) {
  struct Headers {
    curl_slist* list = nullptr;
    ~Headers() { curl_slist_free_all(list); }
  } headers;
  std::string address = request.substr(0, request.find('\n'));
  for (std::size_t at = address.size(); at < request.size();) {
    const std::size_t end = std::min(request.find('\n', at + 1), request.size());
    headers.list = curl_slist_append(headers.list, request.substr(at + 1, end - at - 1).c_str());
    at = end;
  }
  const char* url = address.c_str();
  sluice::UniqueFd file(::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file) return failed("download-file", fmt::format("{}: {}", path, std::strerror(errno)));
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* curl = curl_easy_init();
  if (curl == nullptr) return failed("download-failed", "libcurl can't be used");
  char error[CURL_ERROR_SIZE] = "";
  Sink sink{file.get()};
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
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
  curl_easy_cleanup(curl);
  if (code == CURLE_OK) return {};
  if (sink.cause != 0)
    return failed("download-file", fmt::format("{}: {}", path, std::strerror(sink.cause)));
  if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) {
    return failed("bad-url", fmt::format("{} can't be downloaded: {}", url,
                                         *error != '\0' ? error : curl_easy_strerror(code)));
  }
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
  const long timeout = argc == 3 ? std::strtol(argv[2], nullptr, 10) : -1;
  if (timeout < 0) {
    std::fputs("usage: sluice-download FILE SECONDS <REQUEST\n", stderr);
    return 2;
  }
  auto request = sluice::read_all(0, 1u << 20);
  auto done = request ? download(*request, argv[1], timeout)
                      : Status(tl::unexpected<sluice::Error>(request.error()));
  if (done) return 0;
  [[maybe_unused]] auto written =
      sluice::write_all(1, sluice::wire::encode(sluice::wire::ErrorBody::from(done.error())));
  return 1;
}
