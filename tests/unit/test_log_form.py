"""The form of the log is known before the settings are; conventions of terminals; lines for a person."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from reaper.core.model import Lease, Outcome, Retry, Send, SessionId, Settle
from reaper.telemetry import events, logs
from reaper.telemetry.event_log import LogJournal
from reaper.telemetry.log_form import VARIABLE, is_json_early
from reaper.telemetry.terminal import can_ask, can_draw, in_color


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("words", "environ", "file", "expected"),
    [
        ([], {}, "", False),
        (["once"], {}, "", False),
        (["once", "--json"], {VARIABLE: "console"}, "", True),
        (["exec", "env_1", "--", "tool", "--json"], {}, "", False),
        (["onec"], {VARIABLE: "json"}, "", True),
        (["once"], {}, "[telemetry]\nlog_format = 'json'\n[api]\ntimeout_s = -1", True),
        (["once"], {VARIABLE: "auto"}, "[telemetry]\nlog_format = 'json'", False),
        (["once"], {VARIABLE: "yaml"}, "[telemetry]\nlog_format = 'json'", True),
        (["once"], {}, "telemetry = 3", False),
        (["once"], {}, "no TOML", False),
        (["run"], {}, "no TOML", True),
        (["run"], {}, "[telemetry]\nlog_format = 'console'", False),
        (["run"], {VARIABLE: "console"}, "", False),
    ],
)
def test_an_error_before_the_settings_has_the_form_that_they_would_say(
    words: list[str], environ: dict[str, str], file: str, expected: bool, tmp_path: Path
) -> None:
    (tmp_path / "reaper.toml").write_text(file)
    for named in ([f"--config={tmp_path}/reaper.toml"], ["--config", f"{tmp_path}/reaper.toml"]):
        assert is_json_early([*named, *words], environ, io.StringIO()) is expected
    assert is_json_early(words, {**environ, "REAPER_CONFIG": f"{tmp_path}/reaper.toml"}, io.StringIO()) is expected


def test_run_on_a_terminal_writes_for_a_person() -> None:
    assert not is_json_early(["run"], {VARIABLE: "auto"}, Terminal())
    assert not is_json_early([], {}, io.StringIO())
    assert not is_json_early(["once", "--profile"], {"XDG_CONFIG_HOME": "/nowhere"}, io.StringIO())


@pytest.mark.parametrize(
    ("environ", "on_terminal", "in_pipe"),
    [
        ({}, False, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, False, False),
    ],
)
def test_colour_goes_by_the_conventions(environ: dict[str, str], on_terminal: bool, in_pipe: bool) -> None:
    assert (in_color(Terminal(), environ), in_color(io.StringIO(), environ)) == (on_terminal, in_pipe)


def test_nothing_is_drawn_and_nobody_is_asked_in_a_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    assert can_draw(terminal, {"TERM": "xterm"})
    assert not can_draw(terminal, {"TERM": "xterm", "CI": "true"})
    assert can_ask(terminal, terminal, {"CI": "false"})
    assert not can_ask(terminal, terminal, {"CI": "1"})
    assert not can_ask(io.StringIO(), terminal, {})


SAID = [
    (events.SESSION_SETTLED, {"session_id": "a", "outcome": "already_gone", "status": 404}, "a: already gone (404)"),
    (
        events.SESSION_SETTLED,
        {"session_id": "a", "outcome": "already_gone", "status": 404, "unanswered": 1},
        "a: already gone (404), after 1 earlier send without a recorded reply",
    ),
    (
        events.SESSION_SETTLED,
        {"session_id": "a", "outcome": "exhausted", "status": None, "detail": "sent 25 times", "unanswered": 25},
        "a: exhausted: sent 25 times",
    ),
    (events.SESSION_RETRY_SCHEDULED, {"session_id": "a", "status": 502, "after_s": 1.2}, "a: 502, sent again in 1.2 s"),
    (events.SESSION_RETRY_SCHEDULED, {"session_id": "a", "error": "eof", "after_s": 1}, "a: eof, sent again in 1.0 s"),
    (
        events.ONCE_PROGRESSED,
        {"done": 1200, "total": 5000, "rate_per_s": 148.2, "left_s": 25.6, "retrying": 3, "forbidden": 2,
         "paused": ["throttled"], "queue_away": "it is locked"},
        "1,200 of 5,000 settled, 148.2/s, about 26 s left, 3 waiting for another try, 2 forbidden, paused: throttled, "
        "the queue is unavailable: it is locked",
    ),
    (events.INTAKE_PROGRESSED, {"source": "x", "share": 0.25, "accepted": 7}, "reading x, 25% read: 7 accepted"),
    (events.INTAKE_PROGRESSED, {"source": "x", "share": None}, "reading x: nothing yet"),
    (events.INTAKE_LINE_INVALID, {"source": "x", "line": 3, "text": "", "reason": "no ID"}, "x:3: empty: no ID"),
    (events.API_RESUMED, {"reason": "throttled", "held_s": 12.0}, "resumed after 12 s: throttled"),
    (
        events.REAPER_READY, {"version": "1.0", "pid": 7, "api": "https://h"},
        "ready: reaper 1.0, process 7, stops sessions at https://h",
    ),
    (
        events.REAPER_DRAINING, {"signal": "SIGINT", "in_flight": 2, "within_s": 25.0},
        "stopping (SIGINT): nothing new is sent; 2 in flight, waited for at most 25 s; a second signal ends it at once",
    ),
    (
        events.REAPER_EXITED, {"exit": 0, "sends": 3, "ran_s": 61.2, "waiting": 1, "dead": 0},
        "ended with exit code 0 (ran for 1 m 1 s, 3 sends, 1 waiting, 0 dead)",
    ),
    (events.REAPER_EXITED, {"exit": 69, "detail": "no queue"}, "ended with exit code 69: no queue"),
    (
        events.SESSION_REOPENED, {"sessions": 3, "session_ids": ["a", "b"], "detail": "alive"},
        "re-opened 3 sessions (a, b, 1 more): alive",
    ),
    (
        events.SESSION_REOPENED, {"sessions": 1, "session_ids": ["a"], "detail": "alive"},
        "re-opened 1 session (a): alive",
    ),
    (events.TARGET_PINNED, {"api": "https://h"}, "this queue is now bound to https://h"),
    (events.ACCOUNT_PINNED, {"account": "usr_1"}, "this queue is now bound to the account usr_1"),
    (events.STDERR_WRITTEN, {"detail": "a print"}, "a print"),
    ("an.event", {"n": 3, "why": "two words", "none": None, "detail": "so"}, "an.event n=3 why='two words': so"),
    ("some.event", {"text": "\x1b[2J"}, "some.event text='\\x1b[2J'"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "fields", "expected"), SAID)
def test_an_event_is_a_sentence_for_a_person(event: str, fields: dict[str, object], expected: str) -> None:
    stream = io.StringIO()
    logs.configure(SimpleNamespace(log_format="auto", log_level="info", log_schema="plain"), stream, secrets=tuple)
    try:
        logs.get().info(event, **fields)
        logs.get().warning(event, **fields)
    finally:
        logs.reset()
    info, warning = stream.getvalue().splitlines()
    assert info[9:] == expected
    assert warning[9:] == f"warning {expected}"


def test_a_pause_says_what_to_do_and_a_long_line_is_wrapped_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    logs.configure(SimpleNamespace(log_format="auto", log_level="info", log_schema="plain"), stream, secrets=tuple)
    try:
        logs.get().warning(events.API_PAUSED, reason="credentials", detail="the API refused the token (401)")
    finally:
        logs.reset()
    first, *more = stream.getvalue().splitlines()
    assert first.startswith("\x1b[2m")
    assert "\x1b[33mwarning\x1b[0m paused:" in first
    assert max(map(len, more)) <= 40
    assert all(line.startswith(" " * 9) for line in more)
    assert " ".join("".join(more).split()).endswith("a token from the environment needs a restart")


def test_a_settings_file_says_the_form_though_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "staging.toml"
    file.write_text("[telemetry]\nlog_format = 'json'\n[api]\ntimeout_s = -1")
    assert is_json_early(["once", "--config", str(file)], {}, io.StringIO())


def lease(session_id: str) -> Lease:
    return Lease(SessionId(session_id), "r", 1, 0, 1, 0, False, False, "ids.txt", 0.0, 0.0)


@pytest.mark.parametrize(("each", "expected"), [(False, ["b", "c"]), (True, ["a", "b", "c", "a"])])
def test_a_person_reads_of_what_was_gone_and_of_dead_letters_and_with_v_of_all(each: bool, expected: list[str]) -> None:
    stream = io.StringIO()
    logs.configure(SimpleNamespace(log_format="json", log_level="info", log_schema="plain"), stream, secrets=tuple)
    journal = LogJournal(log_each_session=each)
    try:
        for one, outcome in (("a", Outcome.STOPPED), ("b", Outcome.ALREADY_GONE), ("c", Outcome.FORBIDDEN)):
            journal.settled(lease(one), Settle(outcome), None, 1.5)
        journal.retry_scheduled(lease("a"), Retry(1.0), Send(0.0, 0.1, 502))
    finally:
        logs.reset()
    assert [json.loads(line)["session_id"] for line in stream.getvalue().splitlines()] == expected
