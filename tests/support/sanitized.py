#!/usr/bin/env python3
"""Runs a test of a build with sanitizers: sanitized.py DIRECTORY COMMAND...

A sanitizer ends the process that it finds at fault, which may be one that a test means to fail or whose standard error
nobody reads. So all reports go to files in DIRECTORY, which is emptied first. Where there is one at the end, it is printed
and the status is 1, whatever the command's was."""

import os
import shutil
import subprocess
import sys

OPTIONS = {
    "ASAN_OPTIONS": "handle_abort=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}


def main():
    directory, command = os.path.abspath(sys.argv[1]), sys.argv[2:]
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    os.chmod(directory, 0o777)  # some processes give up being root
    for name, options in OPTIONS.items():
        given = os.environ.get(name)
        os.environ[name] = ":".join([options, "log_path=" + os.path.join(directory, "report")] + ([given] if given else []))
    os.environ.setdefault("SLUICE_TEST_TIMEOUT", "240")  # all is slower
    status = subprocess.run(command, check=False).returncode
    reports = sorted(os.listdir(directory))
    for name in reports:
        with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
            print("======== %s\n%s" % (os.path.join(directory, name), file.read()[:20000]), file=sys.stderr)
    if reports:
        return 1
    return status if status >= 0 else 128 - status


sys.exit(main())
