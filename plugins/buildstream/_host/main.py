"""The host: reads frames, answers them, and ends with the asker."""

import os
import posix
import sys
from _thread import allocate_lock

from . import modules, questions, reads, session
from .packing import PackingError, pack, unpack
from .project import Project

PROTOCOL = "plugins/1"
_MOST = 64 << 20
_SOCKET = 3
_AGAIN = "--again"
# Actions of elements; the last two go on with what the first has begun.
_FOLLOWING = ("stage-element", "assemble")
_OF_ELEMENTS = ("configure-sandbox", "script") + _FOLLOWING


class _Bye(BaseException):
    """The asker has gone, or what it says is no frame: the host ends."""


class _Channel:
    """The socket, under a number that plugins don't guess, and that their programs don't get."""

    def __init__(self):
        import fcntl

        try:
            self.descriptor = fcntl.fcntl(_SOCKET, fcntl.F_DUPFD_CLOEXEC, 900)
        except OSError:  # There may be fewer.
            self.descriptor = fcntl.fcntl(_SOCKET, fcntl.F_DUPFD_CLOEXEC, 100)
        posix.close(_SOCKET)
        self.process = posix.getpid()
        # A child that a plugin leaves behind would keep the asker from seeing that the host has ended.
        os.register_at_fork(after_in_child=self._leave)
        self.lock = allocate_lock()
        self.write = posix.write
        self.torn = False  # whether something was asked, and its answer not taken

    def _leave(self):
        try:
            posix.close(self.descriptor)
        except OSError:
            pass

    def _packed(self, said):
        if posix.getpid() != self.process:
            # A plugin has forked, and the child has come back to the host: it has nothing to say.
            posix._exit(70)
        data = pack(said)
        if len(data) > _MOST:
            raise PackingError("what is to be said has more than 64 MiB")
        return data

    def send(self, said):
        """Sends a map. Plugins' threads may send, too."""
        self._send(self._packed(said))

    def ask(self, said):
        """Sends a map, and gives what the asker says to it. Nothing can be said any more after a plugin, by what it does to
        signals, has kept that from being heard."""
        if self.torn:
            raise _Bye("an answer was not heard")
        data = self._packed(said)
        self.torn = True
        self._send(data)
        answer = self.receive()
        if answer is None or answer.get("do") not in ("return", "raise"):
            raise _Bye("no answer to a call: {!r}".format(answer))
        self.torn = False
        return answer

    def _send(self, data):
        with self.lock:
            rest = memoryview(len(data).to_bytes(4, "big") + data)
            while rest:
                try:
                    rest = rest[self.write(self.descriptor, rest) :]
                except OSError as error:
                    raise _Bye("the asker can't be told: {}".format(error)) from None

    def receive(self):
        """The next map; None when the asker has gone."""
        head = self._read(4)
        if not head:
            return None
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > _MOST:
            raise _Bye("a frame of {} bytes".format(size))
        body = self._read(size)
        if len(body) < size:
            raise _Bye("a frame is cut off")
        try:
            said = unpack(body)
        except PackingError as error:
            raise _Bye("no frame: {}".format(error)) from None
        if type(said) is not dict:
            raise _Bye("a frame holds no map")
        return said

    def _read(self, size):
        parts = []
        while size:
            try:
                part = posix.read(self.descriptor, min(size, 1 << 20))
            except OSError as error:
                raise _Bye("the asker can't be heard: {}".format(error)) from None
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _limit(memory):
    if type(memory) is int and memory > 0:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = memory if hard < 0 else min(memory, hard)
        # Both limits, so that no plugin raises its own again.
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _attempt(function, said, question):
    """What a function makes of something, and the error if it fails. Nothing that a plugin does to this process by
    exceptions or by leaving the working directory gets out of here."""
    try:
        return function(said), None
    except _Bye:
        raise
    except BaseException as error:
        return None, _told(error, question)
    finally:
        reads.go_back()


def _told(error, question):
    try:
        return questions.error_of(error, question)
    except Exception as second:  # An exception of the plugin's that can't even be printed.
        return {
            "domain": "plugin",
            "reason": "unhandled-exception",
            "message": "{} plugin '{}' failed with {}, which can't be shown: {}".format(
                question.get("type"), question.get("kind"), type(error).__name__, type(second).__name__
            ),
            "detail": None,
            "place": None,
            "temporary": False,
        }


def _load(channel, said):
    number = said.get("id")
    projects = [Project(project) for project in said.get("projects") or ()]
    for index, question in enumerate(said.get("questions") or ()):
        session.begin(working=False)
        answer, error = _attempt(lambda question: questions.answer(question, projects), question, question)
        frame = {"is": "answer", "id": number, "index": index}
        if error is None:
            try:
                # Sent at once, so that the asker knows of which question the host died.
                channel.send({**frame, **answer})
                continue
            except PackingError as problem:
                error = _told(problem, question)
        channel.send({**frame, "error": error, "warnings": session.warnings()})
    session.end()
    modules.remember()
    channel.send({"is": "done", "id": number, "read": reads.take()})


def _work(channel, said):
    if said["action"] in _OF_ELEMENTS:
        from . import elements

        question = elements.question_of(said)
        # An element has changed what its asker has; that can only be begun anew by the asker.
        retries = 0
        act = elements.act
        elements.begin(channel.ask, said)
    else:
        elements = None
        question = questions.subject(said)
        retries = said.get("retries") or 0
        act = questions.act
    while True:
        session.begin(working=True)
        with session.Pulse():
            result, error = _attempt(act, said, question)
        if elements is not None:
            elements.end()
            if channel.torn:
                raise _Bye("a plugin went on after a call that was not answered")
        if error is None:
            session.end()
            try:
                channel.send({"is": "done", "id": said.get("id"), **result})
                break
            except PackingError as problem:
                error = _told(problem, question)
        if not error["temporary"] or retries <= 0:
            session.end()
            channel.send({"is": "error", "id": said.get("id"), **error})
            break
        retries -= 1
        session.message("info", "Trying again after an error that may pass: {}".format(error["message"]), error["detail"])
    modules.remember()


def _again(channel, hello, said, environment):
    """Becomes a new host, which answers a request: one in which nothing is kept of files that have changed."""
    os.dup2(channel.descriptor, _SOCKET)
    data = pack([hello, said])
    request = os.memfd_create("request", 0)
    while data:
        data = data[os.write(request, data) :]
    os.lseek(request, 0, os.SEEK_SET)
    words = sys.orig_argv
    if _AGAIN in words:
        words = words[: words.index(_AGAIN)]
    session.log("plugins: a file that was read has changed; begun anew", None)
    try:
        os.execve(sys.executable, [*words, _AGAIN, str(request)], environment)
    except OSError as error:
        raise _Bye("can't begin anew: {}".format(error)) from None


def _kept():
    """What _again() has left: a greeting and a request; None if this host is the first."""
    if _AGAIN not in sys.argv:
        return None
    with open(int(sys.argv[-1]), "rb") as file:
        return unpack(file.read())


def main(directory):
    """Runs until the asker goes; `directory` is where the package buildstream lies."""
    environment = dict(os.environ)
    channel = _Channel()
    try:
        kept = _kept()
        hello = kept[0] if kept else channel.receive()
        if hello is None:
            return 0
        if hello.get("do") != "hello" or hello.get("protocol") != PROTOCOL:
            raise _Bye("no greeting of {}: {!r}".format(PROTOCOL, hello))
        import buildstream

        version = hello.get("version")
        if type(version) is str and version:
            buildstream.__version__ = version
        _limit(hello.get("memory"))
        sys.dont_write_bytecode = True
        session.start(channel.send)
        reads.start([directory, os.path.dirname(os.__file__), "/proc/self", "/dev"])
        modules.start()
        if not kept:
            channel.send({"is": "welcome", "protocol": PROTOCOL, "python": sys.version.split()[0]})
        said = kept[1] if kept else channel.receive()
        while said is not None:
            if said.get("action") not in _FOLLOWING and modules.changed():
                _again(channel, hello, said, environment)
            do = said.get("do")
            try:
                if do == "load":
                    _load(channel, said)
                elif do == "work":
                    _work(channel, said)
                else:
                    raise _Bye("nobody can do {!r}".format(do))
            except (KeyError, TypeError, IndexError) as error:
                import traceback

                traceback.print_exc()
                raise _Bye("a request that is none: {!r}".format(error)) from None
            said = channel.receive()
        return 0
    except _Bye as reason:
        session.log("plugins: {}".format(reason), None)
        return 1
