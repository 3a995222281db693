"""Run every verb of reaper and the daemon against `reaper sandbox`; record what programs see of it: shapes, not values.

All of it happens on free ports of this machine, in a temporary directory. `tools.public_interface` prints the record.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

WAIT_S = 30.0
TOKEN = "archal_ws_interface"
VALUES = {"outcome", "state", "rule", "fate", "event", "level"}
"""JSON keys whose texts are names themselves."""


def command(
    *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run reaper with the environment `env` and nothing else."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "80", "LC_ALL": "C.UTF-8", **(env or {})}
    asked = [sys.executable, "-m", "reaper", *words]
    return subprocess.run(asked, env=clean, cwd=cwd or "/", capture_output=True, text=True, check=False, input="")


# --- a world of its own: sandbox, ledger, daemon ----------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class World:
    """Runs reaper in a home of its own against a sandbox, and records what it prints: shapes, never values."""

    home: Path
    env: dict[str, str]
    ids: list[str] = dataclasses.field(default_factory=list)
    exits: list[str] = dataclasses.field(default_factory=list)
    shapes: dict[str, dict[str, set[str]]] = dataclasses.field(default_factory=dict)
    events: dict[str, set[str]] = dataclasses.field(default_factory=dict)

    def run(self, *words: str, of: str = "", **env: str) -> str:
        """Run once; record exit code, the shape of each JSON line under the verb `of`, and the events."""
        done = command(*words, env=self.env | env, cwd=self.home)
        said = " ".join("ID" if word in self.ids else re.sub(r"\b[0-9a-f]{6,}\b", "HEX", word) for word in words)
        self.exits.append(f"{done.returncode:>3}  reaper {said}" + (f"  ({' '.join(sorted(env))})" if env else ""))
        for line in done.stdout.splitlines() if "--json" in words else ():
            self.shape(of or " ".join(words[: words.index("--json")]), json.loads(line))
        self.log(done.stderr)
        return done.stdout

    def log(self, text: str) -> None:
        """Record the fields of each event in a log, and errors that are JSON."""
        for line in text.splitlines():
            with suppress(ValueError):
                if isinstance(found := json.loads(line), dict):
                    self.events.setdefault(f"{found.get('event', '(error)')} {found.get('level', '')}", set()).update(
                        found
                    )

    def shape(self, of: str, value: object, path: str = "") -> None:
        """Record the type of each value in a document; members of lists are one."""
        into = self.shapes.setdefault(of, {})
        if isinstance(value, dict):
            into.setdefault(path or ".", set()).add("object")
            for key, inner in value.items():
                self.shape(of, inner, f"{path}.{'ID' if key in self.ids else key}")
        elif isinstance(value, list):
            into.setdefault(path or ".", set()).add("list")
            for inner in value:
                self.shape(of, inner, f"{path}[]")
        else:
            kind = {"str": "text", "int": "number", "float": "number", "NoneType": "null"}.get(
                type(value).__name__, "bool"
            )
            known = path.split(".")[-1] in VALUES or path.endswith(("pauses[].reason", ".sessions.ID"))
            known &= ".texts." not in path
            into.setdefault(path, set()).add(f"'{value}'" if known and kind == "text" else kind)

    def post(self, **change: object) -> None:
        """Change the sandbox."""
        fetch(f"{self.env['REAPER_API__BASE_URL']}/_sandbox", json.dumps(change).encode())


def fetch(url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of a request; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()
    except OSError:
        return 0, {}, ""


def eventually(true: Callable[[], object], what: str) -> None:
    """Wait until something is true; say on stderr that it did not come true: the text will lack it."""
    until = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > until:
            print(f"it did not happen: {what}", file=sys.stderr)
            return
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    *words: str, env: Mapping[str, str], log: Path, user: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program beside us, ended with SIGTERM; its output goes to `log` and `log`.err."""
    with log.open("wb") as out, log.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(words, env={**env}, cwd=log.parent, stdout=out, stderr=err, user=user)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(WAIT_S)


@contextmanager
def world() -> Iterator[World]:
    """Make a home and start a sandbox for it."""
    with tempfile.TemporaryDirectory(prefix="interface-") as name:
        home = Path(name)
        home.chmod(0o755)
        env = {"PATH": os.environ["PATH"], "HOME": name, "XDG_STATE_HOME": f"{name}/state", "ARCHAL_TOKEN": TOKEN}
        env |= {"COLUMNS": "80", "LC_ALL": "C.UTF-8", "REAPER_RETRY__MAX_ATTEMPTS": "1"}
        asked = [sys.executable, "-m", "reaper", "sandbox", "--json", "--sessions", "40", "--token", TOKEN]
        with running(*asked, env=env, log=home / "sandbox.out"):
            eventually(lambda: (home / "sandbox.out").read_text().endswith("\n"), "the sandbox starts")
            found = World(home, env | {"REAPER_API__BASE_URL": json.loads((home / "sandbox.out").read_text())["url"]})
            found.shape("sandbox", json.loads((home / "sandbox.out").read_text()))
            listed = fetch(f"{found.env['REAPER_API__BASE_URL']}/api/sessions", Authorization=f"Bearer {TOKEN}")[2]
            found.ids = [one["sessionId"] for one in json.loads(listed)["sessions"]] + [
                *("gone_1", "gone_2", "never_seen")
            ]
            yield found


def run_verbs(at: World) -> None:
    """Run every verb, in an order that brings a bit of everything."""
    live = iter(at.ids)
    forbidden, rejected, exhausted, protected, late, cancelled, failing, ghost, waiting = (next(live) for _ in range(9))
    script = {forbidden: "403", rejected: "400", exhausted: "500", failing: "502", ghost: "404"}
    at.post(script={one: [status, "forever"] for one, status in script.items()})
    (at.home / "one").write_text(failing)
    for words in ("", "once --nonsense", "show", "status", "check --json", "health", "--version", "once missing.ids"):
        at.run(*words.split())
    at.run("status", REAPER_WORKER__NONSENSE="1")
    away = {"REAPER_API__BASE_URL": f"http://127.0.0.1:{free_port()}", "REAPER_API__UNAVAILABLE_WAIT_S": "0"}
    at.run("once", "--json", "one", **away)
    at.run("once", "--json", "one", ARCHAL_TOKEN="wrong", REAPER_API__CREDENTIALS_WAIT_S="0")
    patient = {"REAPER_RETRY__MAX_ATTEMPTS": "9", "REAPER_RETRY__BASE_S": "600"}
    at.run("once", "-v", "--no-wait", "--json", "one", of="once", **patient)
    later = json.dumps({"session_id": late, "due_at": "2099-01-01T00:00:00Z"})
    lines = [*(next(live) for _ in range(5)), forbidden, rejected, exhausted, protected, ghost, "gone_1", later, "a/b"]
    (at.home / "ids").write_text("\n".join(lines) + "\n")
    at.run("once", "--dry-run", "--json", "ids")
    at.run("once", "-v", "--json", "ids", of="once", REAPER_PROTECT__IDS=protected)
    at.run("add", "--json", late, forbidden, "never_seen", "a/b")
    at.run("add", "--json", cancelled, waiting, "--after", "1h")
    for one in (cancelled, forbidden):
        at.run("postpone", "--json", one, "--after", "2h")
    for one in (cancelled, "gone_2"):
        at.run("cancel", "--json", one, "--reason", "interface")
    for one in (forbidden, rejected, exhausted, protected, late, cancelled, failing, lines[0], "gone_1", "gone_2"):
        at.run("show", "--json", one)
    at.run("pause", "--json", "--for", "1h", "--reason", "interface")
    for words in ("once --json", "status --json", "resume --json", "dead list --json", "outcomes --json"):
        at.run(*words.split())
    for words in ("audit", "status", "sessions", "check", "config show", "holds", "queue init"):
        at.run(*words.split(), "--json")
    at.run("queue", "backup", "--json", "copy.db")
    at.run("dead", "retry", "--json", forbidden)
    at.run("dead", "purge", "--json", "--all", "--reason", "interface")
    sweep = {"REAPER_DISCOVERY__ENFORCE": "true", "REAPER_GUARD__MAX_PER_SWEEP": "1", "REAPER_DISCOVERY__GRACE_S": "0"}
    for verdict in ("discard", "approve"):
        at.run("once", "--discover", "--json", of="once", **sweep)
        held = [json.loads(line) for line in at.run("holds", "--json").splitlines()]
        for hold in [one["hold"] for one in held if one["fate"] == "open"]:
            at.run(verdict, "--json", hold, "--reason", "interface")
        at.post(renew={next(live): -3600.0 for _ in range(3)})
    at.run("demo", "--json", "--sessions", "20")


def run_daemon(at: World) -> tuple[list[str], list[str], str]:
    """Run the daemon through intake, pause, reload and end; return its pages, what they say, and its metrics."""
    port, config, intake, spool = free_port(), at.home / "reaper.toml", at.home / "followed", at.home / "spool"
    first, second, page = at.ids[-5], at.ids[-6], f"http://127.0.0.1:{port}"
    settings = f'[telemetry]\nlisten = "127.0.0.1:{port}"\n[intake]\nfiles = ["{intake}"]\nspool_dir = "{spool}"\n'
    settings += "poll_s = 0.1\n[discovery]\nenabled = true\n"
    config.write_text(settings)
    intake.write_text(f"{first}\na/b\n")
    log = at.home / "run.err"

    def logged(text: str) -> None:
        eventually(lambda: text in log.read_text(), f"the daemon logs {text}")

    asked = [sys.executable, "-m", "reaper", "run", "-v", "--config", str(config)]
    with running(*asked, env=at.env, log=at.home / "run.out") as process:
        eventually(lambda: fetch(f"{page}/readyz")[0] == 200, "/readyz answers 200")
        for text in (f'"{first}"', "sweep."):
            logged(text)
        at.run("health", REAPER_TELEMETRY__LISTEN=f"127.0.0.1:{port}")
        at.run("pause", "--reason", "interface")
        logged("api.paused")
        at.run("status", "--json")
        paths = ("/", "/livez", "/readyz", "/status", "/metrics", "/page.json", "/none")
        pages = [(path, *fetch(f"{page}{path}")) for path in paths]
        pages.append(("/ as another host", *fetch(page, Host="example.org")))
        pages.append(("/status with POST", *fetch(f"{page}/status", b"x")))
        at.run("resume")
        logged("api.resumed")
        for text, event in (
            (f"{settings}nonsense = 1\n", "config.refused"),
            (f"{settings}grace_s = 9\n", "config.reloaded"),
        ):
            config.write_text(text)
            process.send_signal(signal.SIGHUP)
            logged(event)
        (spool / "tmp" / "late").write_text(f"{second}\n")
        (spool / "tmp" / "late").rename(spool / "new" / "late")
        logged(f'"{second}"')
    at.exits.append(f"{process.returncode:>3}  reaper run (SIGTERM)")
    at.log(log.read_text())
    names, words, metrics = [], [], ""
    for path, status, headers, text in pages:
        kept = sorted(headers.keys() - {"Content-Length", "Content-Security-Policy", "Date"})
        names.append(f"{path}: {status} {'; '.join(f'{key}: {headers[key]}' for key in kept)}")
        if path == "/metrics":
            metrics = text
        elif headers.get("Content-Type", "").startswith("application/json"):
            at.shape(f"GET {path}", json.loads(text))
        elif path != "/":
            words.append(f"{path}: {text.strip()}")
    return names, words, metrics
