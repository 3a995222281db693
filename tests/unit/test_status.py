"""`status` in its three forms: the JSON document, the text, and the screen of `--watch`."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from reaper.cli.commands import status
from reaper.cli.commands.status import status_text
from reaper.cli.terminal.dashboard import dashboard_frame
from reaper.cli.terminal.status_watcher import StatusWatcher
from reaper.core.discovery.ghosts import Ghosts
from reaper.core.discovery.holds import Guard, Hold
from reaper.core.discovery.policy import Rule
from reaper.core.input_facts import InputFacts
from reaper.core.model import (
    Item,
    LeaseHolder,
    Outcome,
    Pause,
    PauseReason,
    Send,
    SessionId,
    State,
    Stats,
    WorkerHeartbeat,
)
from reaper.core.owners import owner_name
from reaper.core.status import status_json
from reaper.core.target import OtherTarget
from reaper.queues.overview import Overview
from tests.support.queues.memory import MemoryQueue

NOW = 1_700_000_000.0
SENDS = (
    Send(NOW - 90, 0.25, status=502, request_id="req-1"),
    Send(NOW - 60, 20.0, error="timeout: no answer within 20 s"),
    Send(NOW - 30, 0.12, status=404),
)
GONE = Item(
    SessionId("env_1"), State.SETTLED, Outcome.ALREADY_GONE, "ids.txt", NOW - 100, NOW - 31, 1, 3, 3, 0, SENDS,
    status=404, detail="after_ambiguous", settled_at=NOW - 29,
)  # fmt: skip
STATS = Stats(
    ready=1234, scheduled=12, retrying=3, next_scheduled_at=NOW + 3720, next_retry_at=NOW + 12, in_flight=32,
    settled={Outcome.STOPPED: 700, Outcome.FORBIDDEN: 5},
    accepted=2000, dead=5, duplicate=0, invalid=0, oldest_due_s=182.0,
)  # fmt: skip
PAUSE = Pause(PauseReason.THROTTLED, NOW - 5, "the API answered 429", until=NOW + 25)
REAPERS = [
    WorkerHeartbeat(owner_name("a", "web-1.example", 4711), 4711, NOW - 300, NOW - 2, 64, (PAUSE,)),
    WorkerHeartbeat(owner_name("b", "web-2", 4712), 4712, NOW - 3, NOW - 14, 8),
]
HOLD = Hold("h1", NOW - 60, NOW + 900, (Guard.MAX_SHARE,), "9 of 10 live sessions", {SessionId("env_9"): Rule.EXPIRED})
GHOSTS = Ghosts({SessionId("env_3"): NOW - 60, SessionId("env_4"): NOW - 60}, frozenset({SessionId("env_3")}))
WHOLE = Overview(
    STATS, NOW, REAPERS, None, [LeaseHolder(REAPERS[0].owner, 32, NOW + 100)], (HOLD,), GHOSTS,
    target="https://archal.ai", account="u_1 (ann@example.com)",
)  # fmt: skip
URL = "sqlite:////var/lib/reaper/reaper.db"


def watched(snapshot: Overview) -> StatusWatcher:
    it = StatusWatcher(URL, snapshot=snapshot)
    it.rate.note(0.0, 100)
    it.rate.note(60.0, 700)
    return it


def screen(it: StatusWatcher, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(dashboard_frame(it, width, 2.0))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_status_says_what_holds_and_what_to_do() -> None:
    assert status_text(WHOLE, URL).splitlines() == [
        f"queue      {URL}",
        "target     https://archal.ai, account u_1 (ann@example.com)",
        "",
        "ready        1,234  oldest due for 3 m 2 s",
        "scheduled       12  next due in 1 h 2 m",
        "retrying         3  next due in 12 s",
        "in flight       32  limit 72",
        "dead             5",
        "settled        705  since the queue began",
        "  stopped      700",
        "  forbidden      5",
        "",
        "reaper 4711 on web-1.example: running for 5 m, 32 in flight, limit 64",
        "reaper 4712 on web-2: running for 3 s, 0 in flight, limit 8; no heartbeat for 14 s",
        "",
        "PAUSED: throttled, for 5 s, ends in 25 s: the API answered 429",
        "  -> nothing to do: the API asked clients to wait, and the pause ends by itself",
        "IMBALANCE: 14 accepted and not accounted for",
        "  -> keep the ledger: reaper queue backup FILE; then see: reaper audit",
        "HELD: 1 sweep waits for you",
        "  -> see: reaper holds; then reaper approve, or reaper discard",
        "GHOSTS: 1 session lives on though the API said it was over",
        "  -> see: reaper sessions",
        "DEAD LETTERS: 5 sessions could not be stopped and may still run",
        "  -> see: reaper dead list; then: reaper dead retry, or reaper dead purge",
    ]
    idle = status_text(Overview(STATS, NOW), URL)
    assert "target     none yet" in idle
    assert "no reaper is working on this queue\n  -> start one: reaper run" in idle


def test_more_in_flight_than_the_limit_is_explained() -> None:
    more = replace(WHOLE, stats=replace(STATS, in_flight=80))
    assert "in flight       80  limit 72, 8 more claimed" in status_text(more, URL)
    assert "limit 72, 8 more claimed" in "\n".join(screen(watched(more), 80))


def test_what_a_reaper_without_heartbeat_has_in_flight_is_said_so() -> None:
    silent = LeaseHolder(owner_name("c", "web-3", 99), 20, NOW + 100)
    text = status_text(replace(WHOLE, lease_holders=[silent]), URL)
    assert "SILENT: 20 IDs are in flight in 1 reaper that sends no heartbeat: 99 on web-3" in text
    assert "if it is dead, they are sent again when the lease ends, in 1 m 40 s at most" in text
    many = [LeaseHolder(owner_name(str(pid), "web-3", pid), 1, NOW + 100) for pid in range(5)]
    text = status_text(replace(WHOLE, lease_holders=many), URL)
    assert (
        "SILENT: 5 IDs are in flight in 5 reapers that send no heartbeat: 0 on web-3, 1 on web-3, 2 on web-3 and more"
        in text
    )


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_dashboard_fits_and_shows_all(width: int) -> None:
    it = watched(WHOLE)
    it.recent = [replace(GONE, settled_at=NOW - 1)]
    waiting = replace(GONE, session_id=SessionId("env_2"), state=State.RETRYING, outcome=None, settled_at=None, sends=7)
    reset = Send(NOW - 9, 0.1, error="reset: the connection was closed")
    it.retried = [replace(waiting, due_at=NOW + 40), replace(waiting, sends=2, history=(reset,), due_at=NOW - 1)]
    lines = screen(it, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for fact in (
        "1,234", "oldest due", "scheduled", "next due in 1 h 2 m", "retrying",
        "next due in 12 s", "target https://archal.ai", "10/s over the last 1 m", "reaper dead list",
        "PAUSED: throttled",
        "4711 on web-1.example", "4712 on web-2", "14 s ago",
        "HELD", "GHOSTS", "IMBALANCE", "slowest", "20.00 s", "3 sends", "to be sent again",
        "7 sends  due in 40 s; last 404", "2 sends  due now; last reset",
    ):  # fmt: skip
        assert fact in text or width == 40, fact
    assert width > 40 or "env_2\n  7 sends, due in 40 s; last 404\n" in text, "an ID is whole, and what it is for too"
    assert lines[0] == {40: "reaper status  …/lib/reaper/reaper.db"}.get(width, f"reaper status  {URL}")
    assert "account u_1" in text
    assert "PAUSED: throttled, for 5 s, ends in 25 s" in " ".join(text.split())


def test_a_dashboard_without_an_answer_keeps_the_last_and_says_so() -> None:
    it = watched(Overview(STATS, NOW))
    it.unavailable = "the ledger is locked"
    text = "\n".join(screen(it, 80))
    assert "QUEUE UNAVAILABLE: the ledger is locked" in text
    assert "1,234" in text
    assert "QUEUE UNAVAILABLE" in "\n".join(screen(StatusWatcher("x", unavailable="gone"), 80))


def test_the_document_has_every_key_and_every_outcome() -> None:
    document = status_json(STATS, [PAUSE], None, queue=URL)
    assert list(document) == [
        "target", "account", "queue", "version", "workers", "ready", "scheduled", "retrying", "delayed", "in_flight",
        "dead", "settled", "oldest_due_s", "next_scheduled_at", "next_retry_at", "pauses", "limit", "imbalance",
        "holds", "hold_count", "ghosts", "ghost_count", "unproven_gone",
    ]  # fmt: skip
    assert document["settled"] == {outcome.value: 0 for outcome in Outcome} | {"stopped": 700, "forbidden": 5}
    assert (document["scheduled"], document["retrying"], document["delayed"]) == (12, 3, 15)
    assert document["next_retry_at"] == "2023-11-14T22:13:32.000Z"
    assert document["pauses"] == [
        {
            "reason": "throttled", "since": "2023-11-14T22:13:15.000Z", "detail": "the API answered 429",
            "ends_at": "2023-11-14T22:13:45.000Z", "by": None,
        }
    ]  # fmt: skip
    assert document["workers"] == document["holds"] == document["ghosts"] == []


def test_the_document_of_a_queue_at_work() -> None:
    document = WHOLE.as_json(URL)
    assert (document["target"], document["account"], document["queue"]) == (WHOLE.target, WHOLE.account, URL)
    assert (document["limit"], document["unproven_gone"]) == (72, 0)
    workers: Any = document["workers"]
    first, second = workers
    assert (first["host"], first["pid"], first["in_flight"], first["limit"]) == ("web-1.example", 4711, 32, 64)
    assert [pause["reason"] for pause in first["pauses"]] == ["throttled"]
    assert (second["last_heartbeat_at"], second["pauses"]) == ("2023-11-14T22:13:06.000Z", [])
    assert document["ghosts"] == [{"session_id": "env_3", "first_seen_at": "2023-11-14T22:12:20.000Z"}]
    assert document["holds"] == [
        {
            "id": "h1", "created_at": "2023-11-14T22:12:20.000Z", "expires_at": "2023-11-14T22:28:20.000Z",
            "guards": ["max_share"], "reason": "9 of 10 live sessions", "sessions": 1,
        }
    ]  # fmt: skip
    by = Pause(PauseReason.OPERATOR, NOW, "lunch (ann)", by="ann")
    stale = replace(WHOLE, operator=by, live_workers=[replace(REAPERS[0], pauses=(replace(by, detail="old"),))])
    assert [(pause["detail"], pause["by"], pause["ends_at"]) for pause in stale.as_json(URL)["pauses"]] == [  # type: ignore[attr-defined]
        ("lunch (ann)", "ann", None)
    ]


def test_what_stands_beside_a_count_stays_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    more = replace(WHOLE, stats=replace(STATS, in_flight=80))
    status.print_overview(more, URL, profile=None, as_json=False)
    assert "in flight       80  limit 72, 8 more\n                    claimed\n" in capsys.readouterr().out


def test_a_detail_is_shown_to_its_end_where_its_remedy_is() -> None:
    other = OtherTarget("https://archal.ai", "http://127.0.0.1:18083").detail
    reaper = replace(REAPERS[1], pauses=(Pause(PauseReason.WRONG_TARGET, NOW - 5, other),))
    assert f": {other}\n" in status_text(replace(WHOLE, live_workers=[reaper]), "sqlite:///reaper.db")


def test_faulty_inputs_are_told_beside_the_queue(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = InputFacts(tuple(f"{name} does not exist" for name in "abcd"), 1, "/spool/bad")
    status.print_overview(Overview(STATS, NOW), URL, inputs, profile=None, as_json=False)
    told = capsys.readouterr().out
    assert (
        "INPUT MISSING: 4 entries of intake.files: a does not exist; b does not exist; c does not exist; and m" in told
    )
    assert "SPOOL: 1 file was refused whole and moved to /spool/bad\n  -> the log says why" in told
    status.print_overview(Overview(STATS, NOW), URL, inputs, profile=None, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["intake_missing"][0], document["spool_refused"]) == ("a does not exist", 1)


@pytest.mark.anyio
async def test_the_watcher_reads_the_inputs_anew() -> None:
    told = iter([InputFacts(refused=1, refused_in="/spool/bad"), InputFacts(refused=0)])
    memory_queue, it = MemoryQueue(), StatusWatcher(URL, lambda: next(told))
    await it.refresh(memory_queue)
    assert [notice.name for notice in it.notices] == ["no reaper is working on this queue", "Spool"]
    await it.refresh(memory_queue)
    assert [notice.name for notice in it.notices] == ["no reaper is working on this queue"]


def test_a_full_disk_is_the_first_notice_though_the_ledger_can_be_read() -> None:
    inputs = InputFacts(disk_fault="the disk of the ledger x is full: make room")
    notices = status_text(WHOLE, URL, inputs).split("\n\n")[-1]
    assert notices.startswith("QUEUE UNAVAILABLE: the disk of the ledger x is full: make room\n  -> nothing is lost")
    assert StatusWatcher(URL, snapshot=WHOLE, inputs=inputs).notices[0].kind == "bad"
