"""Web servers on loopback for tests of sources that ask an index: plain ones, and one that answers for any host by https.

    with Web({"/cpan/x.gz": b"..."}) as web:            # http://127.0.0.1:PORT
        url = web.url + "cpan/x.gz"
    with SecureWeb({("example.org", "/a?go-get=1"): b"..."}, directory) as web:
        environment = web.environment                   # a proxy, and the certificate to believe

A page is bytes, or (status, headers, bytes). `asked` lists what was asked for.
"""

import os
import socketserver
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler

HOST = "127.0.0.1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def page(self):
        return self.server.web.pages.get(self.path)

    def do_GET(self):
        self.server.web.asked.append((self.path, dict(self.headers)))
        page = self.page()
        status, headers, body = (404, {}, b"nothing here") if page is None else page if isinstance(page, tuple) else (200, {}, page)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class SecureHandler(Handler):
    def page(self):
        return self.server.web.pages.get((self.host, self.path))

    def do_CONNECT(self):
        self.host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        try:
            with self.server.web.context_of(self.host).wrap_socket(self.connection, server_side=True) as secure:
                inner = type("Inner", (SecureHandler,), {"host": self.host, "setup": lambda handler: set_up(handler, secure), "finish": lambda handler: None})
                inner(secure, self.client_address, self.server)
        except (OSError, ssl.SSLError):
            pass
        self.close_connection = True


def set_up(handler, connection):
    handler.connection = connection
    handler.rfile = connection.makefile("rb")
    handler.wfile = connection.makefile("wb", 0)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """A client may go at any time."""


class Web:
    handler = Handler

    def __init__(self, pages):
        self.pages = pages
        self.asked = []

    def __enter__(self):
        self.server = Server((HOST, 0), self.handler)
        self.server.web = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.url = "http://%s:%d/" % (HOST, self.server.server_address[1])
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class SecureWeb(Web):
    """A proxy that is every host itself, by certificates that it signs; pages are named by host and path."""

    handler = SecureHandler

    def __init__(self, pages, directory):
        super().__init__(pages)
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.contexts = {}
        self.lock = threading.Lock()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test",
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def openssl(self, *arguments):
        subprocess.run(["openssl"] + list(arguments), cwd=self.directory, check=True, capture_output=True)

    def context_of(self, host):
        with self.lock:
            if host not in self.contexts:
                self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", host + ".key", "-out", host + ".csr", "-subj", "/CN=" + host)
                with open(os.path.join(self.directory, host + ".ext"), "w", encoding="ascii") as file:
                    file.write("subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n" % host)
                self.openssl("x509", "-req", "-in", host + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", host + ".ext", "-out", host + ".pem")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(os.path.join(self.directory, host + ".pem"), os.path.join(self.directory, host + ".key"))
                self.contexts[host] = context
            return self.contexts[host]

    @property
    def environment(self):
        authority = os.path.join(self.directory, "ca.pem")
        return {"HTTPS_PROXY": self.url, "https_proxy": self.url, "NO_PROXY": HOST, "no_proxy": HOST, "SSL_CERT_FILE": authority, "CURL_CA_BUNDLE": authority, "REQUESTS_CA_BUNDLE": authority}
