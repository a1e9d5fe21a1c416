"""`sluice sbom`: documents that the formats' own schemas accept. The schemas are not ours: CycloneDX's come
from npm while the test runs, SPDX's from the file that $SLUICE_SPDX_SCHEMA names (schemas/spdx-schema.json of
github.com/spdx/spdx-spec, 2.3); what can't be had skips its test."""

import json
import os
import shutil
import subprocess
import sys
import tarfile

try:
    import jsonschema
except ImportError:
    jsonschema = None

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402

SUM = "a" * 64
COMMIT = "c" * 40
PROJECT = {
    "project.conf": """\
name: small
min-version: 2.5
element-path: elements
aliases:
  up: https://me:secret@example.org/
plugins:
- origin: pip
  package-name: buildstream-plugins
  sources: [cargo, git, patch]
- origin: local
  path: plugins
  sources: [odd]
""",
    "plugins/odd.py": """\
from buildstream import Source


class Odd(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        pass

    def preflight(self):
        pass

    def get_unique_key(self):
        return "odd"

    def is_resolved(self):
        return True

    def is_cached(self):
        return False

    def load_ref(self, node):
        pass

    def get_ref(self):
        return None

    def set_ref(self, ref, node):
        pass

    def fetch(self):
        pass

    def stage(self, directory):
        pass


def setup():
    return Odd
""",
    "elements/tool.bst": "kind: import\nsources:\n- kind: git\n  url: up:repo.git\n  ref: %s\n" % COMMIT,
    "elements/lib.bst": """\
kind: manual
description: |
  A library,
  of two lines
build-depends: [tool.bst]
sources:
- kind: tar
  url: up:zlib-1.3.1.tar.gz
  ref: %s
  provenance:
    homepage: https://zlib.net
- kind: patch
  path: files/fix.patch
- kind: cargo
  ref:
  - {name: serde, version: 1.0.0, sha: %s}
public:
  cpe: {vendor: zlib, product: zlib}
""" % (SUM, SUM),
    "elements/data.bst": "kind: import\nsources:\n- kind: local\n  path: files\ndepends: [lib.bst]\n",
    "files/fix.patch": "--- a\n",
}

class Sbom(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project(PROJECT)

    def sbom(self, *arguments):
        return self.sluice("sbom", *arguments, cwd=self.at)

    def test_documents(self):
        spdx = self.sbom("data.bst").stdout
        self.assertEqual(self.sbom("data.bst", "--format", "spdx").stdout, spdx)
        document = json.loads(spdx)
        names = {package["name"]: package for package in document["packages"]}
        self.assertEqual(names["repo"]["downloadLocation"], "git+https://example.org/repo.git@" + COMMIT)
        self.assertEqual(names["zlib-1.3.1.tar.gz"]["checksums"], [{"algorithm": "SHA256", "checksumValue": SUM}])
        self.assertEqual(names["serde-1.0.0.crate"]["externalRefs"][0]["referenceLocator"], "pkg:cargo/serde@1.0.0")
        self.assertEqual(names["lib.bst"]["description"], "A library, of two lines")
        self.assertNotIn("secret", spdx)
        # What it is of, and what is in it.
        out = os.path.join(self.directory, "bom.json")
        self.assertEqual(self.sbom("--format", "cyclonedx", "--deps", "run", "--output", out, "data.bst").stdout, "")
        with open(out, encoding="utf-8") as file:
            bom = json.load(file)
        self.assertEqual(bom["metadata"]["component"]["name"], "data.bst")
        self.assertNotIn("tool.bst", [component["name"] for component in bom["components"]])
        whole = json.loads(self.sbom("--format", "cyclonedx", "data.bst").stdout)
        scopes = {component["name"]: component["scope"] for component in whole["components"]}
        self.assertEqual((scopes["tool.bst"], scopes["lib.bst"], scopes["repo"]), ("excluded", "required", "excluded"))
        self.sluice("sbom", "--format", "other", cwd=self.at, status=2)
        self.assertIn("no.bst", self.sluice("sbom", "no.bst", cwd=self.at, status=1).stderr)

    def test_plugins_that_do_not_tell(self):
        self.write("project/elements/odd.bst", "kind: import\nsources:\n- kind: odd\n")
        told = self.sluice("sbom", "odd.bst", cwd=self.at)
        self.assertIn("of kind 'odd'", told.stderr)
        package, = [package for package in json.loads(told.stdout)["packages"] if package["name"] == "odd"]
        self.assertEqual(package["downloadLocation"], "NOASSERTION")
        self.assertIn("annotations", package)

    def validate(self, schema, text, others=()):
        """Raises what is wrong with the document. Schemas are found by the names by which they refer to each other."""
        base = schema["$id"].rpartition("/")[0] + "/"
        store = {base + name: other for name, other in others}
        resolver = jsonschema.RefResolver(base, schema, store=store)
        jsonschema.Draft7Validator(schema, resolver=resolver, format_checker=jsonschema.draft7_format_checker).validate(json.loads(text))

    def test_cyclonedx_schema(self):
        if jsonschema is None:
            self.skipTest("python3-jsonschema is not here")
        if shutil.which("npm") is None:
            self.skipTest("npm is not here")
        done = subprocess.run(["npm", "pack", "--fetch-retries=0", "--pack-destination", self.directory, "@cyclonedx/cyclonedx-library@6"],
                              cwd=self.directory, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            self.skipTest("npm has no registry: " + done.stderr[-200:])
        schemas = {}
        with tarfile.open(os.path.join(self.directory, done.stdout.split()[-1])) as archive:
            for name in ("bom-1.5", "jsf-0.82", "spdx"):
                name += ".SNAPSHOT.schema.json"
                schemas[name] = json.load(archive.extractfile("package/res/schema/" + name))
        schema = schemas.pop("bom-1.5.SNAPSHOT.schema.json")
        text = self.sbom("--format", "cyclonedx", "data.bst").stdout
        self.validate(schema, text, schemas.items())
        self.validate(schema, self.sbom("--format", "cyclonedx").stdout, schemas.items())
        # The schema is taken seriously.
        with self.assertRaises(jsonschema.ValidationError):
            self.validate(schema, text.replace('"library"', '"thing"'), schemas.items())

    def test_spdx_schema(self):
        if jsonschema is None:
            self.skipTest("python3-jsonschema is not here")
        path = os.environ.get("SLUICE_SPDX_SCHEMA")
        if not path:
            self.skipTest("$SLUICE_SPDX_SCHEMA names no schema of SPDX 2.3")
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        text = self.sbom().stdout
        self.validate(schema, text)
        with self.assertRaises(jsonschema.ValidationError):
            self.validate(schema, text.replace('"PATCH_FOR"', '"PATCHES"'))


if __name__ == "__main__":
    main()
