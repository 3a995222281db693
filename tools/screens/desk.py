"""The screens of an operator's desk: to add, see, find and take back; discovery, settings, checks and mistakes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

from tools.screens.terminal import BIN, Stage, stage

SANDBOX = ("--latency", "p50=60ms,p99=200ms", "--sessions", "60", "--seed", "4")
MANY = 30
"""IDs of the first file."""


def capture_desk(columns: int) -> None:
    """Capture them at one width."""
    with stage(columns, *SANDBOX) as on:
        (on.at.home / "ids.txt").write_text("".join(f"{one}\n" for one in on.ids[:MANY]))
        begun = on.at.answers("reaper config init")
        _discovery(on)
        _add(on)
        _work(on)
        _orders(on)
        _exec(on)
        _checks(on)
        on.at.keep("config", f"{begun}\n{on.at.answers('reaper config show --changed')}")
        _mistakes(on)


def _discovery(on: Stage) -> None:
    at, discover = on.at, "reaper once --discover"
    at.keep("sessions", at.answers("reaper sessions --would-stop"))
    at.keep("once-discover", at.answers(f"{discover} --dry-run"))
    at.answers("export REAPER_DISCOVERY__ENFORCE=true REAPER_GUARD__MAX_PER_SWEEP=10")
    held = at.answers(discover, "reaper holds")
    hold = re.findall(r"reaper\s+approve\s+(\w+)", held)[0]
    at.keep("holds", f"{held}\n{at.answers(f'reaper discard {hold} --reason test')}")
    at.answers("unset REAPER_DISCOVERY__ENFORCE REAPER_GUARD__MAX_PER_SWEEP")


def _add(on: Stage) -> None:
    at, one = on.at, on.ids[0]
    lines = ("reaper add --from ids.txt", f"reaper add {on.ids[40]} --after 4h", f"reaper add {one}")
    at.keep("add", at.answers(*lines))


def _work(on: Stage) -> None:
    """Capture a daemon at work, and what is left of it after a kill -9."""
    at, ids = on.at, on.ids
    script = {one: ["502", "forever"] for one in ids[:4]}
    script |= {ids[5]: ["422"], ids[6]: ["403"], ids[7]: ["hang"], ids[8]: ["hang"]}
    on.api.steer(script=script)
    at.type("reaper run")
    at.keep("run", at.until_shown("retrying [34] "))
    at.press("C-c")
    at.keep("run-stopping", at.until_shown(r"stopping \(SIGINT\)"))
    at.press("C-c")
    at.done()
    on.api.steer(script={one: ["hang"] for one in ids[10:12]})
    with on.daemon() as daemon:
        at.answers(f"reaper add --again {ids[10]} {ids[11]}")
        _until_in_flight(on)
        at.keep("list", at.answers("reaper list", "reaper list --state retrying --due-within 1h"))
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    at.keep("status-killed", at.answers("reaper status"))
    at.keep("show-retrying", at.answers(f"reaper show {ids[0]}"))


def _until_in_flight(on: Stage) -> None:
    """Wait until two sends have no reply, and the failures of others are over for now."""
    words = [str(BIN / "reaper"), "status", "--json"]
    for _ in range(200):
        found = json.loads(subprocess.run(words, env=on.environ, capture_output=True, check=True).stdout)
        if found["in_flight"] == 2 and found["retrying"] >= 2:
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing is in flight: {found}")


def _orders(on: Stage) -> None:
    at = on.at
    (at.home / "nightly.txt").write_text("".join(f"{one}\n" for one in on.ids[MANY:-1]))
    at.answers("reaper add --from nightly.txt --after 2h")
    cancel = "reaper cancel --from nightly.txt --reason 'wrong file'"
    counted = at.answers(f"{cancel} --dry-run")
    at.type(cancel)
    at.until_shown(r"\[y/N\]")
    at.press("y", "Enter")
    at.keep("cancel", f"{counted}\n{at.done()}")
    at.keep(
        "pause", at.answers("reaper pause --for 30m --reason 'deploy of the API'", "reaper status", "reaper resume")
    )


def _exec(on: Stage) -> None:
    one = on.ids[-1]
    (on.at.home / "run-tests").write_text("#!/bin/sh\necho 7 tests passed\n")
    (on.at.home / "run-tests").chmod(0o700)
    on.at.keep("exec", on.at.answers(f"reaper exec {one} -- ./run-tests", f"reaper exec {one} -- ./run-tests"))


def _checks(on: Stage) -> None:
    at = on.at
    (at.home / "protect.txt").write_text('"env_1",\n')
    faults = (
        "ARCHAL_TOKEN=archal_ws_wrong",
        "REAPER_INTAKE__FILES='[\"new.ids\"]'",
        "REAPER_INTAKE__SPOOL_DIR=ids.txt",
        "REAPER_PROTECT__FILE=protect.txt",
        f"REAPER_TELEMETRY__LISTEN={on.api.url.removeprefix('http://')}",
    )
    at.keep(
        "check",
        at.answers(
            "reaper check", f"{' '.join(faults)} reaper check", "reaper check --base-url https://api.example.invalid"
        ),
    )


def _mistakes(on: Stage) -> None:
    (on.at.home / "odd.txt").write_text("env_1\nnot an id\n")
    lines = (
        "reaper onec ids.txt",
        "reaper once --dryrun ids.txt",
        "reaper once idz.txt",
        "reaper once --base-url http://example.com ids.txt",
        "reaper add --from odd.txt",
        "reaper show env_2",
        "cat ids.txt | reaper once",
        "REAPER_API__BASEURL=https://a.test reaper status",
        "reaper status --concurrency 3",
        "reaper queue backup ids.txt",
    )
    on.at.answers("export XDG_STATE_HOME=$HOME/state")  # an empty ledger
    on.at.keep("mistakes", on.at.answers(*lines))
