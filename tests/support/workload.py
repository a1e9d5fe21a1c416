"""Projects whose builds take as long as a test wants.

The base is busybox, linked statically: one file and some links, so that a build costs
next to nothing but what its commands do. `spin` is a command that uses the processor for a
while; a `gate` is one that waits until the test lets it through (or not) by a signal:
sandboxes have neither network nor files from outside, but a signal reaches into them."""

import os
import shutil
import signal

APPLETS = ("sh", "cat", "mkdir", "cp", "ls", "echo", "true", "false", "test", "touch")
CONF = "name: small\nmin-version: 2.0\nelement-path: elements\n"
BASE = "kind: import\nsources:\n- kind: local\n  path: files/base\n"


def busybox_base(project):
    """Puts a root into files/base of the project."""
    folder = os.path.join(project, "files", "base", "bin")
    os.makedirs(folder, exist_ok=True)
    source = shutil.which("busybox", path="/bin:/usr/bin")
    if source is None:
        raise AssertionError("busybox is missing: install busybox-static")
    target = os.path.join(folder, "busybox")
    shutil.copyfile(source, target)
    os.chmod(target, 0o755)
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(folder, applet))


def spin(rounds):
    """A shell command; 100,000 rounds take about a fifth of a second of a processor."""
    return "i=0; while [ $i -lt %d ]; do i=$((i+1)); done" % rounds


def gate(number):
    """A command that waits, and ends well by SIGUSR1 (128 + 10), badly by anything else."""
    return "echo gate %d; busybox sleep %d || test $? = 138" % (number, 5000 + number)


def manual(name, *commands, depends=()):
    """An element that runs the commands and installs a file of its own name."""
    lines = ["kind: manual", "build-depends:"] + ["- " + d for d in ("base.bst", *depends)] + ["config:", "  build-commands:"]
    lines += ["  - " + command for command in (*commands, "true")]
    lines += ["  install-commands:", "  - mkdir -p %{install-root}/usr/share",
              "  - echo %s > %%{install-root}/usr/share/%s" % (name, name), ""]
    return "\n".join(lines)


class Gates:
    """What a SluiceTest has besides: it finds the gates of running jobs, and opens them."""

    def at_gate(self, number):
        found = []
        for pid, name in self.processes().items():
            if name != "busybox":
                continue
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    if file.read().split(b"\0")[1:3] == [b"sleep", b"%d" % (5000 + number)]:
                        found.append(pid)
            except OSError:
                continue
        return found

    def wait_at_gate(self, number, but=()):
        return self.wait_until(lambda: [pid for pid in self.at_gate(number) if pid not in but], "a job at gate %d" % number)

    def open_gate(self, number, number_of_signal=signal.SIGUSR1):
        for pid in self.wait_at_gate(number):
            os.kill(pid, number_of_signal)
