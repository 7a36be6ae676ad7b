"""A headless Chromium on a pipe, and a plain server that notes what is asked of it."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import itertools
import json
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --use-angle=swiftshader --enable-unsafe-swiftshader "
    "--remote-debugging-pipe --window-size=1280,900"
)


class Page:
    """One page of a browser, driven through Chromium's DevTools protocol (messages end in a NUL byte).

    Attributes:
        asked: addresses that the page and its workers asked for.
        console: errors and warnings on the console.
    """

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._left = send, receive, b""
        self._numbers = itertools.count(1)
        self.asked: list[str] = []
        self.console: list[str] = []
        self._workers: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.page(f"{domain}.enable")
        self._follow_workers(self._session)

    def call(self, method: str, session: str | None = None, **params) -> dict:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._send, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            for event in self._events(1.0):
                if event.get("id") == number:
                    assert "error" not in event, (method, event)
                    return event["result"]
        raise TimeoutError(method)

    def page(self, method: str, **params) -> dict:
        return self.call(method, self._session, **params)

    def run(self, code: str, session: str | None = None):
        """The value of an expression in the page, promises awaited."""
        words = {"expression": code, "awaitPromise": True, "returnByValue": True}
        got = self.call("Runtime.evaluate", session or self._session, **words)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def run_in_worker(self, code: str):
        return self.run(code, self._workers[-1])

    def open(self, address: str, until: str = "['ready', 'fault'].includes(document.body?.dataset.state)") -> None:
        """Open an address and wait until a condition holds; by default, that the web page of a model is loaded."""
        self.page("Page.navigate", url="about:blank")  # and let the page before say its last words
        self.wait_for("location.href === 'about:blank'")
        self.asked.clear()
        self.console.clear()
        self.page("Page.navigate", url=address)
        self.wait_for(until)

    def read(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self.open(path.as_uri(), f"location.href === {path.as_uri()!r} && document.readyState === 'complete'")

    @contextlib.contextmanager
    def emulate(self, width: int = 1280, height: int = 900, media: str = "", scheme: str = "light") -> Iterator[None]:
        """Another size of the window in CSS pixels, medium ("print") or colour scheme, for the time of a block."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.page("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.page("Emulation.setEmulatedMedia", media=media, features=features)
        try:
            yield
        finally:
            self.page("Emulation.setEmulatedMedia", media="", features=[])
            self.page("Emulation.clearDeviceMetricsOverride")

    def wait_for(self, condition: str, seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{condition}: {self.run('document.body.innerText')} {self.console}")
            time.sleep(0.05)

    def choose(self, selector: str, *files: Path) -> None:
        """Put files into a file input, as a person would."""
        node = self.call("Runtime.evaluate", self._session, expression=f"document.querySelector({selector!r})")
        self.page("DOM.setFileInputFiles", files=list(map(str, files)), objectId=node["result"]["objectId"])

    def drop(self, *files: Path) -> None:
        data = {"items": [], "files": list(map(str, files)), "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.page("Input.dispatchDragEvent", type=kind, x=100, y=400, data=data)

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({selector!r}).click()")

    def segment(self, *files: Path) -> str:
        """Give the page the scans of one case, the first by its input and several by dropping; what it then says."""
        self.run("document.body.dataset.state = 'waiting'")
        self.drop(*files) if len(files) > 1 else self.choose("input[type=file]", *files)
        self.wait_for("['done', 'fault'].includes(document.body.dataset.state)")
        return self.run("document.getElementById('status').textContent")

    def save(self, folder: Path) -> Path:
        """Press the button that saves the mask, and wait for the file."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.click("#save")
        deadline = time.monotonic() + 60
        while not (found := list(folder.glob("*_mask.nii.gz"))):
            assert time.monotonic() < deadline, self.console
            time.sleep(0.05)
        return found[0]

    def press(self, key: str) -> None:
        self.page("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
        self.page("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.page("Page.captureScreenshot", format="png")["data"]))

    def _follow_workers(self, session: str) -> None:
        self.call("Target.setAutoAttach", session, autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def _events(self, seconds: float) -> list[dict]:
        if not select.select([self._receive], [], [], seconds)[0]:
            return []
        *whole, self._left = (self._left + os.read(self._receive, 1 << 20)).split(b"\0")
        events = [json.loads(message) for message in whole]
        for event in events:
            self._note(event.get("method"), event.get("params", {}))
        return events

    def _note(self, method: str | None, params: dict) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.console.append(str([argument.get("value") for argument in params["args"]]))
        elif method == "Target.attachedToTarget" and params["targetInfo"]["type"] == "worker":
            self._workers.append(params["sessionId"])


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Page]:
    """A page of a fresh Chromium, or a skip."""
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    profile = tmp_path_factory.mktemp("profile")
    # Chromium reads its file 3 and writes to its file 4.
    shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    words = ["bash", "-c", shell, "bash", CHROMIUM, *FLAGS.split(), f"--user-data-dir={profile}"]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen(words, pass_fds=(theirs_in, theirs_out), stderr=log, stdout=log)
    try:
        yield Page(ours_out, ours_in)
    finally:
        process.terminate()
        process.wait(timeout=30)
        for end in (theirs_in, ours_out, ours_in, theirs_out):
            os.close(end)


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder as `python -m http.server` does, and keeps the paths that were asked for."""

    def __init__(self, folder: Path, headers: dict[str, str] | None = None) -> None:
        server = self
        self.paths: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *words) -> None:
                server.paths.append(self.path)

            def end_headers(self) -> None:
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                super().end_headers()

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


@pytest.fixture
def serve() -> Iterator:
    """A function that serves a folder, with extra headers where given."""
    servers: list[Server] = []

    def start(folder: Path, headers: dict[str, str] | None = None) -> Server:
        servers.append(Server(folder, headers))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
