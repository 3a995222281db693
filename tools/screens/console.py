"""Captures the pages of the console into docs/img/ in a browser without a window: `make screens` runs this, too.

A daemon works on sessions of `reaper sandbox`, which refuses some and fails now and then; a guard holds a sweep. Only
the path of the home, the host and the port are shown as others than they are.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.support.browser import Browser
from tools.screens.terminal import BIN, ROOT, TOKEN, Sandbox

IMAGES = ROOT / "docs" / "img"
ADMIN = "correct-horse-battery-staple"
WIDE, PHONE = (1000, 900), (360, 780)
SHOTS = (
    # name, path, size, dark
    ("page-light", "", WIDE, False),
    ("page-dark", "", WIDE, True),
    ("console-dead", "dead", WIDE, False),
    ("console-hold", "holds?hold={hold}", PHONE, True),
    ("console-act", "act", PHONE, False),
)


def main() -> None:
    home = Path(tempfile.mkdtemp())
    faults = ("--fail", "403:0.03,422:0.02,502:0.2", "--latency", "p50=40ms,p99=300ms")
    sandbox = Sandbox(("--sessions", "900", "--seed", "7", *faults))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (home / "ids.txt").write_text("".join(f"{one}\n" for one in sandbox.ids()[:600]))
    (home / "admins").write_text(f"ann {ADMIN}\n")
    (home / "admins").chmod(0o600)
    environ = {
        "HOME": str(home), "PATH": os.environ["PATH"], "ARCHAL_TOKEN": TOKEN, "REAPER_API__BASE_URL": sandbox.url,
        "REAPER_TELEMETRY__LISTEN": address, "REAPER_TELEMETRY__PAGE_IDS": "true", "REAPER_GUARD__MAX_PER_SWEEP": "1",
        "REAPER_TELEMETRY__ADMIN_TOKEN_FILE": str(home / "admins"), "REAPER_DISCOVERY__ENABLED": "true",
        "REAPER_DISCOVERY__ENFORCE": "true", "REAPER_INTAKE__FILES": str(home / "ids.txt"),
    }  # fmt: skip
    daemon = subprocess.Popen([str(BIN / "reaper"), "run"], env=environ, stderr=subprocess.DEVNULL)
    try:
        hold = wait_settled(f"http://{address}/status", 600)
        browser = Browser(home / "browser")
        for name, path, size, dark in SHOTS:
            capture(browser, address, sandbox.url, home, name, path.format(hold=hold), size, dark=dark)
        browser.close()
    finally:
        daemon.terminate()
        daemon.wait()
        sandbox.close()
        shutil.rmtree(home, ignore_errors=True)


def wait_settled(url: str, count: int) -> str:
    """Wait until so many sessions are settled, a minute at most; return the sweep that is held."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                status = json.load(answer)
            if sum(status["settled"].values()) >= count and status["holds"]:
                held: str = status["holds"][0]["id"]
                return held
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit("the daemon did not get there")
        time.sleep(0.5)


def capture(
    browser: Browser, address: str, api: str, home: Path, name: str, path: str, size: tuple[int, int], *, dark: bool
) -> None:
    """Write one picture."""
    browser.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.call("Emulation.setEmulatedMedia", features=[scheme])
    browser.open(f"http://{address}/{path}")
    if not path:
        browser.until("document.querySelectorAll('#chart rect').length > 0")
        browser.evaluate("document.getElementById('hold').click()")
    shown = {
        str(home): "/home/ann",
        api: "https://archal.example",
        api.partition("://")[2]: "archal.example",
        socket.gethostname(): "web-1",
    }
    browser.evaluate(
        f"""(() => {{
          const shown = {json.dumps(shown)};
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {{
            if (["SCRIPT", "STYLE"].includes(walk.currentNode.parentElement.tagName)) continue;
            for (const [from, to] of Object.entries(shown))
              walk.currentNode.data = walk.currentNode.data.replace(RegExp(`(?<!\\w)${{from}}(?!\\w)`, "g"), to);
          }}
        }})()"""
    )
    height = min(browser.evaluate("document.body.offsetHeight"), 1400)
    clip = {"x": 0, "y": 0, "width": size[0], "height": height, "scale": 1}
    found = browser.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
    (IMAGES / f"{name}.png").write_bytes(base64.b64decode(found["data"]))


if __name__ == "__main__":
    main()
