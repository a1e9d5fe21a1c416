"""Chromium without a window, driven by chromedriver (W3C WebDriver), for tests of pages."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"


def need_browser():
    """Skips the test, by name, where there is no browser."""
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")


class Browser:
    """One window. Commands that fail raise AssertionError with what the driver says."""

    def __init__(self, width=1280, height=900, dark=False, scale=1, touch=False):
        self.profile = tempfile.mkdtemp(prefix="slt-browser-")
        self.log = open(os.path.join(self.profile, "driver.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            self.base = "http://127.0.0.1:" + self._port()
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                         "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + os.path.join(self.profile, "data"), f"--window-size={width},{height}"]
            answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": arguments}}}})
            self.session = "/session/" + answer["sessionId"]
            self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=touch)
            self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        except BaseException:
            self.close()
            raise

    def _port(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.log.flush()
            with open(self.log.name, encoding="utf-8") as file:
                found = re.search(r"started successfully on port (\d+)", file.read())
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        with open(self.log.name, encoding="utf-8") as file:
            raise AssertionError("chromedriver didn't start: " + file.read())

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:2000]}") from None

    def command(self, name, **parameters):
        """A command of the DevTools protocol."""
        return self._ask("POST", self.session + "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, url):
        self._ask("POST", self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        """What the script, a function's body, returns."""
        return self._ask("POST", self.session + "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, timeout=30):
        """Until the script returns something true, which is returned."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.run(script, *arguments)
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {script}\n{self.run('return document.body.innerText')[:3000]}\n{self.messages()}")
            time.sleep(0.05)

    def click(self, selector):
        found = self._ask("POST", self.session + "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"{self.session}/element/{found[ELEMENT]}/click", {})

    def keys(self, text):
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._ask("POST", self.session + "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def messages(self):
        """What the browser has complained of since the last call: scripts' errors, violations of the page's policy."""
        return [each["message"] for each in self._ask("POST", self.session + "/se/log", {"type": "browser"}) if each["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path, whole=False):
        parameters = {"captureBeyondViewport": True} if whole else {}
        if whole:
            size = self.command("Page.getLayoutMetrics")["cssContentSize"]
            parameters["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.command("Page.captureScreenshot", **parameters)["data"]))

    def close(self):
        try:
            if getattr(self, "session", None):
                self._ask("DELETE", self.session)
        except (AssertionError, OSError):
            pass
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.log.close()
            shutil.rmtree(self.profile, ignore_errors=True)
