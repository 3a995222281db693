"""Names of processes: they say the host and the PID, and fit into receipts and file names."""

from __future__ import annotations

import os

import pytest

from reaper.core.owners import Place, owner_name, place_of, random_part
from reaper.queues.process_name import new_owner


@pytest.mark.parametrize("host", ["web-1", "reaper-7d9c5b6f9d-x2k4q", "web-1.example.com", "h" * 64])
def test_a_name_says_where_its_process_runs(host: str) -> None:
    name = owner_name("2-0a1b", host, 4711)
    assert place_of(name) == Place(host, 4711)
    assert random_part(name) == "2-0a1b"
    assert "." not in name
    assert "/" not in name
    assert str(place_of(name)) == f"4711 on {host}"


def test_a_name_takes_any_host_and_old_names_say_nothing() -> None:
    assert place_of(owner_name("0a", "../\x1b[1m räume", 1)) == Place("..---1m-r-ume", 1)
    assert owner_name("0a", "", 1) == "0a"
    assert place_of("0a1b2c") is None
    assert place_of("0a@x:y") is None
    assert place_of("0a@\x1b:1") is None
    assert str(Place("", 7)) == "7"


def test_in_kubernetes_the_host_is_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "reaper-abc")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert place_of(new_owner()) == Place(os.uname().nodename, os.getpid())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert place_of(new_owner("2-")) == Place("reaper-abc", os.getpid())
