"""A runner with a store of its own, on this machine: another cache directory, and a sluice-cas with
mutual TLS between the two.

A test that has Elsewhere among its bases calls self.elsewhere() and builds with self.sluice(...): the
session starts its runner as the other machine would, so that every job goes there."""

import hashlib
import os
import shutil
import ssl
import stat
import subprocess
import time

import msgpack

from record_log import pack_log
from sluice_test import bin_directory

PROGRAMS_THAT_START_OTHERS = ("sluice", "sluice-session")
SERVER_NAME = "sluice-session"


def digest_map(digest):
    return {"hash": digest[0], "size": digest[1]}


class Elsewhere:
    def identity(self, name, common_name):
        """Makes NAME.key and NAME.crt; gives the certificate's fingerprint."""
        folder = os.path.join(self.directory, "identities")
        os.makedirs(folder, exist_ok=True)
        key, certificate = (os.path.join(folder, name + end) for end in (".key", ".crt"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
                        "-days", "2", "-subj", "/CN=" + common_name, "-addext", "subjectAltName=DNS:" + common_name], check=True, capture_output=True)
        with open(certificate, encoding="ascii") as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        return key, certificate, hashlib.sha256(der).hexdigest()

    def write_access(self, *entries):
        """Replaces the list of who may come: (fingerprint, role, more) each."""
        folder = os.path.join(self.directory, "access-state", "access")
        os.makedirs(folder, exist_ok=True)
        found = [{"public_key": "k%d" % i, "role": role, "name": "%s-%d" % (role, i), "certificate": fingerprint, **more}
                 for i, (fingerprint, role, more) in enumerate(entries)]
        temporary = os.path.join(folder, "list.new")
        with open(temporary, "wb") as file:
            file.write(pack_log(found))
        os.rename(temporary, os.path.join(folder, "list"))

    def start_cas(self, cachedir, port=0):
        process = subprocess.Popen(
            [os.path.join(bin_directory(), "sluice-cas"), cachedir, "--bind", "127.0.0.1:%d" % port, "--server-key", self.cas_key, "--server-cert", self.cas_certificate,
             "--session-access", os.path.join(self.directory, "access-state")], stdout=subprocess.PIPE, env=self.env)
        line = process.stdout.readline().decode()
        if not line.startswith("push https://"):
            raise AssertionError("sluice-cas said %r" % line)
        self.cas = process
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close()))
        return line.split()[1]

    def elsewhere(self, cachedir=None, slots=None, max_jobs=0):
        """Gives the directory of the other machine's things."""
        cachedir = cachedir or os.path.join(self.env["XDG_CACHE_HOME"], "buildstream")
        far = os.path.join(self.directory, "far")
        os.makedirs(far, exist_ok=True)
        self.cas_key, self.cas_certificate, _ = self.identity("cas", SERVER_NAME)
        key, certificate, self.runner_fingerprint = self.identity("runner", "host-b")
        self.write_access((self.runner_fingerprint, "runner", {}))
        self.cas_url = self.start_cas(cachedir)
        place = {"cachedir": far + "/cache", "sourcedir": far + "/sources", "builddir": far + "/build", "logdir": far + "/logs",
                 "cas": {"url": self.cas_url, "type": "all", "push": True, "server_cert": self.cas_certificate, "client_key": key, "client_cert": certificate},
                 "cas_name": SERVER_NAME, "max_jobs": max_jobs}
        self.place = os.path.join(far, "place")
        with open(self.place, "wb") as file:
            file.write(msgpack.packb(place))
        return far

    def programs_elsewhere(self):
        """A directory of programs whose session starts its runner elsewhere."""
        folder = os.path.join(self.directory, "bin")
        os.makedirs(folder)
        for name in os.listdir(bin_directory()):
            source, target = os.path.join(bin_directory(), name), os.path.join(folder, name)
            if name == "sluice-runner":
                with open(target, "w", encoding="utf-8") as file:
                    file.write('#!/bin/sh\nexec "%s" --place "%s" "$@"\n' % (source, self.place))
                os.chmod(target, stat.S_IRWXU)
            elif name in PROGRAMS_THAT_START_OTHERS:
                # Others are found beside the file itself, whatever link leads to it.
                shutil.copyfile(source, target)
                os.chmod(target, stat.S_IRWXU)
            else:
                os.symlink(source, target)
        return folder

    def assert_nothing_left_elsewhere(self):
        self.cas.terminate()
        self.assertEqual(self.cas.wait(), 0)
        self.assert_nothing_left()

    def restart_cas(self, cachedir=None):
        port = int(self.cas_url.rsplit(":", 1)[1])
        cachedir = cachedir or os.path.join(self.env["XDG_CACHE_HOME"], "buildstream")
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.start_cas(cachedir, port)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
