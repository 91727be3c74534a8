"""A real browser without a screen, driven by W3C WebDriver (chromedriver) over plain HTTP on the loopback."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
START_S = 60
ANSWER_S = 120
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "Tab": "\ue004", "Enter": "\ue007", "Space": " ", "Home": "\ue011", "End": "\ue010", "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015", "PageUp": "\ue00e", "PageDown": "\ue00f",
    "Shift": "\ue008",
}


class BrowserError(Exception):
    pass


class Browser:
    """One browser with one window. Use as a context manager: both processes end with it."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="holdfast-browser-")
        self.driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "HOME": self.profile, "no_proxy": "127.0.0.1"},
        )
        self.session = None
        try:
            self.base = f"http://127.0.0.1:{self.read_port()}"
            self.session = self.start_session()
            self.command("POST", "/url", {"url": "about:blank"})  # and what a new tab asks for is over
            self.log("performance")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read_port(self):
        found = []

        def read():
            for line in self.driver.stdout:  # to its end, or the pipe would fill
                match = re.search(rb"started successfully on port (\d+)", line)
                if match:
                    found.append(int(match.group(1)))

        threading.Thread(target=read, daemon=True).start()
        deadline = time.monotonic() + START_S
        while not found:
            if time.monotonic() > deadline or self.driver.poll() is not None:
                raise BrowserError("chromedriver does not start")
            time.sleep(0.02)
        return found[0]

    def start_session(self):
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--no-first-run", "--disable-background-networking", "--window-size=1280,900",
                     f"--user-data-dir={self.profile}/profile"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": CHROMIUM, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"script": ANSWER_S * 1000, "pageLoad": ANSWER_S * 1000},
        }}})
        return answer["sessionId"]

    def close(self):
        if self.session is not None:
            try:
                self.ask("DELETE", f"/session/{self.session}")
            except (BrowserError, OSError):
                pass
        self.driver.terminate()
        try:
            self.driver.wait(20)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise BrowserError(f"{value['error']}: {value['message']}") from None

    def command(self, method, path, body=None):
        return self.ask(method, f"/session/{self.session}{path}", body)

    # ---- the page ----

    def open(self, path, fragment=""):
        """Opens a file, and answers after how many seconds its script was done."""
        start = time.monotonic()
        self.command("POST", "/url", {"url": "file://" + path + fragment})
        while not self.run("return document.documentElement.dataset.ready === 'yes'"):
            if time.monotonic() - start > ANSWER_S:
                raise BrowserError("the page is never ready")
            time.sleep(0.01)
        return time.monotonic() - start

    def run(self, script, *arguments):
        return self.command("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments):
        """Until the script answers something true; answers that."""
        deadline = time.monotonic() + 20
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > deadline:
                raise BrowserError(f"never true: {script}")
            time.sleep(0.02)

    def find(self, selector):
        return self.command("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.command("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        self.command("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def keys(self, *names):
        """Presses these keys, one after the other, wherever the focus is. "Shift+Tab" holds Shift."""
        actions = []
        for name in names:
            held = [KEYS.get(part, part) for part in name.split("+")] if len(name) > 1 else [name]
            actions += [{"type": "keyDown", "value": key} for key in held]
            actions += [{"type": "keyUp", "value": key} for key in reversed(held)]
        self.command("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector)

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def devtools(self, method, **parameters):
        return self.command("POST", "/goog/cdp/execute", {"cmd": method, "params": parameters})

    def scheme(self, name):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=False)

    def screenshot(self, path, whole=False):
        options = {"captureBeyondViewport": whole}
        if whole:
            box = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": box["width"], "height": min(box["height"], 8000), "scale": 1}
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.devtools("Page.captureScreenshot", **options)["data"]))

    # ---- what went on meanwhile ----

    def log(self, kind):
        return self.command("POST", "/se/log", {"type": kind})

    def complaints(self):
        """What the console was told since the last call."""
        return [entry["message"] for entry in self.log("browser")]

    def requests(self):
        """The addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
