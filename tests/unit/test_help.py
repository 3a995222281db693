"""`--help` of every command: its own options first, and nothing wider than the terminal or broken in mid-word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reaper.cli.arguments import SETTING_OPTIONS, build_parser
from reaper.cli.completion.tree import Command, Option, read
from reaper.cli.help import SHARED
from reaper.cli.parser import LazyParser
from reaper.settings.schema import Settings


def commands(parser: LazyParser) -> Iterator[LazyParser]:
    yield parser.filled()
    for part in parser.parts().values():
        yield from commands(part)


EVERY = {one.prog: one for one in commands(build_parser())}


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("name", EVERY)
def test_no_line_is_wider_than_the_terminal(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = EVERY[name].format_help()
    assert [line for line in text.splitlines() if len(line) > width and len(line.split()) > 1] == []
    monkeypatch.setenv("COLUMNS", "10000")
    assert text.split() == EVERY[name].format_help().split(), "no word is broken or lost"


@pytest.mark.parametrize("name", EVERY)
def test_what_is_a_commands_own_comes_first(name: str) -> None:
    parser = EVERY[name]
    titles = [line[:-1] for line in parser.format_help().splitlines() if line.endswith(":") and line[0] != " "]
    shared = [titles.index(title) for title in SHARED if title in titles]
    after = ("examples", "exit codes (checked in this order)")
    assert all(titles.index(title) > max(shared) for title in titles if title in after and shared)
    assert [title for title in titles[min(shared, default=0) :] if shared and title not in (*SHARED, *after)] == []
    usage = parser.format_usage()
    assert "[-h]" not in usage
    assert "--config" not in usage
    assert ("[common options]" in usage) == bool(shared)


def test_a_name_that_leaves_no_room_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "42")
    help_text = EVERY["reaper dead purge"].format_help()
    assert help_text.endswith(
        "  reaper dead purge --all --source\n    old.ids --dry-run\n      how many would be deleted\n"
    )


def test_the_defaults_of_settings_are_the_ones_in_effect() -> None:
    found = {key: text for _, key, _, text in SETTING_OPTIONS}
    assert f"(default: {Settings().worker.concurrency})" in found["worker.concurrency"]
    assert f"(default: {Settings().api.base_url})" in found["api.base_url"]


def test_no_line_of_usage_breaks_before_its_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert EVERY["reaper"].format_usage() == "usage: reaper [common options]\n        COMMAND …\n"
    assert "arguments:\n  FILE" in EVERY["reaper once"].format_help()


def test_each_command_says_what_each_argument_does() -> None:
    def arguments(command: Command) -> Iterator[tuple[tuple[str, ...], Option]]:
        for one in (*command.options, *command.positionals):
            yield command.path, one
        for part in command.parts:
            yield from arguments(part)

    assert [(path, one) for path, one in arguments(read()) if not one.help] == []
