"""Every verb against an API, file names, rows and an environment full of escape sequences, and a repeated token."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reaper.cli.verbs import VERBS
from tests.support.eventually import eventually
from tests.support.processes.command import TOKEN, Command
from tests.support.processes.daemon import daemon, free_port, page
from tests.support.processes.terminal import on_terminal

RAW = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\u200b\x00\r\nreaper: all is well"
TEXT = f"{RAW}\ud800 {TOKEN}"
"""A window's title, a cleared screen, C1, bidi, a forged line, a lone surrogate, and the token."""
ESCAPED_TOKEN = "".join(f"\\u{ord(char):04x}" for char in TOKEN)
"""The token in a form that only a JSON reader sees through."""


def body_of(method: str, path: str) -> tuple[int, str]:
    """Return the status and the body; characters stand there as they are, where JSON allows it."""
    if path == "/auth/me":
        value: object = {"userId": f"u{RAW}", "email": f"{TEXT}@example.test"}
    elif path == "/api/sessions":
        common = {"status": TEXT, "createdAt": TEXT, "batchId": TEXT, "scenarioId": TEXT, "cloneIds": [TEXT]}
        value = {
            "sessions": [
                {"sessionId": "env_listed", **common},
                {"sessionId": TEXT, **common},
                {"sessionId": "env_old", "status": "running", "createdAt": "2020-01-01T00:00:00Z",
                 "expiresAt": "2020-01-01T01:00:00Z", "batchId": f"TOKEN{RAW}", "cloneIds": []},
            ]
        }  # fmt: skip
    else:
        value = {"error": TEXT, "message": TEXT, "code": f"{RAW}TOKEN"}
    status = 200 if method == "GET" else 403 if path.endswith("1") else 400
    return status, json.dumps(value, ensure_ascii=False).replace("TOKEN", ESCAPED_TOKEN)


class Hostile(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, text = body_of(self.command, self.path)
        body = text.encode("utf-8", "surrogatepass")
        self.send_response_only(status, f"\x9b31m {TOKEN}")
        self.send_header("X-Request-Id", f"{TOKEN}-\x9b31m-7")
        self.send_header("Retry-After", "\x9b31m")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def hostile(command: Command) -> Iterator[Command]:
    """A command whose API, home and settings are hostile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command.env["REAPER_API__BASE_URL"] = f"http://127.0.0.1:{server.server_port}"
    command.env["XDG_STATE_HOME"] = str(command.home / "state\x1b[2J\u202e")
    command.env |= {"REAPER_TELEMETRY__LISTEN": "", "REAPER_API__UNAVAILABLE_WAIT_S": "1"}
    yield command
    server.shutdown()
    server.server_close()


LINES: dict[str, list[list[str]]] = {
    "run": [],  # in a test of its own
    "once": [["once", "-"], ["once", "--dry-run", "-"], ["once", "--discover", "-"], ["once", "-v", "no\x1b[2Jfile"]],
    "add": [
        ["add", "env_1"],
        ["add", "env\x1b[2J"],
        ["add", "--from", "HOSTILE_FILE"],
        ["add", "env_9", "--at", "\x9b"],
    ],
    "exec": [["exec", "env\x1b[2J", "--", "true"], ["exec", "env_8", "--", "no\x1b[2Jcommand"]],
    "status": [["status"]],
    "list": [["list"], ["list", "--invalid"], ["list", "--source", "no\x1b[2Jfile"]],
    "show": [["show", "env_1"], ["show", "env_2"], ["show", "env\x1b[2J"]],
    "outcomes": [["outcomes"]],
    "audit": [["audit"]],
    "sessions": [["sessions"]],
    "holds": [["holds"]],
    "notify": [["notify", "test"]],
    "check": [["check"]],
    "health": [["health"], ["health", "--config", "no\x1b[2Jfile"]],
    "postpone": [["postpone", "env_5", "--after", "1h"], ["postpone", "env\x1b[2J", "--after", "1h"]],
    "cancel": [["cancel", "env_5", "--reason", "why\x1b[2J\u202e"]],
    "approve": [["approve", "h\x1b[2J"]],
    "discard": [["discard", "h\x1b[2J"]],
    "dead": [["dead", "list"], ["dead", "retry", "env\x1b[2J"], ["dead", "purge", "env_x"]],
    "pause": [["pause", "--reason", "why\x1b[2J\u202e", "--for", "1s"], ["status"]],
    "resume": [["resume"]],
    "config": [["config", "show"], ["config", "schema"]],
    "queue": [["queue", "init"]],
    "sandbox": [["sandbox", "--fail", "\x1b[2J"]],
    "demo": [["demo", "--seed", "\x1b[2J"]],
    "completion": [["completion", "\x1b[2J"]],
    "systemd": [["systemd", "show"], ["systemd", "show", "no\x1b[2Junit"]],
}


def check_shown(text: str, where: object) -> None:
    """Fail when a character could steer a terminal, a line is forged, or the token is there."""
    odd = {char for char in text if not char.isprintable() and char != "\n"}
    assert not odd, (where, odd, text[-2000:])
    assert TOKEN not in text, (where, text[-2000:])
    assert not any(line.startswith("reaper: all is well") for line in text.splitlines()), (where, text[-2000:])


def run(command: Command, words: list[str]) -> str:
    done = command.run(*words, stdin="env_1\nenv_2\nenv\x1b[2J\u202e\n")
    assert "Traceback" not in done.stderr, (words, done.stderr)
    assert "internal error" not in done.stderr, (words, done.stderr)
    return done.stdout + done.stderr


WITH_JSON = ("once", "add", "status", "show", "list", "outcomes", "sessions", "holds", "dead", "config")


def all_lines(command: Command, name: str, verbs: Iterable[str]) -> None:
    for words in (words for verb in verbs for words in LINES[verb]):
        for form in ([], ["--json"]) if words[0] in WITH_JSON else ([],):
            line = [name if word == "HOSTILE_FILE" else word for word in [*words, *form]]
            check_shown(run(command, line), line)


@pytest.mark.timeout(600)
def test_nothing_that_is_printed_steers_a_terminal_or_shows_the_token(hostile: Command) -> None:
    assert LINES.keys() == set(VERBS), "a new verb needs its lines here"
    name = os.fsdecode(b"ids-\x1b]0;owned\x07\x9b\xff\xe2\x80\xae.txt")
    (hostile.home / name).write_text(f"env_3\nenv_4\n{RAW}\n\ud800\n", errors="surrogatepass")
    hostile.env["REAPER_TELEMETRY__LOG_FORMAT"] = "console"
    all_lines(hostile, name, LINES)
    hostile.env["REAPER_TELEMETRY__LOG_FORMAT"] = "json"
    all_lines(hostile, name, ["once"])
    alter_rows(next(hostile.home.rglob("reaper.db")))
    all_lines(hostile, name, ["status", "show", "list", "outcomes", "audit", "dead"])


def alter_rows(ledger: Path) -> None:
    """Put hostile texts into the rows, as a faulty program or another user's reaper could."""
    with closing(sqlite3.connect(ledger)) as rows, rows:
        rows.execute("UPDATE intake_source SET name = name || ?", (RAW,))
        rows.execute("UPDATE item SET detail = ?, by = ?, reason = ? WHERE outcome IS NOT NULL", (RAW, RAW, RAW))
        found = rows.execute("SELECT id, history FROM item WHERE history <> '[]'").fetchall()
        assert found
        for item, history in found:
            sends = json.loads(history)
            for send in sends:
                for place, value in send.items() if isinstance(send, dict) else enumerate(send):
                    if isinstance(value, str):
                        send[place] = RAW
            rows.execute("UPDATE item SET history = ? WHERE id = ?", (json.dumps(sends), item))


def test_a_terminal_is_not_steered_either(hostile: Command) -> None:
    """There the display writes escape sequences of its own, but none of these."""
    ids = hostile.home / "ids\x1b]0;owned\x07\u202e.txt"
    ids.write_text("".join(f"env_{number}\n" for number in range(60)))
    hostile.env["REAPER_WORKER__CONCURRENCY"] = "4"
    for words in (["once", str(ids)], ["sessions"], ["status"], ["dead", "list"], ["show", "env_1"], ["check"]):
        seen = on_terminal(hostile, *words)
        for escape in ("\x07", "\x9b", "\u202e", "\u2066", "\u200b", "\x00", "\x1b]", "\x1b[2J"):
            assert escape not in seen.screen, (words, escape, seen.text[-2000:])
        assert TOKEN not in seen.screen, words


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_neither_the_daemons_log_nor_its_pages_steer_one(hostile: Command, log_format: str) -> None:
    hostile.env |= {
        "REAPER_TELEMETRY__LOG_FORMAT": log_format,
        "REAPER_TELEMETRY__LISTEN": f"127.0.0.1:{free_port()}",
        "REAPER_DISCOVERY__ENABLED": "true",
    }
    hostile.run("add", *(f"env_{number}" for number in range(30)))
    with daemon(hostile):
        eventually(
            lambda: page(hostile, "/readyz")[0] == 503 or 'outcome="rejected"} 0' not in page(hostile, "/metrics")[1]
        )
        for path in ("/readyz", "/livez", "/metrics", "/status"):
            check_shown(page(hostile, path)[1], path)
    check_shown((hostile.home / "daemon.log").read_text(), log_format)
