"""Chromium without a window: the page as it has it, or a browser that a test steers (DevTools protocol on a pipe)."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio import to_thread

from tests.support.programs import need

T = TypeVar("T")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
)  # fmt: skip
WITHIN_S = 20.0


async def dom(where: str, home: Path) -> str:
    """Return the page as Chromium has it after some seconds of its own time; fails when it refused anything."""
    done = await anyio.run_process(
        [
            need("chromium"), *FLAGS, f"--user-data-dir={home}", "--virtual-time-budget=9000",
            "--dump-dom", f"http://{where}/",
        ]
    )  # fmt: skip
    console = [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line]
    assert not [line for line in console if "Content Security Policy" in line or "Uncaught" in line], console
    return done.stdout.decode()


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe, none of them where the browser expects its own."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


class Browser:
    """One tab of a Chromium. Its methods block; `steered` runs them beside the event loop."""

    def __init__(self, home: Path) -> None:
        (to_read, to_write), (from_read, from_write) = _pipe(), _pipe()
        words = [need("chromium"), *FLAGS, f"--user-data-dir={home}", "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "bash", *words],
            pass_fds=(to_read, from_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(from_write)
        self._to, self._from = os.fdopen(to_write, "wb", buffering=0), os.fdopen(from_read, "rb")
        self._number, self._session, self._rest = 0, "", b""
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol; return its result."""
        number = self._send(method, params)
        while True:
            message = self._next()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        return self._number

    def _next(self) -> dict[str, Any]:
        """Return the next message; answer dialogs, keep what the page complains of."""
        while b"\0" not in self._rest:
            more = os.read(self._from.fileno(), 65536)
            assert more, "the browser is gone"
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        params = message.get("params", {})
        match message.get("method"):
            case "Page.javascriptDialogOpening":
                self.dialogs.append(params["message"])
                self._send("Page.handleJavaScriptDialog", {"accept": True})
            case "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"]))
            case "Log.entryAdded" if params["entry"]["level"] == "error" and params["entry"]["source"] == "security":
                self.errors.append(params["entry"]["text"])
        return message

    def open(self, url: str) -> None:
        """Load a page."""
        self.call("Page.navigate", url=url)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression of JavaScript, of a promise when it is there."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        self.evaluate(
            "new Promise((done, no) => { const ask = () => (" + script + ") ? done() : setTimeout(ask, 20); ask();"
            f" setTimeout(() => no(new Error('never: ' + document.body.innerText)), {WITHIN_S * 1000}); }})"
        )

    def type(self, text: str) -> None:
        """Type a text into the element that has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._to.close()
        self._from.close()


class Steered:
    """A browser, steered from an event loop that serves its page meanwhile."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    async def do(self, method: Callable[..., T], *args: Any, **params: Any) -> T:
        with anyio.fail_after(WITHIN_S + 10):
            return await to_thread.run_sync(partial(method, *args, **params), abandon_on_cancel=True)

    async def open(self, url: str) -> None:
        await self.do(self.browser.open, url)

    async def evaluate(self, script: str) -> Any:
        return await self.do(self.browser.evaluate, script)

    async def until(self, script: str) -> None:
        await self.do(self.browser.until, script)

    async def press(self, key: str, code: int) -> None:
        await self.do(self.browser.press, key, code)

    async def type(self, text: str) -> None:
        await self.do(self.browser.type, text)

    async def call(self, method: str, **params: Any) -> Any:
        return await self.do(self.browser.call, method, **params)


@asynccontextmanager
async def steered(home: Path) -> AsyncIterator[Steered]:
    browser = await to_thread.run_sync(Browser, home)
    try:
        yield Steered(browser)
    finally:
        await to_thread.run_sync(browser.close)
