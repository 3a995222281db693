"""A command shows the options that override a setting which it reads, and no others."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reaper.cli import context, main
from reaper.cli.arguments import SETTING_OPTIONS
from reaper.cli.verbs import VERBS
from reaper.settings.load import Loaded, load

WITHOUT_SETTINGS = {"health", "completion", "systemd", "sandbox", "demo"}
NOT_RUN = {
    "run": "it works until a signal, on the same parts as once",
    "exec": "it runs a command first, then stops on the same parts as once",
    "config": "it prints every setting",
    "notify": "it names queue and API in a message, and uses neither",
}
LINES = {
    "once": ("once ids.txt",),
    "add": ("add env_1",),
    "status": ("status",),
    "list": ("list",),
    "show": ("show env_1",),
    "outcomes": ("outcomes",),
    "audit": ("audit",),
    "sessions": ("sessions",),
    "holds": ("holds",),
    "check": ("check",),
    "postpone": ("postpone env_1 --after 1h",),
    "cancel": ("cancel env_1 --reason why",),
    "approve": ("approve 7f3a",),
    "discard": ("discard 7f3a",),
    "dead": ("dead list", "dead retry --all", "dead purge --all --yes"),
    "pause": ("pause --reason why",),
    "resume": ("resume",),
    "queue": ("queue init", "queue backup copy.db", "queue restore copy.db"),
}
NO_EFFECT = {"sessions": "worker.concurrency"}
"""Read, but to no effect: the client's connections are bounded by it, and this command sends one request."""
KEYS = {key: option for option, key, _, _ in SETTING_OPTIONS}


class Spied:
    """Stands for settings, or a section of them, and records which are read."""

    def __init__(self, real: Any, read: set[str], path: str = "") -> None:
        self._real, self._read, self._path = real, read, path

    def __getattr__(self, name: str) -> Any:
        value, path = getattr(self._real, name), f"{self._path}{name}"
        if self._path:
            self._read.add(path)
            return value
        return Spied(value, self._read, f"{path}.")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[str]:
    """Return the keys that commands of this test read, beside those that loading reads."""
    found: set[str] = set()

    def spied(*args: Any, **more: Any) -> Loaded:
        loaded = load(*args, **more)
        return replace(loaded, settings=Spied(loaded.settings, found))  # type: ignore[arg-type]

    monkeypatch.setattr(context, "load", spied)
    for name in ("freeze", "set_threshold"):
        monkeypatch.setattr(gc, name, lambda *_: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("env_1\n")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("REAPER_API__BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("REAPER_API__UNAVAILABLE_WAIT_S", "0")
    monkeypatch.setenv("ARCHAL_TOKEN", "token")
    return found


def test_every_command_is_here() -> None:
    # A new command: its line in LINES, or the reason why it is not run in NOT_RUN.
    assert LINES.keys() | WITHOUT_SETTINGS | NOT_RUN.keys() == VERBS.keys()
    for verb in WITHOUT_SETTINGS:
        assert not set(VERBS[verb].options) & set(KEYS.values()), verb


@pytest.mark.parametrize("verb", LINES)
def test_a_command_shows_the_options_whose_settings_it_reads(verb: str, read: set[str]) -> None:
    assert main.dispatch(["add", "-q", "env_1"]) == 0
    for line in LINES[verb]:
        read.clear()
        assert main.dispatch(line.split()) != 2
        part = line.split()[1] if len(LINES[verb]) > 1 else ""
        shown = {option for option in VERBS[verb].options_of(part) if option in KEYS.values()}
        assert {KEYS[key] for key in read & KEYS.keys() if key != NO_EFFECT.get(verb)} == shown, line
