#include "renderer/collect/http_post.h"

#include <cstdlib>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/text.h"
#include "base/try.h"

namespace sluice::collect {

namespace {

constexpr std::size_t kMostAnswer = std::size_t{1} << 20;
constexpr std::size_t kMostSaid = 300;

std::size_t receive(char* data, std::size_t size, std::size_t count, void* user) {
  auto& answer = *static_cast<std::string*>(user);
  if (answer.size() < kMostAnswer) answer.append(data, size * count);
  return size * count;
}

const char* reason_of(long status) {
  if (status == 408 || status == 425 || status == 429 || status >= 500) return "unavailable";
  return status == 400 || status == 413 || status == 422 ? "bad-records" : "refused";
}

}  // namespace

struct HttpPost::Curl {
  CURL* handle = nullptr;
  curl_slist* headers = nullptr;
  ~Curl() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
};

HttpPost::HttpPost(Settings settings)
    : settings_(std::move(settings)), curl_(std::make_unique<Curl>()) {}
HttpPost::~HttpPost() = default;

Result<std::unique_ptr<HttpPost>> HttpPost::create(Settings settings) {
  if (!settings.url.starts_with("http://") && !settings.url.starts_with("https://")) {
    return fail("collect", "bad-url",
                fmt::format("'{}' is no http or https URL", without_credentials(settings.url)));
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::unique_ptr<HttpPost> post(new HttpPost(std::move(settings)));
  CURL* const handle = post->curl_->handle = curl_easy_init();
  if (handle == nullptr) return fail("collect", "curl", "libcurl can't be used");
  curl_slist*& headers = post->curl_->headers;
  headers = curl_slist_append(headers, ("Content-Type: " + post->settings_.content_type).c_str());
  headers = curl_slist_append(headers, "Expect:");
  for (const std::string& header : post->settings_.headers)
    headers = curl_slist_append(headers, header.c_str());
  curl_easy_setopt(handle, CURLOPT_URL, post->settings_.url.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "Sluice/" SLUICE_VERSION);
  curl_easy_setopt(handle, CURLOPT_NETRC, CURL_NETRC_OPTIONAL);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* file = std::getenv(name);
    if (file == nullptr || *file == '\0') continue;
    curl_easy_setopt(handle, CURLOPT_CAINFO, file);
    break;
  }
  const auto timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(post->settings_.timeout).count();
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout));
  return post;
}

Result<std::string> HttpPost::post(std::string_view body) {
  CURL* const handle = curl_->handle;
  char error[CURL_ERROR_SIZE] = "";
  std::string answer;
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
  const CURLcode code = curl_easy_perform(handle);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
  const std::string place = without_credentials(settings_.url);
  if (code != CURLE_OK) {
    const bool never = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    return fail("collect", never ? "refused" : "unavailable",
                fmt::format("{}: {}", place, *error != '\0' ? error : curl_easy_strerror(code)));
  }
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 300) return answer;
  std::string said = clean(valid_utf8(answer));
  limit_text(said, kMostSaid);
  return fail("collect", reason_of(status), fmt::format("{} answers {}: {}", place, status, said));
}

Result<std::vector<std::string>> read_headers(const std::string& file) {
  std::vector<std::string> headers;
  const std::string text = TRY(read_file(file));
  std::size_t number = 0;
  for (std::string_view line : split_lines(text)) {
    ++number;
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' '))
      line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return fail("collect", "bad-header", "This is no header such as 'Name: value'",
                  {file, static_cast<std::uint32_t>(number), 0});
    headers.emplace_back(line);
  }
  return headers;
}

}  // namespace sluice::collect
