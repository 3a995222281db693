"""The vendor's contract, served by a mock that others make: what `reaper once` makes of each documented status.

Prism validates every request of reaper against the contract (`tests/support/vendor_api`). A request that the contract
does not describe fails the test.
"""

from __future__ import annotations

import json
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import reaper
from tests.support.processes.command import Command
from tests.support.programs import need
from tests.support.vendor_api.prism import CONTRACT, Forwarder, forwarding, running_prism

pytestmark = pytest.mark.slow

API = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
LIST, ONE = "/api/sessions", "/api/sessions/{sessionId}"
LISTED = "env_12345"
ID = "ses-01HXYZ:a.b_c"
"""Has each character that an ID may have."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run with one ID ends with, by SPEC section 2 in the words of docs/concepts.md."""

    exit: int
    count: str
    sends: int


VERDICTS = {
    204: Verdict(0, "stopped", 1),
    401: Verdict(77, "waiting", 1),
    403: Verdict(3, "forbidden", 1),
    404: Verdict(0, "already_gone", 1),
    502: Verdict(3, "exhausted", 3),
}


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_prism(tmp_path_factory.mktemp("prism")) as port:
        yield port


@pytest.fixture
def api(prism: int) -> Iterator[Forwarder]:
    """The vendor's API; at the end every request must have been one that the contract describes."""
    with forwarding(prism) as forwarder:
        yield forwarder
        assert forwarder.violations == []


@pytest.fixture
def command(tmp_path: Path, api: Forwarder) -> Command:
    return Command(tmp_path, {"REAPER_API__BASE_URL": api.url, "REAPER_RETRY__BASE_S": "0.05"})


def once(command: Command, *args: str, ids: str = ID) -> dict[str, Any]:
    done = subprocess.run(
        [need("reaper"), "once", "--json", *args, "-"],
        input=f"{ids}\n",
        env=command.environ(),
        cwd=command.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["exit"] == done.returncode
    return summary


def test_each_documented_status_has_a_verdict() -> None:
    assert set(VERDICTS) == {int(status) for status in API["paths"][ONE]["delete"]["responses"]}


@pytest.mark.parametrize("status", sorted(VERDICTS))
def test_a_documented_status_gets_its_verdict(command: Command, api: Forwarder, status: int) -> None:
    verdict = VERDICTS[status]
    command.env |= {"REAPER_RETRY__MAX_ATTEMPTS": "3", "REAPER_API__CREDENTIALS_WAIT_S": "1"}
    api.answer("DELETE", ID, status)
    summary = once(command)
    assert (summary["exit"], summary[verdict.count]) == (verdict.exit, 1)
    assert api.sent("DELETE") == [status] * verdict.sends
    shown = command.json("show", ID)
    assert [send["status"] for send in shown["sends"]] == [status] * verdict.sends
    assert shown["outcome"] == (None if verdict.count == "waiting" else verdict.count)
    command.audit()


def test_a_refused_token_is_not_charged(command: Command, api: Forwarder) -> None:
    api.answer("DELETE", ID, 401, 204)
    summary = once(command)
    assert (summary["exit"], summary["stopped"]) == (0, 1)
    assert api.sent("DELETE") == [401, 204]
    assert command.json("outcomes", ID)["attempts"] == 1


def test_a_teardown_that_failed_is_tried_again(command: Command, api: Forwarder) -> None:
    api.answer("DELETE", ID, 502, 204)
    summary = once(command)
    assert (summary["exit"], summary["stopped"]) == (0, 1)
    assert api.sent("DELETE") == [502, 204]


def test_a_teardown_that_failed_is_left_to_a_later_run(command: Command, api: Forwarder) -> None:
    command.env |= {"REAPER_RETRY__BASE_S": "60", "REAPER_RETRY__CAP_S": "600"}
    api.answer("DELETE", ID, 502)
    summary = once(command, "--no-wait")
    assert (summary["exit"], summary["waiting"]) == (75, 1)
    assert api.sent("DELETE") == [502]


def test_a_refused_list_stops_nothing(command: Command, api: Forwarder) -> None:
    command.env["REAPER_API__CREDENTIALS_WAIT_S"] = "1"
    api.answer("GET", "", 401)
    summary = once(command)
    assert (summary["exit"], summary["waiting"]) == (77, 1)
    assert api.sent("DELETE") == []


def test_a_token_that_may_not_read_its_account_stops_sessions_all_the_same(command: Command, api: Forwarder) -> None:
    api.answer("GET", "auth/me", 401)
    api.answer("DELETE", ID, 204)
    summary = once(command)
    assert (summary["exit"], summary["stopped"]) == (0, 1)
    assert 401 in api.sent("GET")


@pytest.mark.parametrize(
    ("status", "count", "answer"),
    [(200, "stopped", 204), (401, "waiting", None), (403, "forbidden", None), (404, "stopped", 204)],
)
def test_a_session_that_discovery_chose_is_read_again_before_its_delete(
    command: Command, api: Forwarder, status: int, count: str, answer: int | None
) -> None:
    command.env |= {"REAPER_DISCOVERY__ENFORCE": "true", "REAPER_API__CREDENTIALS_WAIT_S": "1"}
    api.answer("GET", LISTED, status)
    if answer is not None:
        api.answer("DELETE", LISTED, answer)
    summary = once(command, "--discover", ids="")
    assert summary[count] == 1
    assert [(one.method, one.status) for one in api.requests if one.path.endswith(LISTED)][:2] == [
        ("GET", status),
        *([("DELETE", answer)] if answer is not None else []),
    ]


def test_the_statuses_of_a_read_are_the_documented_ones() -> None:
    assert set(API["paths"][ONE]["get"]["responses"]) == {"200", "401", "403", "404"}
    assert set(API["paths"][LIST]["get"]["responses"]) == {"200", "401"}


def test_a_request_is_sent_as_the_contract_says(command: Command, api: Forwarder) -> None:
    api.answer("DELETE", ID, 204)
    once(command)
    (delete,) = [request for request in api.requests if request.method == "DELETE"]
    path = urllib.parse.urlsplit(delete.path)
    assert (urllib.parse.unquote(path.path), path.query) == (ONE.replace("{sessionId}", ID), "")
    assert delete.headers["authorization"] == f"Bearer {command.environ()['ARCHAL_TOKEN']}"
    assert delete.headers["user-agent"] == f"archal-reaper/{reaper.__version__}"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("DELETE", f"/api/sessions/{ID}", {}),
        ("DELETE", f"/api/sessions/{ID}", {"Authorization": "Basic dXNlcjp0b2tlbg=="}),
        ("DELETE", "/api/sessions", {"Authorization": "Bearer t"}),
        ("DELETE", "/api/sessions/a/b", {"Authorization": "Bearer t"}),
        ("POST", f"/api/sessions/{ID}", {"Authorization": "Bearer t"}),
        ("GET", "/sessions", {"Authorization": "Bearer t"}),
    ],
)
def test_a_request_outside_the_contract_is_noticed(prism: int, method: str, path: str, headers: dict[str, str]) -> None:
    """Shows that the other tests can fail."""
    forwarder = Forwarder(prism)
    forwarder.answer(method, ID, 204)
    forwarder.forward(method, path, headers, b"")
    assert len(forwarder.violations) == 1
