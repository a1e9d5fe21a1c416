"""HTTP servers that collectors send to, in a test: they take what is posted, or refuse it, and can be away for a while."""

import http.server
import json
import threading


class HttpEnd:
    """posts: [(path, body in JSON)] of what was taken. `take(path, body)` may raise: that is answered by 400. While `broken` is
    set, everything is answered by that status."""

    def __init__(self, take=None, answer=(200, b"{}"), port=0):
        self.posts, self.wrong, self.refused = [], [], 0
        self.broken = None
        self.take, self.answer = take, answer
        self._start(port)

    def _start(self, port):
        end = self
        self.away = False

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if end.away:  # on a connection from before
                    self.close_connection = True
                    return
                status, text = end._taken(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d" % self.port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def _taken(self, path, headers, body):
        if self.broken:
            self.refused += 1
            return self.broken, b"not now"
        try:
            if headers["Content-Type"] != "application/json":
                raise ValueError("Content-Type: %s" % headers["Content-Type"])
            value = json.loads(body)
            if self.take:
                self.take(path, value)
        except Exception as error:  # whatever the check has raised is what the test wants to see
            self.wrong.append(repr(error))
            return 400, repr(error).encode()
        self.posts.append((path, value))
        return self.answer

    def go_away(self):
        """Nobody listens at the port any more."""
        self.away = True
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def come_back(self):
        self._start(self.port)
