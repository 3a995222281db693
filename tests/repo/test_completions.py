"""What is generated from the command line is fresh and works; the examples of `--help` are real command lines."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from reaper.cli import main
from reaper.cli.arguments import parse
from reaper.cli.completion.tree import read
from reaper.cli.examples import EXAMPLES, examples
from reaper.cli.verbs import VERBS
from tests.support.programs import need
from tools.cli_reference.__main__ import ROOT, files

MADE = files()


@pytest.mark.parametrize("name", MADE)
def test_what_is_generated_is_fresh(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == MADE[name], "run: make generated"


def test_nothing_that_is_no_longer_made_lies_about() -> None:
    assert {f"man/{path.name}" for path in (ROOT / "man").iterdir()} == {name for name in MADE if name[:4] == "man/"}


@pytest.mark.parametrize("verb", VERBS)
def test_every_example_is_a_command_line_and_stands_in_the_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for line, _ in EXAMPLES[verb]:
        program, *words = shlex.split(line.split(" > ")[0])
        assert program == "reaper"
        assert parse(words).verb == verb
    assert main.dispatch([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert examples(verb) in shown
    assert max(map(len, shown.splitlines())) <= 80


def parts() -> list[tuple[str, ...]]:
    """Return each command that is a part of another, as `dead list`."""
    return [part.path for verb in read().parts for part in verb.parts]


@pytest.mark.parametrize("path", parts(), ids=" ".join)
def test_each_part_of_a_command_has_its_own_examples(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"examples:\n  reaper {' '.join(path)}" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(("shell", "name"), [("bash", "reaper.bash"), ("zsh", "_reaper"), ("fish", "reaper.fish")])
def test_the_command_prints_the_committed_script(shell: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["completion", shell]) == 0
    assert capsys.readouterr().out == (ROOT / "completions" / name).read_text(encoding="utf-8")


@pytest.fixture
def profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "reaper").mkdir()
    for name in ("reaper.toml", "staging.toml", "prod.toml", "notes.txt"):
        (tmp_path / "reaper" / name).touch()


def completed(*words: str) -> list[str]:
    """Return what bash offers for the last of the words."""
    script = f"source {ROOT}/completions/reaper.bash; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}"
    done = subprocess.run(
        ["bash", "-c", f"{script}; _reaper; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=30,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("reaper", "sta"), ["status"]),
        (("reaper", "once", "--dr"), ["--dry-run"]),
        (("reaper", "--json", "dead", "pu"), ["purge"]),
        (("reaper", "dead", "list", "--outcome", "ex"), ["exhausted"]),
        (("reaper", "run", "--on-term", ""), ["drain", "reap"]),
        (("reaper", "config", "s"), ["show", "schema"]),
        (("reaper", "completion", "b"), ["bash"]),
        (("reaper", "--profile", ""), ["prod", "staging"]),
        (("reaper", "status", "--profile", "st"), ["staging"]),
        (("reaper", "once", "--for", ""), []),
        (("reaper", "once", "pypro"), ["pyproject.toml"]),
        (("reaper", "once", "--config", "uv."), ["uv.lock"]),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_bash_completes(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*words) == offered


@pytest.mark.parametrize(("shell", "name"), [("zsh", "_reaper"), ("fish", "reaper.fish"), ("bash", "reaper.bash")])
def test_each_shell_reads_its_script(shell: str, name: str) -> None:
    done = subprocess.run(
        [need(shell), "-n", str(ROOT / "completions" / name)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("profiles")
def test_zsh_registers_a_sourced_script_and_completes_profiles() -> None:
    shell = need("zsh")
    script = "_reaper_profiles; (( $+functions[_reaper] ))"
    stub = "compdef() { print registered $* }; compadd() { print -l ${@[2,-1]} }"
    done = subprocess.run(
        [shell, "-f", "-c", f"{stub}; source completions/_reaper; {script}"],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout.split()) == (
        0,
        "",
        ["registered", "_reaper", "reaper", "prod", "staging"],
    )


@pytest.mark.usefixtures("profiles")
def test_fish_completes() -> None:
    shell = need("fish")

    def offered(line: str) -> list[str]:
        done = subprocess.run(
            [shell, "-N", "-c", f"source completions/reaper.fish; complete -C {shlex.quote(line)}"],
            capture_output=True, text=True, check=True, cwd=ROOT, timeout=30,
        )  # fmt: skip
        return [row.split("\t")[0] for row in done.stdout.splitlines()]

    assert offered("reaper sta") == ["status"]
    assert offered("reaper status --profile ") == ["prod", "staging"]
    assert offered("reaper dead pu") == ["purge"]
    assert offered("reaper once --dr") == ["--dry-run"]
    assert offered("reaper outcomes --outcome sto") == ["stopped"]


def test_the_manual_pages_have_no_fault(tmp_path: Path) -> None:
    groff = need("groff")
    for name, text in MADE.items():
        if not name.startswith("man/"):
            continue
        done = subprocess.run(
            [groff, "-man", "-ww", "-z", "-Tutf8"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (name, done.returncode, done.stderr) == (name, 0, "")
