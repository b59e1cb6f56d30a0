"""Headless Chromium over its own pipe: pages as people see them, and what the page asked for."""

import base64
import http.server
import io
import json
import os
import shutil
import subprocess
import threading

import matplotlib.image as png

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LIMIT_S = 240


def find():
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """A browser; commands and events are JSON between NULs on file descriptors 3 and 4."""

    def __init__(self, program, profile):
        ours_r, theirs_w = os.pipe()
        theirs_r, ours_w = os.pipe()

        def hand_over():
            os.dup2(theirs_r, 33)
            os.dup2(theirs_w, 34)
            os.dup2(33, 3)
            os.dup2(34, 4)

        self.process = subprocess.Popen(
            [
                program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
                f"--user-data-dir={profile}", "about:blank",
            ],
            preexec_fn=hand_over,  # noqa: PLW1509 - they must be descriptors 3 and 4
            close_fds=False, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_r)
        os.close(theirs_w)
        self.out = os.fdopen(ours_w, "wb", buffering=0)
        self.source = os.fdopen(ours_r, "rb", buffering=0)
        self.killer = threading.Timer(LIMIT_S, self.process.kill)
        self.killer.start()
        self.pending, self.number, self.events, self.session = b"", 0, [], None
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")

    def close(self):
        self.killer.cancel()
        self.process.kill()
        self.process.wait()
        self.out.close()
        self.source.close()

    def send(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _read(self):
        while b"\0" not in self.pending:
            data = self.source.read(65536)
            assert data, "Chromium ended"
            self.pending += data
        line, self.pending = self.pending.split(b"\0", 1)
        return json.loads(line)

    def open(self, url, *, media="", scheme="light", script=True, width=1180, scale=1):
        """Load a page; ``events`` holds what happened since."""
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=media, features=features)
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=scale, mobile=False,
        )  # fmt: skip
        for address in ("about:blank", url):
            self.events.clear()
            self.send("Page.navigate", url=address)
            while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
                self.events.append(self._read())

    def evaluate(self, expression):
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"]["value"]

    def picture(self, path=None):
        """The whole page: [height, width, 3 or 4] in 0..1."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        data = base64.b64decode(answer["data"])
        if path is not None:
            path.write_bytes(data)
        return png.imread(io.BytesIO(data))

    def pdf(self):
        return base64.b64decode(self.send("Page.printToPDF", printBackground=False)["data"])

    def requests(self):
        return [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self):
        """What the console and the log said."""
        logged = [
            e["params"]["entry"]["text"] for e in self.events if e.get("method") == "Log.entryAdded"
        ]
        spoken = [
            str(e["params"])
            for e in self.events
            if e.get("method") in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        ]
        return logged + spoken


class Server:
    """A page on this computer, with the headers that are asked for."""

    def __init__(self, page, policy):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = self.path == "/report.html"
                self.send_response(200 if found else 204)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                if found:
                    self.wfile.write(page)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/report.html"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
