"""`sluice sbom`: documents that the formats' own schemas accept. The schemas are not ours: CycloneDX's come
from npm while the test runs, SPDX's from the file that $SLUICE_SPDX_SCHEMA names (schemas/spdx-schema.json of
github.com/spdx/spdx-spec, 2.3); what can't be had skips its test."""

import json
import os
import shutil
import subprocess
import sys

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
  sources: [git, cargo, pip]
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
# Validates documents, which are named in pairs of schema and document; the last ones are schemas that others refer to.
VALIDATE = """
const fs = require('fs'), Ajv = require('ajv'), read = name => JSON.parse(fs.readFileSync(name));
const ajv = new Ajv({strict: false, allErrors: true, validateFormats: true});
require('ajv-formats')(ajv); require('ajv-formats-draft2019')(ajv);
const [schema, document, ...others] = process.argv.slice(2);
others.forEach(name => ajv.addSchema(read(name)));
const check = ajv.compile(read(schema));
if (!check(read(document))) { console.log(JSON.stringify(check.errors, null, 1)); process.exit(1); }
"""


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

    def validator(self, *packages):
        if shutil.which("npm") is None or shutil.which("node") is None:
            self.skipTest("npm and node are not here")
        place = os.path.join(self.directory, "npm")
        os.mkdir(place)
        done = subprocess.run(["npm", "install", "--prefix", place, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0",
                               "ajv@8", "ajv-formats@3", "ajv-formats-draft2019@1", *packages], capture_output=True, text=True, timeout=100, check=False)
        if done.returncode != 0:
            self.skipTest("npm has no registry: " + done.stderr[-200:])
        self.write("npm/validate.cjs", VALIDATE)
        return place

    def validate(self, place, schema, text, *others):
        document = os.path.join(self.directory, "document.json")
        with open(document, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run(["node", os.path.join(place, "validate.cjs"), schema, document, *others], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[:3000])

    def test_cyclonedx_schema(self):
        place = self.validator("@cyclonedx/cyclonedx-library@6")
        schemas = os.path.join(place, "node_modules/@cyclonedx/cyclonedx-library/res/schema")
        others = [os.path.join(schemas, name + ".SNAPSHOT.schema.json") for name in ("jsf-0.82", "spdx")]
        for arguments in (["data.bst"], []):
            text = self.sbom("--format", "cyclonedx", *arguments).stdout
            self.validate(place, os.path.join(schemas, "bom-1.5.SNAPSHOT.schema.json"), text, *others)
        # The schema is taken seriously.
        with self.assertRaises(AssertionError):
            self.validate(place, os.path.join(schemas, "bom-1.5.SNAPSHOT.schema.json"), text.replace('"library"', '"thing"'), *others)

    def test_spdx_schema(self):
        schema = os.environ.get("SLUICE_SPDX_SCHEMA")
        if not schema:
            self.skipTest("$SLUICE_SPDX_SCHEMA names no schema of SPDX 2.3")
        place = self.validator()
        text = self.sbom().stdout
        self.validate(place, schema, text)
        with self.assertRaises(AssertionError):
            self.validate(place, schema, text.replace('"PATCH_FOR"', '"PATCHES"'))


if __name__ == "__main__":
    main()
