"""compose/ as it is written: what can be said of it without the engines."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import bin_directory, main

COMPOSE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../compose"))
# What Debian's slim image has, and what comes with the packages that are named.
IN_THE_IMAGE = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libprotobuf32", "libabsl20220623", "libre2-9"}


def files(*suffixes):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(COMPOSE) for name in names if name.endswith(suffixes))


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    return done.returncode, done.stdout


class Compose(unittest.TestCase):
    def test_scripts(self):
        scripts = [path for path in files("") if path.endswith(".sh") or text_of(path).startswith("#!/bin/sh")]
        self.assertGreaterEqual(len(scripts), 4)
        for script in scripts:
            text = text_of(script)
            if script.endswith("slurm/join.sh"):
                text += "{}\nEND_OF_JOIN_FILE\n"
            with tempfile.NamedTemporaryFile("w", suffix=".sh") as whole:
                whole.write(text)
                whole.flush()
                self.assertEqual(run("sh", "-n", whole.name), (0, ""), script)
                if shutil.which("shellcheck"):
                    self.assertEqual(run("shellcheck", "--shell=sh", "--exclude=SC2174", whole.name), (0, ""), script)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_units(self):
        with tempfile.TemporaryDirectory() as directory:
            for unit in files(".service"):
                text = text_of(unit)
                programs = re.findall(r"^ExecStart=(\S+)", text, re.M)
                self.assertEqual([os.path.dirname(program) for program in programs], ["/usr/local/bin"], unit)
                # systemd wants to see the program.
                copy = os.path.join(directory, os.path.basename(unit).replace("@", "@x"))
                with open(copy, "w", encoding="utf-8") as file:
                    file.write(text.replace(programs[0], os.path.join(bin_directory(), os.path.basename(programs[0]))))
                self.assertEqual(run("systemd-analyze", "verify", "--man=no", copy), (0, ""), unit)

    def test_yaml(self):
        try:
            import yaml  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skipTest("no python3-yaml")
        compose = yaml.safe_load(text_of(os.path.join(COMPOSE, "compose.yaml")))
        self.assertEqual(set(compose["services"]), {"session", "cas", "runner", "renderer", "collector"})
        for name, service in compose["services"].items():
            self.assertNotIn("privileged", service)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            # What builds in sandboxes, and what does not.
            builds = ["${UNMASK:-unmask=/proc/*}", "seccomp=containers/seccomp.json"] if name in ("session", "runner") else []
            self.assertEqual(service["security_opt"], [*builds, "no-new-privileges"], name)
            self.assertEqual(service.get("cap_add"), {"session": ["SETFCAP", "DAC_OVERRIDE"], "runner": ["SETFCAP"]}.get(name), name)
            for volume in service["volumes"]:
                source = volume.split(":")[0] if not volume.startswith("${") else ""
                if source.startswith("."):
                    self.assertTrue(os.path.exists(os.path.join(COMPOSE, source)), volume)
                elif source:
                    self.assertIn(source, compose["volumes"])
        kinds = [(path, document["kind"]) for path in files(".yaml") if "kubernetes" in path for document in yaml.safe_load_all(text_of(path))]
        self.assertEqual([kind for _, kind in kinds], ["Deployment", "Service", "StatefulSet"])

    @unittest.skipUnless(shutil.which("dpkg-query") and shutil.which("ldd"), "no dpkg")
    def test_image_has_what_programs_are_linked_to(self):
        installed = set(re.findall(r"[a-z][a-z0-9+.-]+", text_of(os.path.join(COMPOSE, "Containerfile")).split("apt-get install", 1)[1].split("&&")[0]))
        directory, needed = bin_directory(), {}
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if not name.startswith("sluice") or not os.path.isfile(path):
                continue
            _, shown = run("readelf", "--dynamic", path)
            for library in re.findall(r"\(NEEDED\).*\[(.+)\]", shown):
                needed.setdefault(library, name)
        self.assertTrue(needed)
        for library, program in sorted(needed.items()):
            if library.startswith("ld-linux"):
                continue
            _, shown = run("dpkg-query", "--search", "*/" + library)
            packages = {line.split(":")[0] for line in shown.splitlines()}
            self.assertTrue(packages & (installed | IN_THE_IMAGE), "%s needs %s of %s" % (program, library, packages))

    def test_readme_names_all(self):
        readme = text_of(os.path.join(COMPOSE, "README.md"))
        for name in os.listdir(COMPOSE):
            if name not in ("README.md", "containers"):
                self.assertIn(name, readme)


if __name__ == "__main__":
    main()
