"""The servers that the chain's sources come from, each on a port of 127.0.0.1 that the system chose.

    with Servers(upstream, seed, crates, directory) as servers:
        servers.urls["git"]         http://127.0.0.1:PORT/
        servers.environment         what makes https://pypi.org and the like lead here

lighttpd has the files and the crates and runs `git http-backend`; Debian's docker-registry has the seed's images; what is asked of hosts of the
web by name (Python's index and its files, a Go module's home) is answered by a proxy that has certificates for them.
"""

import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
import languages  # noqa: E402
from git_servers import HOST, HttpBackend, Server  # noqa: E402
from index_servers import SecureWeb  # noqa: E402
from registry import DockerRegistry  # noqa: E402


class Files(Server):
    """lighttpd with the files below `top`."""

    scheme = "http"

    def __init__(self, top, directory):
        super().__init__(top)
        self.config = os.path.join(directory, "files.conf")

    def arguments(self, port):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write('server.bind = "%s"\nserver.port = %d\nserver.document-root = "%s"\nserver.errorlog = "/dev/null"\n' % (HOST, port, self.top))
        return ["lighttpd", "-D", "-f", self.config]


class Servers(contextlib.ExitStack):
    def __init__(self, upstream, seed, files, directory):
        super().__init__()
        os.makedirs(directory)
        self.what = (upstream, seed, files, directory)
        self.urls = {}
        self.environment = {}

    def __enter__(self):
        try:
            self.start(*self.what)
        except BaseException:
            self.close()  # those that are up already
            raise
        return self

    def start(self, upstream, seed, files, directory):
        git = self.enter_context(HttpBackend(upstream.repositories, directory))
        plain = self.enter_context(Files(files, directory))
        registry = self.enter_context(DockerRegistry(directory))
        seed.push(registry)
        pages = languages.index_pages(upstream)
        pages.update(languages.go_pages(git.url))
        web = self.enter_context(SecureWeb(pages, os.path.join(directory, "secure")))
        self.urls = {"git": git.url, "files": plain.url, "crates": plain.url, "registry": registry.url}
        self.environment = web.environment
