"""The top of the command line: every verb's help, and the message and the code of each kind of failure."""

from __future__ import annotations

import json

import pytest

from reaper.cli import main
from reaper.cli.arguments import parse
from reaper.cli.output import table
from reaper.cli.verbs import VERBS
from reaper.core.errors import ConfigError, CredentialsError
from reaper.core.times import format_time

TOKEN = "archal_ws_very-secret"


def verb_that(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(args: object) -> int:
        raise error

    monkeypatch.setattr(main, "load_verb", lambda name: (lambda parser: None, run))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: reaper {verb} ")


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (CredentialsError("refused"), 77, "reaper: refused\n"),
        (ConfigError("one\ntwo"), 78, "reaper: one\nreaper: two\n"),
        (ExceptionGroup("tasks", [ExceptionGroup("more", [CredentialsError("refused")])]), 77, "reaper: refused\n"),
        (KeyboardInterrupt(), 130, ""),
        (RuntimeError("boom"), 1, "reaper: internal error: RuntimeError: boom (-v shows where)\n"),
    ],
)
def test_each_failure_has_its_message_and_code(
    error: BaseException,
    code: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verb_that(monkeypatch, error)
    assert main.dispatch(["status"]) == code
    assert capsys.readouterr() == ("", expected)


def test_a_traceback_comes_with_v_only_and_never_shows_the_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARCHAL_TOKEN", TOKEN)
    verb_that(monkeypatch, RuntimeError(f"bad header {TOKEN}"))
    assert main.dispatch(["status", "-v"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert "bad header ********" in printed
    assert TOKEN not in printed


def test_on_a_narrow_terminal_no_word_of_an_error_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb_that(monkeypatch, ConfigError("there is no ledger at /home/ann/state/reaper.db yet: once and run create it"))
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main.dispatch(["status"]) == 78
    assert capsys.readouterr().err.splitlines() == [
        "reaper: there is no ledger at",
        "  /home/ann/state/reaper.db",
        "  yet: once and run create it",
    ]


def test_options_count_before_and_after_the_verb() -> None:
    before = parse(["--json", "--queue", "sqlite:///a", "-v", "dead", "list"])
    after = parse(["dead", "list", "--json", "--queue", "sqlite:///a", "-v"])
    assert before.flags == after.flags
    assert after.flags == {
        "queue.url": "sqlite:///a", "telemetry.log_level": "debug", "telemetry.log_format": "json",
    }  # fmt: skip
    assert before.json is after.json is True
    assert parse(["dead", "list"]).flags == {}


def test_instants_and_tables() -> None:
    assert format_time(0.5) == "1970-01-01T00:00:00.500Z"
    assert table(("ID", "N"), [("a", 5), ("long", 10)]) == "ID     N\na      5\nlong  10"


def test_the_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in VERBS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("once --limt 5", "reaper once: there is no option '--limt'. Did you mean --limit?"),
        ("dead lst", "reaper dead: 'lst' is none of list, retry, purge. Did you mean list?"),
        ("dead list --outcom x", "reaper dead list: there is no option '--outcom'. Did you mean --outcome?"),
        ("--jsn status", "reaper: there is no option '--jsn'. Did you mean --json?"),
        ("stauts", "reaper: there is no command 'stauts'. Did you mean status?"),
        ("xyzzy", "reaper: there is no command 'xyzzy'"),
        ("audit b", "reaper audit: there is one argument too many: 'b'"),
        ("run --on-term reep", "reaper run: --on-term: 'reep' is none of drain, reap. Did you mean reap?"),
        ("--concurency 3 once", "reaper: there is no option '--concurency'. Did you mean --concurrency?"),
        ("--queue x --bogus=1 onec", "reaper: there is no option '--bogus'"),
        ("config show --bogus", "reaper config show: there is no option '--bogus'"),
        ("--concurrency -3 onec", "reaper: there is no command 'onec'. Did you mean once?"),
        ("o'nce", 'reaper: there is no command "o\'nce". Did you mean once?'),
        ("check archal_ws_0123", "reaper check: there is one argument too many: 'archal_ws_***'"),
        ("help", "reaper: there is no command 'help'"),
        ("config", "reaper config: show|schema|init is missing"),
        ("cancel", "reaper cancel: --reason is missing"),
        ("once --limit", "reaper once: --limit needs a value"),
        ("once --limit 0", "reaper once: --limit: expected a whole number of at least 1"),
        (f"once --limit {10**20}", "reaper once: --limit: more than a billion is surely a mistake"),
        (f"once --limit {'9' * 5000}", "reaper once: --limit: more than a billion is surely a mistake"),
        ("once --concurrency few", "reaper once: --concurrency: 'few' is not a whole number"),
        (
            "add x --concurrency 3",
            "reaper add: --concurrency does nothing here; it works under run, once, exec, check, config show",
        ),
        (
            "--base-url http://localhost add x",
            "reaper add: --base-url does nothing here; it works under run, once, exec, sessions, check, config show",
        ),
        ("show x --all", "reaper show: --all does nothing here; it works under dead retry, dead purge"),
        ("--limit 3 once", "reaper: write --limit after its command: once, list, outcomes, dead list"),
        ("add x --after 1m --at 2030-01-31T12:00:00Z", "reaper add: --at and --after exclude each other"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest(
    words: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REAPER_TELEMETRY__LOG_FORMAT", "console")
    assert main.dispatch(words.split()) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == expected
    assert second.startswith("  for more: reaper ")


@pytest.mark.parametrize("words", [[], ["-q"]])
def test_without_a_command_those_there_are_are_listed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REAPER_TELEMETRY__LOG_FORMAT", "console")
    assert main.dispatch(words) == 2
    out, err = capsys.readouterr()
    assert out == "", "a program that reads stdout takes it for data"
    first, *lines = err.splitlines()
    assert first == "reaper: COMMAND is missing"
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in VERBS)
    assert "--concurrency" not in err
    assert lines[-1] == "  for more: reaper --help"


def test_without_a_command_a_program_gets_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"] == "COMMAND is missing; for more: reaper --help"


def test_an_option_before_the_command_that_does_nothing_is_refused() -> None:
    assert main.dispatch(["--token-file", "t", "audit"]) == 2
    assert main.dispatch(["--config", "x", "demo", "--sessions", "0"]) == 2
