"""Images for tests of containers, where no registry is reached: Debian 12 by debootstrap, under the name that the registry's
image has, and what a Containerfile makes of it.

debootstrap takes minutes, so its result is kept where the example's downloads are ($SLUICE_DOWNLOADS, else the user's cache)."""

import os
import shutil
import subprocess
import tempfile

SUITE = "bookworm"
NAME = "docker.io/library/debian:bookworm-slim"
PROGRAMS = ["podman", "podman-compose", "debootstrap", "crun", "conmon"]


def why_not():
    """Why there can be no containers here; None where there can."""
    if os.geteuid() != 0:
        return "containers: needs root"
    for program in PROGRAMS:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return "containers: no program %s" % program
    if not mirror():
        return "containers: apt is not configured with an archive of Debian 12"
    return None


def mirror():
    """The URI of the archive that apt has."""
    shown = subprocess.run(["apt-get", "indextargets", "--format", "$(RELEASE) $(CODENAME) $(REPO_URI)", "Created-By: Packages"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
    return next((line.split()[-1] for line in shown.splitlines() if SUITE in line.split()[:2]), None)


def base():
    """The path of a tarball with Debian's smallest root."""
    directory = os.environ.get("SLUICE_DOWNLOADS") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sluice/downloads")
    path = os.path.join(directory, "debian-%s-minbase.tar" % SUITE)
    if os.path.exists(path):
        return path
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="sluice-debian-") as work:
        root = os.path.join(work, "root")
        # What debootstrap mounts goes with its mount namespace.
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase", SUITE, root, mirror()],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError("debootstrap: %s" % done.stdout.decode("utf-8", "replace")[-2000:])
        new = "%s.%d" % (path, os.getpid())
        subprocess.run(["tar", "-C", root, "--one-file-system", "--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*",
                        "-cf", new, "."], check=True)
        os.rename(new, path)
    return path


def installed(bin_directory, root):
    """A build's programs in `root`, as an installation with the prefix /usr/local has them."""
    for place in ("usr/local/bin", "usr/local/libexec/sluice"):
        os.makedirs(os.path.join(root, place), exist_ok=True)
    for name in os.listdir(bin_directory):
        source = os.path.join(bin_directory, name)
        place = "usr/local/bin" if name in ("sluice", "sluice-cas") else "usr/local/libexec/sluice"
        if os.path.isdir(source):
            if name == "plugins":
                shutil.copytree(source, os.path.join(root, place, name), symlinks=False)
        elif name.startswith("sluice"):
            shutil.copy(source, os.path.join(root, place, name))


class Podman:
    """podman with a store of its own below `directory`."""

    def __init__(self, directory):
        self.store = os.path.join(directory, "podman")
        self.config = os.path.join(directory, "containers.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write('[engine]\nevents_logger = "file"\ncgroup_manager = "cgroupfs"\n')

    def __call__(self, *arguments, timeout=600):
        done = subprocess.run(
            ["podman", "--root", self.store + "/root", "--runroot", self.store + "/run", "--storage-driver", "overlay", *arguments],
            env={**os.environ, "CONTAINERS_CONF": self.config}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout, check=False)
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            raise RuntimeError("podman %s: %s" % (" ".join(arguments), text[-3000:]))
        return text

    def remove(self):
        self("system", "reset", "--force")

    def build(self, containerfile, context, name):
        """An image of a Containerfile, whose commands see this machine's network, in a change of root: for making images this
        machine needs no cgroups."""
        self("import", base(), NAME)
        self("build", "--isolation", "chroot", "--network", "host", "--tag", name, "--file", containerfile, context)
