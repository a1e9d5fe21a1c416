"""Sources that are one file to download, known by its SHA-256."""

import os

from . import utils
from .source import Source, SourceError, SourceInfoMedium, SourceVersionType

_TIMEOUT = 600  # seconds without a byte


def _opener(netrc_config, bearer):
    """What opens URLs, with the names and passwords of a .netrc where servers ask for them."""
    import urllib.parse
    import urllib.request

    if netrc_config is None or bearer:
        return urllib.request.build_opener()

    class Passwords:
        def add_password(self, realm, uri, user, passwd):
            pass

        def find_user_password(self, realm, authuri):
            entry = netrc_config.authenticators(urllib.parse.urlsplit(authuri).hostname)
            return (entry[0], entry[2]) if entry else (None, None)

    class Ftp(urllib.request.FTPHandler):
        def ftp_open(self, req):
            url = urllib.parse.urlsplit(req.full_url)
            user, password = url.username, url.password
            entry = netrc_config.authenticators(url.hostname) if user is None else None
            if entry:
                user, _, password = entry
            host = url.hostname if not url.port else "{}:{}".format(url.hostname, url.port)
            if user:
                host = "{}@{}".format("{}:{}".format(user, password) if password else user, host)
            req.host = host
            return super().ftp_open(req)

    return urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(Passwords()), Ftp())


def _parse_netrc(plugin):
    """The user's .netrc; None if there is none that can be read."""
    import netrc

    try:
        return netrc.netrc()
    except netrc.NetrcParseError as error:
        plugin.warn("{}: While reading .netrc: {}".format(plugin, error))
    except OSError:
        pass
    return None


def _bearer_headers(netrc_config, url):
    """The header with the token that a .netrc has for the server of a URL."""
    import urllib.parse

    entry = None if netrc_config is None else netrc_config.authenticators(urllib.parse.urlsplit(url).hostname)
    return {"Authorization": "Bearer {}".format(entry[2])} if entry else {}


def _download_file(netrc_config, url, etag, directory, bearer):
    """Downloads into a directory: (path, etag, None); (None, None, None) if it is still what the etag names; (None, None,
    text) if that failed."""
    import shutil
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(url, headers={"Accept": "*/*", "User-Agent": "BuildStream/2"})
        for name, value in _bearer_headers(netrc_config, url).items() if bearer else ():
            request.add_header(name, value)
        if etag is not None:
            request.add_header("If-None-Match", etag)
        with _opener(netrc_config, bearer).open(request, timeout=_TIMEOUT) as response:
            headers = response.info()
            new_etag = headers["ETag"]
            if etag and new_etag == etag:
                return None, None, None
            name = os.path.basename(headers.get_filename(os.path.basename(url)))
            path = os.path.join(directory, name)
            with open(path, "wb") as file:
                shutil.copyfileobj(response, file)
                length = headers.get("Content-Length")
                if length and file.tell() < int(length):
                    raise ValueError("Partial file {}/{}".format(file.tell(), length))
            return path, new_etag, None
    except urllib.error.HTTPError as error:
        return (None, None, None) if error.code == 304 else (None, None, str(error))
    except (urllib.error.URLError, OSError, ValueError) as error:
        return None, None, str(error)


class DownloadableFileSource(Source):
    """Base of sources that are one file."""

    COMMON_CONFIG_KEYS = Source.COMMON_CONFIG_KEYS + ["url", "ref", "version-guess-pattern", "version"]

    def configure(self, node):
        self.original_url = node.get_str("url")
        self.ref = node.get_str("ref", None)
        extra_data = {}
        self.url = self.translate_url(self.original_url, extra_data=extra_data)
        self.bearer_auth = extra_data.get("http-auth") == "bearer"
        self._mirror_dir = os.path.join(self.get_mirror_directory(), utils.url_directory_name(self.original_url))
        self._guess_pattern_string = node.get_str("version-guess-pattern", None)
        self._guess_pattern = None
        if self._guess_pattern_string is not None:
            import re

            self._guess_pattern = re.compile(self._guess_pattern_string)
        self._version = node.get_str("version", None)

    def preflight(self):
        pass

    def get_unique_key(self):
        key = [self.original_url, self.ref]
        if self._version is not None:
            key.append(self._version)
        elif self._guess_pattern_string is not None:
            key.append(self._guess_pattern_string)
        return key

    def is_cached(self):
        return os.path.isfile(self._get_mirror_file())

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def track(self):
        new = self._ensure_mirror("Tracking {}".format(self.url))
        if self.ref and self.ref != new:
            self.warn(
                "Potential man-in-the-middle attack!",
                detail="When tracking, new ref differs from current ref:\n"
                "  Tracked URL: {}\n  Current ref: {}\n  New ref: {}\n".format(self.url, self.ref, new),
            )
        return new

    def fetch(self):
        if os.path.isfile(self._get_mirror_file()):
            return
        found = self._ensure_mirror("Fetching {}".format(self.url))
        if found != self.ref:
            raise SourceError("File downloaded from {} has sha256sum '{}', not '{}'!".format(self.url, found, self.ref))

    def collect_source_info(self):
        guess = self._version
        if guess is None:
            guess = utils.guess_version(self.original_url, pattern=self._guess_pattern)
        return [
            self.create_source_info(
                self.url, SourceInfoMedium.REMOTE_FILE, SourceVersionType.SHA256, self.ref, version_guess=guess
            )
        ]

    def _etag_file(self, ref):
        return os.path.join(self._mirror_dir, "{}.etag".format(ref))

    def _get_etag(self, ref):
        try:
            with open(self._etag_file(ref), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _store_etag(self, ref, etag):
        with utils.save_file_atomic(self._etag_file(ref)) as file:
            file.write(etag)

    def _ensure_mirror(self, activity_name):
        """Has the newest file in the mirror directory: its SHA-256."""
        with self.tempdir() as directory:
            etag = self._get_etag(self.ref) if self.ref and self.is_cached() else None
            path, etag, failure = self.blocking_activity(
                _download_file, (self._parse_netrc(), self.url, etag, directory, self.bearer_auth), activity_name
            )
            if failure:
                raise SourceError("{}: Error mirroring {}: {}".format(self, self.url, failure), temporary=True)
            if path is None:
                return self.ref
            try:
                os.makedirs(self._mirror_dir, exist_ok=True)
            except FileExistsError as error:
                raise SourceError(
                    "{}: Mirror directory exists but is not a directory: {}".format(self, self._mirror_dir)
                ) from error
            digest = utils.sha256sum(path)
            os.rename(path, self._get_mirror_file(digest))
            if etag:
                self._store_etag(digest, etag)
            return digest

    def _parse_netrc(self):
        return _parse_netrc(self)

    def _get_mirror_file(self, sha=None):
        return os.path.join(self._mirror_dir, self.ref if sha is None else sha)
