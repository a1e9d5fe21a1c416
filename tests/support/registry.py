"""A container registry on loopback for tests: Debian's docker-registry, with images that are put into it over its API, and its tokens.

    with DockerRegistry(directory) as registry:
        registry.push("app", "1.0", [Layer().file("etc/app", b"text")])
        url = registry.url

    with TokenServer(directory) as tokens, DockerRegistry(directory, tokens) as registry: ...

The same files give the same digests on every machine: layers are stored, not compressed.
"""

import base64
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import shutil
import struct
import subprocess
import tarfile
import threading
import time
import urllib.parse
import zlib

from git_servers import HOST, Server

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def gzipped(data):
    """A gzip file that is the same whatever library would have made it."""
    blocks = [data[at:at + 65535] for at in range(0, len(data), 65535)] or [b""]
    body = b"".join(struct.pack("<BHH", block is blocks[-1], len(block), 0xffff ^ len(block)) + block for block in blocks)
    result = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xffffffff)
    assert gzip.decompress(result) == data
    return result


class Layer:
    """A layer as it is built, member by member."""

    def __init__(self, format=tarfile.PAX_FORMAT):
        self.out = io.BytesIO()
        self.archive = tarfile.open(fileobj=self.out, mode="w", format=format)
        self.media = None  # the manifest's own kind of layer
        self.bytes = None

    def add(self, name, kind, content=b"", mode=0o644, link=""):
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname, member.size = kind, mode, link, len(content)
        member.devmajor, member.devminor = 1, 3
        self.archive.addfile(member, io.BytesIO(content))
        return self

    def file(self, name, content=None, mode=0o644):
        return self.add(name, tarfile.REGTYPE, name.encode() if content is None else content, mode)

    def folder(self, name, mode=0o755):
        return self.add(name, tarfile.DIRTYPE, mode=mode)

    def link(self, name, target):
        return self.add(name, tarfile.SYMTYPE, link=target, mode=0o777)

    def hard(self, name, target, mode=0o644):
        return self.add(name, tarfile.LNKTYPE, link=target, mode=mode)

    def whiteout(self, name):
        directory, base = os.path.split(name)
        return self.add(os.path.join(directory, ".wh." + base), tarfile.REGTYPE)

    def opaque(self, directory):
        return self.add(os.path.join(directory, ".wh..wh..opq"), tarfile.REGTYPE)

    def device(self, name, kind=tarfile.CHRTYPE):
        return self.add(name, kind)

    def typed(self, media):
        self.media = media
        return self

    def data(self):
        if self.bytes is None:
            self.archive.close()
            self.bytes = gzipped(self.out.getvalue())
        return self.bytes


def manifest(layers, oci=False, **more):
    """(the blobs, the manifest's bytes)"""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    own = OCI_LAYER if oci else DOCKER_LAYER
    text = {"schemaVersion": 2, "mediaType": OCI if oci else DOCKER,
            "config": {"mediaType": OCI_CONFIG if oci else DOCKER_CONFIG, "size": len(config), "digest": digest(config)},
            "layers": [{"mediaType": layer.media or own, "size": len(layer.data()), "digest": digest(layer.data())} for layer in layers]}
    text.update(more)
    return [config] + [layer.data() for layer in layers], json.dumps(text, indent=1).encode()


def index(entries, oci=False):
    """A list of (manifest, architecture, os)."""
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX if oci else DOCKER_LIST,
                       "manifests": [{"mediaType": OCI if oci else DOCKER, "size": len(one), "digest": digest(one), "platform": {"architecture": architecture, "os": system}}
                                     for one, architecture, system in entries]}, indent=1).encode()


class DockerRegistry(Server):
    """Debian's docker-registry with a configuration and a directory of its own."""

    scheme = "http"
    PROGRAM = shutil.which("docker-registry", path=os.environ.get("PATH", "") + ":/usr/bin") or "docker-registry"

    def __init__(self, directory, tokens=None):
        super().__init__(os.path.join(directory, "registry"))
        self.tokens = tokens
        os.makedirs(self.top, exist_ok=True)

    def arguments(self, port):
        config = {"version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}}, "storage": {"filesystem": {"rootdirectory": os.path.join(self.top, "store")}, "delete": {"enabled": True}},
                  "http": {"addr": "%s:%d" % (HOST, port), "secret": "test"}}
        if self.tokens is not None:
            config["auth"] = {"token": {"realm": self.tokens.url, "service": TokenServer.SERVICE, "issuer": TokenServer.ISSUER, "rootcertbundle": self.tokens.certificate}}
        path = os.path.join(self.top, "config.yml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)  # YAML, too
        return [self.PROGRAM, "serve", path]

    def request(self, method, path, body=None, headers=None):
        if path.startswith("http"):
            parts = urllib.parse.urlsplit(path)
            path = parts.path + "?" + parts.query
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        headers = dict(headers or {})
        if self.tokens is not None:
            headers["Authorization"] = "Bearer " + self.tokens.token("repository:%s:pull,push" % path[len("/v2/"):].split("/blobs/")[0].split("/manifests/")[0])
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status >= 300:
            raise RuntimeError("%s %s: %d %s" % (method, path, response.status, text[:500]))
        return response

    def push_blob(self, name, data):
        location = self.request("POST", "/v2/%s/blobs/uploads/" % name, b"").getheader("Location")
        self.request("PUT", location + ("&" if "?" in location else "?") + "digest=" + urllib.parse.quote(digest(data)), data, {"Content-Type": "application/octet-stream"})

    def push_manifest(self, name, tag, text):
        self.request("PUT", "/v2/%s/manifests/%s" % (name, tag), text, {"Content-Type": json.loads(text)["mediaType"]})
        return digest(text)[len("sha256:"):]

    def push(self, name, tag, layers, oci=False):
        """Puts an image there; its ref."""
        blobs, text = manifest(layers, oci)
        for blob in blobs:
            self.push_blob(name, blob)
        return self.push_manifest(name, tag, text)


class Web:
    """An HTTP server in this process: answer(handler) of a subclass answers; `requests` are those that came: (path, headers)."""

    scheme = "http"

    def __enter__(self):
        self.requests, outer = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                self.close_connection = True
                try:
                    outer.answer(self)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self):
        return "http://%s:%d/" % (HOST, self.port)

    def answer(self, handler):
        raise NotImplementedError

    @staticmethod
    def send(handler, body, status=200, **headers):
        handler.send_response(status)
        # A connection that ends is said to: libcurl gives one up after having found five of them closed.
        for name, value in dict({"Content-Length": str(len(body)), "Connection": "close"}, **{name.replace("_", "-"): value for name, value in headers.items()}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


class TokenServer(Web):
    """Gives tokens that docker-registry accepts; with `password` to "somebody" with that one alone."""

    SERVICE, ISSUER = "test registry", "test issuer"

    def __init__(self, directory, password=None):
        self.password = password
        self.key, self.certificate = os.path.join(directory, "token.key"), os.path.join(directory, "token.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2", "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)

    @staticmethod
    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    def token(self, scope):
        with open(self.certificate, encoding="ascii") as file:
            chain = "".join(line.strip() for line in file if "CERTIFICATE" not in line)
        kind, name, actions = scope.split(":")
        now = int(time.time())
        claims = {"iss": self.ISSUER, "sub": "", "aud": self.SERVICE, "exp": now + 600, "nbf": now - 600, "iat": now, "jti": "1",
                  "access": [{"type": kind, "name": name, "actions": actions.split(",")}]}
        text = b".".join(self.encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "RS256", "x5c": [chain]}, claims))
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, check=True, capture_output=True).stdout
        return (text + b"." + self.encoded(signed)).decode()

    def answer(self, handler):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        told = handler.headers.get("Authorization", "")
        wanted = "" if self.password is None else "Basic " + base64.b64encode(("somebody:" + self.password).encode()).decode()
        if asked.get("service") != [self.SERVICE] or told != wanted:
            return self.send(handler, b"no", 401)
        return self.send(handler, json.dumps({"token": self.token(asked["scope"][0])}).encode())
