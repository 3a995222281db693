"""How the commands of a reaper that runs elsewhere are called."""

from __future__ import annotations

import pytest

from reaper.core.invocation import words_before, words_behind


@pytest.mark.parametrize(
    ("environ", "container", "words"),
    [
        ({}, None, "reaper"),
        ({"SYSTEMD_EXEC_PID": "7", "USER": "ann"}, None, "sudo -u reaper reaper"),
        ({"SYSTEMD_EXEC_PID": "1"}, None, "reaper"),
        ({"SYSTEMD_EXEC_PID": "7"}, "docker", "docker exec box-1 reaper"),
        ({}, "podman", "podman exec box-1 reaper"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "docker", "kubectl exec box-1 -c reaper -- reaper"),
    ],
)
def test_the_words_before_a_verb(environ: dict[str, str], container: str | None, words: str) -> None:
    assert words_before(environ, pid=7, user="reaper", host="box-1", container=container) == words


def test_a_host_cannot_add_words() -> None:
    words = words_before({}, pid=7, user="reaper", host="a; rm -rf x", container="docker")
    assert words == "docker exec 'a; rm -rf x' reaper"


def test_the_words_behind_a_command() -> None:
    assert words_behind(profile="staging", named=None) == "--profile staging"
    assert words_behind(profile=None, named="/srv/my reaper.toml") == "--config '/srv/my reaper.toml'"
    assert words_behind(profile=None, named=None) == ""
