"""Finding sessions, sparing them, and not being talked into a massacre: the command against the stand-in."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from reaper.sandbox.sessions import Session
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import daemon, events, page, watch
from tests.support.processes.ghosts import age_the_ghosts
from tests.support.sandbox import running_sandbox
from tests.support.session_mix import session_mix
from tests.support.sessions import H, ids, live, sent

ON = {"discovery__enforce": "true"}


def expired(count: int, name: str = "old") -> list[Session]:
    now = time.time()
    return [Session(f"env_{name}{n:04d}", created_at=now - 2 * H, expires_at=now - H) for n in range(count)]


def table(session: Session, owners: set[str], now: float) -> str:
    """docs/discovery.md once more, from the stand-in's own values, for sessions that nothing is odd about."""
    assert session.created_at is not None
    assert session.expires_at is not None
    if session.status == "ended" or session.ended_at is not None:
        return "ended"
    if session.expires_at + 24 * H < session.created_at:
        return "unclear"
    if session.status == "starting" and now - session.created_at < 900:
        return "starting"
    if session.expires_at + 120 < now:
        return "expired"
    if session.created_at + 24 * H + 120 < now:
        return "overdue"
    if session.status == "failed":
        return "failed"
    return "orphaned" if session.batch_id is not None and session.batch_id not in owners else "live"


def test_exactly_the_right_ones_of_500_are_stopped(command: Command, tmp_path: Path) -> None:
    owners = {f"batch-{n:02d}" for n in range(5)}
    some = list(session_mix(500, 11))
    (tmp_path / "owners").write_text("".join(f"{one}\n" for one in sorted(owners)))
    (tmp_path / "protected").write_text("# the demo\nbatch-01\nenv_*99\n")
    with running_sandbox(some) as sandbox:
        aim(
            command,
            sandbox,
            **ON,
            discovery__owners_file=tmp_path / "owners",
            protect__file=tmp_path / "protected",
            guard__max_per_sweep=500,
            guard__max_share=1,
        )
        shielded = {s.session_id for s in some if s.batch_id == "batch-01" or s.session_id.endswith("99")}
        rules = {s.session_id: table(s, owners, time.time()) for s in some if s.session_id not in shielded}
        listed = command.json("sessions")
        said = {row["session_id"]: row["rule"] for row in listed}
        orphans = {one for one, rule in rules.items() if rule == "orphaned"}
        # One reading is one sighting: nothing is orphaned yet.
        wrong = {
            one: (rule, rules.get(one, "protected"))
            for one, rule in said.items()
            if rule != ("live" if one in orphans else rules.get(one, "protected"))
        }
        assert not wrong
        assert sent(sandbox) == set(), "sessions stopped something"
        first = command.json("once", "--discover")
        due = {one for one, rule in rules.items() if rule in ("expired", "overdue", "failed")} & set(said)
        assert sent(sandbox) == due
        assert first["stopped"] + first["already_gone"] == len(due)
        age_the_sightings(command)
        command.json("once", "--discover")
        assert sent(sandbox) == due | (orphans & set(said))
        assert not sent(sandbox) & shielded
    command.audit()


def age_the_sightings(command: Command) -> None:
    """Let what was seen be seen longer ago: the test does not wait for a minute."""
    import sqlite3

    with sqlite3.connect(command.ledger) as ledger:
        ((text,),) = ledger.execute("SELECT value FROM setting WHERE name = 'note.sightings'").fetchall()
        older = {one: at - 61 for one, at in json.loads(text).items()}
        ledger.execute("UPDATE setting SET value = ? WHERE name = 'note.sightings'", (json.dumps(older),))
    ledger.close()


def test_only_reports_unless_told_otherwise(command: Command) -> None:
    with running_sandbox([*expired(3), *live(9)]) as sandbox:
        aim(command, sandbox)
        done = command.run("once", "--discover")
        assert done.returncode == 0, done.stderr
        assert "3 expired: 3 new" in done.stderr
        assert "nothing was queued: discovery.enforce is false" in done.stderr
        assert sent(sandbox) == set()
        assert command.json("holds") == []


def test_a_dry_run_says_what_a_sweep_would_stop_and_changes_nothing(command: Command) -> None:
    some = expired(3)
    with running_sandbox([*some, *live(9)]) as sandbox:
        aim(command, sandbox)
        assert command.json("once", "--discover", "--dry-run")["session_ids"] == []
        aim(command, sandbox, **ON)
        assert set(command.json("once", "--discover", "--dry-run")["session_ids"]) == ids(some)
        aim(command, sandbox, **ON, guard__max_per_sweep=2)
        done = command.run("once", "--discover", "--dry-run")
        assert (done.returncode, done.stdout) == (4, "")
        assert "nothing would be queued: a guard would hold all 3" in done.stderr
        sandbox.do(lambda s: s.set_list("malformed"))
        assert command.run("once", "--discover", "--dry-run").returncode == 4
        assert sent(sandbox) == set()
    assert not command.ledger.exists()


def test_a_session_renewed_between_list_and_delete_is_spared(command: Command) -> None:
    some = expired(2)
    with running_sandbox([*some, *live(8)]) as sandbox:
        aim(command, sandbox, **ON)
        sandbox.do(lambda s: setattr(s, "after_list", lambda s: s.renew(some[0].session_id, H)))
        summary = command.json("once", "--discover")
        assert (summary["stopped"], summary["protected"]) == (1, 1)
        assert sent(sandbox) == {some[1].session_id}
        shown = command.json("show", some[0].session_id)
        assert (shown["outcome"], shown["detail"], shown["source"]) == ("protected", "renewed", "discovery:expired")
        # Spared once is not spared for good.
        sandbox.do(lambda s: setattr(s, "after_list", None))
        sandbox.do(lambda s: s.renew(some[0].session_id, -H))
        assert command.json("once", "--discover")["stopped"] == 1
        assert sent(sandbox) == ids(some)
    command.audit()


@pytest.mark.parametrize(
    ("setting", "sessions", "guard"),
    [
        ({"guard__max_per_sweep": "5"}, (6, 30), "max_per_sweep"),
        ({}, (8, 4), "max_share"),
    ],
)
def test_a_guard_holds_the_first_sweep_whole(
    command: Command, setting: dict[str, str], sessions: tuple[int, int], guard: str
) -> None:
    some = expired(sessions[0])
    with running_sandbox([*some, *live(sessions[1])]) as sandbox:
        aim(command, sandbox, **ON, **setting)
        command.json("once", "--discover", code=4)
        assert sent(sandbox) == set()
        hold = command.json("holds", code=4)
        assert (hold["guards"], set(hold["sessions"]), hold["fate"]) == ([guard], ids(some), "open")
        command.json("once", "--discover", code=4)
        assert command.json("holds", code=4)["hold"] == hold["hold"], "the same sweep is held once"
        assert f"expired (hold {hold['hold']})" in command.run("show", some[0].session_id).stderr
        # One of them is renewed meanwhile, and one ends by itself: approve means what still qualifies.
        sandbox.do(lambda s: s.renew(some[0].session_id, H))
        assert command.json("approve", hold["hold"], "--reason", "a nightly run left them")["accepted"] == len(some)
        summary = command.json("once")
        assert (summary["stopped"], summary["protected"]) == (len(some) - 1, 1)
        assert sent(sandbox) == ids(some[1:])
        decided = command.json("holds")
        assert (decided["fate"], decided["why"]) == ("approved", "a nightly run left them")
        assert command.run("discard", hold["hold"]).returncode == 3
        assert command.run("approve", "nohold").returncode == 3
    command.audit()


def test_a_list_that_shrank_is_held_and_discarding_stops_nothing(command: Command) -> None:
    with running_sandbox([*expired(2), *live(30)]) as sandbox:
        aim(command, sandbox, **ON)
        assert command.json("once", "--discover")["stopped"] == 2
        sandbox.do(lambda s: s.renew("env_live0000", -H))
        sandbox.do(lambda s: s.set_list("half"))
        command.json("once", "--discover", code=4)
        hold = command.json("holds", code=4)
        assert "list_shrink" in hold["guards"]
        assert command.run("discard", hold["hold"]).returncode == 0
        assert len(sent(sandbox)) == 2
        # Decided about once: what is left of the list is what it is measured by from now on. What it held stays.
        command.json("once", "--discover", code=4)
        sandbox.do(lambda s: s.renew("env_live0001", -H))
        assert command.json("once", "--discover")["stopped"] == 1
        assert "env_live0000" not in sent(sandbox)
    command.audit()


@pytest.mark.parametrize("fault", ["duplicates", "malformed", "html", "cut", "empty"])
def test_an_unfit_list_stops_the_sweep(command: Command, fault: str) -> None:
    with running_sandbox([*expired(3), *live(9)]) as sandbox:
        aim(command, sandbox, **ON, api__unavailable_wait_s=1)
        sandbox.do(lambda s: s.set_list(fault))
        done = command.run("once", "--discover")
        expected = {"duplicates": 4, "malformed": 4, "empty": 0}
        assert done.returncode == expected.get(fault, 69), done.stderr
        assert "Traceback" not in done.stderr
        assert sent(sandbox) == set()


def test_what_somebody_decided_about_is_left_to_them(command: Command) -> None:
    """What waits for its due time waits on, what was cancelled stays, whatever the list says."""
    some = expired(3)
    with running_sandbox([*some, *live(9)]) as sandbox:
        aim(command, sandbox, **ON)
        command.json("add", some[0].session_id, some[1].session_id, "--after", "30m")
        command.json("cancel", some[1].session_id, "--reason", "somebody looks into it")
        command.json("once", "--discover")
        assert sent(sandbox) == {some[2].session_id}
        done = command.run("sessions")
        lines = [line.split() for line in done.stdout.splitlines()]
        queued = {line[0]: line[line.index("ago") + 1] for line in lines if line[:1] and line[0].startswith("env_old")}
        assert queued == {"env_old0000": "waiting", "env_old0001": "cancelled"}, done.stdout
    command.audit()


@pytest.mark.parametrize("skew_s", [-86_400, -3_600, 3_600, 86_400])
def test_a_wrong_clock_changes_no_verdict(command: Command, skew_s: int) -> None:
    """The server's clock is the one that is set off here: to it this machine's is wrong by as much the other way."""
    now = time.time() + skew_s
    some = [
        Session("env_just_expired", created_at=now - H, expires_at=now - 200),
        Session("env_in_grace", created_at=now - H, expires_at=now - 60),
        Session("env_alive", created_at=now - H, expires_at=now + 60),
    ]
    with running_sandbox(some, skew_s=skew_s) as sandbox:
        aim(command, sandbox, **ON)
        command.json("once", "--discover")
        assert sent(sandbox) == {"env_just_expired"}


def test_protection_wins_over_what_somebody_names(command: Command, tmp_path: Path) -> None:
    kept, others = live(2, "kept", batch_id="batch-demo"), live(4)
    with running_sandbox([*kept, *others]) as sandbox:
        aim(command, sandbox, protect__ids="batch-demo", protect__globs="env_live0003")
        path = write_ids(tmp_path / "ids", sorted(ids(kept) | ids(others) | {"env_gone"}))
        summary = command.json("once", str(path))
        assert (summary["stopped"], summary["already_gone"], summary["protected"]) == (3, 1, 3)
        assert not sent(sandbox) & (ids(kept) | {"env_live0003"})
        assert "batch-demo" in command.json("show", kept[0].session_id)["detail"]
    command.audit()


def test_a_daemon_finds_spares_and_reports_ghosts(command: Command, tmp_path: Path) -> None:
    ghost = Session("env_ghost", created_at=time.time() - 2 * H, expires_at=time.time() - H, ghost=True)
    shield = tmp_path / "protected"
    shield.write_text("env_old0000\n")
    some = expired(3)
    with running_sandbox([*some, ghost, *live(12)]) as sandbox:
        watch(
            command,
            sandbox,
            **ON,
            discovery__enabled="true",
            discovery__interval_s=1,
            protect__file=shield,
            guard__max_share=1,
            telemetry__log_format="json",
        )
        with daemon(command) as process:
            eventually(lambda: sent(sandbox) == ids(some[1:]) | {"env_ghost"})
            eventually(lambda: len(events(command, "sweep.judged")) >= 3)
            shield.write_text("")
            eventually(lambda: sent(sandbox) == ids(some) | {"env_ghost"})
            age_the_ghosts(command)
            eventually(lambda: len(events(command, "session.ghost")) == 1)
            eventually(lambda: [one["session_id"] for one in command.json("status")["ghosts"]] == ["env_ghost"])
            eventually(lambda: "reaper_ghost_sessions 1.0" in page(command, "/metrics")[1])
            assert " stopped " in next(x for x in command.run("sessions").stdout.splitlines() if "ghost" in x)
            assert process.poll() is None
        assert events(command, "session.ghost")[0]["session_id"] == "env_ghost"
        assert sandbox.do(lambda s: s.sends["env_ghost"]) == 1, "a ghost is not hammered"
    command.audit()
