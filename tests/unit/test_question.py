"""Much is changed at once only after a yes: on a terminal by a person, elsewhere by --yes."""

from __future__ import annotations

import io

import pytest

from reaper.cli.question import MAX_UNASKED, DeclinedError, confirm
from reaper.core.errors import Exit, UsageError

WHAT = "cancel 21 IDs (21 ready)"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    shown = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", shown)
    return shown


def test_few_are_changed_without_a_question_and_many_with_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = at_terminal(monkeypatch, "no\n")
    confirm(WHAT, MAX_UNASKED, yes=False)
    confirm(WHAT, 10**6, yes=True)
    assert shown.getvalue() == ""


@pytest.mark.parametrize("answer", ["y\n", "Y\n", " yes\n"])
def test_a_person_says_yes(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    shown = at_terminal(monkeypatch, answer)
    confirm(WHAT, MAX_UNASKED + 1, yes=False)
    assert shown.getvalue() == f"reaper: {WHAT}? [y/N] "


@pytest.mark.parametrize("answer", ["\n", "n\n", "yess\n", ""])
def test_every_other_answer_is_a_no(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    shown = at_terminal(monkeypatch, answer)
    with pytest.raises(DeclinedError, match="nothing was changed") as caught:
        confirm(WHAT, MAX_UNASKED + 1, yes=False)
    assert caught.value.exit_code is Exit.WORK_LEFT
    assert shown.getvalue().endswith("\n") is (answer == ""), "an unfinished line of the terminal was left"


def test_ctrl_c_ends_the_line_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = at_terminal(monkeypatch, "")

    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin.readline", interrupted)
    with pytest.raises(DeclinedError, match="nothing was changed") as caught:
        confirm(WHAT, MAX_UNASKED + 1, yes=False)
    assert caught.value.exit_code == 130
    assert shown.getvalue().endswith("[y/N] \n")


@pytest.mark.parametrize("gone", ["stdin", "stderr"])
def test_without_a_terminal_yes_must_be_said_beforehand(monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    at_terminal(monkeypatch, "y\n")
    monkeypatch.setattr(f"sys.{gone}", io.StringIO("y\n"))
    with pytest.raises(UsageError, match=r"cancel 21 IDs \(21 ready\)\? .*--yes"):
        confirm(WHAT, MAX_UNASKED + 1, yes=False)
