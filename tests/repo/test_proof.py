"""The planted bugs still apply, their table in the docs is theirs, and `prove` takes nothing for proof that is none.

That the bugs are caught takes minutes: `make prove`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import reaper
from tests.support.fault.planting import PLANTED
from tests.support.programs import need
from tools.proof.bugs import BUGS
from tools.proof.bugs_simulation import COINCIDENCES, HIDDEN, MODELLED
from tools.proof.planted import Bug, DoesNotApplyError, bug, changed, table, with_table
from tools.proof.prove import PAGE, Seen, caught, part_of, passed
from tools.proof.verdicts import kind_of

ROOT = Path(reaper.__file__).parents[1]
TEST = "tests/unit/test_x.py::test_it"


@pytest.mark.parametrize("planted", [*BUGS, *PLANTED, *COINCIDENCES], ids=lambda one: one.name)
def test_a_bug_applies_is_python_and_names_tests_that_exist(planted: Bug) -> None:
    for path, text in changed(ROOT, planted).items():
        assert path.startswith("reaper/")
        if path.endswith(".py"):
            compile(text, path, "exec")
    for test in planted.tests:
        path, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_the_bugs_that_the_simulation_models_exist() -> None:
    names = [one.name for one in (*BUGS, *COINCIDENCES)]
    assert len(set(names)) == len(names)
    assert {*MODELLED, *HIDDEN} <= {one.name for one in BUGS}
    assert len({*MODELLED, *HIDDEN}) == len(MODELLED) + len(HIDDEN)


def test_no_bug_uses_a_name_that_is_not_there(tmp_path: Path) -> None:
    """The code moves on, and what it no longer imports would break the test instead of failing it."""
    for planted in (*BUGS, *PLANTED, *COINCIDENCES):
        for path, text in changed(ROOT, planted).items():
            target = tmp_path / planted.name / path
            target.parent.mkdir(parents=True)
            target.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [need("ruff"), "check", "--isolated", "--no-cache", "--select", "F821", "--output-format", "concise", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_bugs_are_told_apart() -> None:
    assert len({one.name for one in BUGS}) == len({one.title for one in BUGS}) == len(BUGS)
    assert all(one.tests and one.edits for one in BUGS)


def test_the_table_in_the_docs_is_that_of_the_bugs() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert with_table(page, BUGS) == page, "run `make prove`"
    assert table(BUGS).count("\n| ") == len(BUGS) + 1


def test_a_page_without_a_place_for_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        with_table("# A page\n", BUGS)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("gone", "x", "stands 0 times"),
        ("twice", "x", "stands 2 times"),
        ("once", "once", "changes nothing"),
    ],
)
def test_a_bug_that_no_longer_applies_is_an_error(tmp_path: Path, old: str, new: str, why: str) -> None:
    (tmp_path / "a.py").write_text("once\ntwice\ntwice\n")
    with pytest.raises(DoesNotApplyError, match=why):
        changed(tmp_path, bug("b", "t", "a.py", old, new, fails=TEST))
    with pytest.raises(DoesNotApplyError, match=r"no b\.py"):
        changed(tmp_path, bug("b", "t", "b.py", old, new, fails=TEST))


def seen(*ends: str) -> list[Seen]:
    """Make reports from words: the case or nothing, the phase, the outcome, the kind."""
    made = []
    for end in ends:
        case, when, outcome, kind = end.split(",")
        made.append(Seen(TEST + case, when, outcome, kind))
    return made


@pytest.mark.parametrize(
    ("ends", "result"),
    [
        ([",call,failed,unmet"], "caught"),
        (["[a],call,passed,", "[b],call,failed,unmet"], "caught"),
        ([",call,failed,unmet", ",teardown,failed,KeyError"], "caught"),
        ([",call,passed,"], "it passes with the bug"),
        ([",setup,skipped,"], "it passes with the bug"),
        ([",call,failed,NameError"], "it broke instead of failing (NameError)"),
        ([",call,failed,timeout"], "it broke instead of failing (timeout)"),
        (["[a],call,failed,unmet", "[b],call,failed,ImportError"], "it broke instead of failing (ImportError)"),
        ([",setup,failed,unmet"], "it could not run"),
        ([], "it could not run"),
    ],
)
def test_only_a_test_that_failed_on_what_it_asserts_has_caught_a_bug(ends: list[str], result: str) -> None:
    assert caught(TEST, [*seen(*ends), Seen(f"{TEST}_2", "call", "failed", "unmet")]) == result


@pytest.mark.parametrize(
    ("ends", "result"),
    [
        ([",call,passed,"], "passed"),
        ([",setup,skipped,"], "skipped"),
        ([",call,failed,unmet"], "it fails without the bug (unmet)"),
        ([",call,passed,", ",teardown,failed,KeyError"], "it fails without the bug (KeyError)"),
        ([], "it does not exist"),
    ],
)
def test_a_test_that_does_not_pass_without_the_bug_proves_nothing(ends: list[str], result: str) -> None:
    assert passed(TEST, [*seen(*ends), Seen(f"{TEST}_2", "call", "passed", "")]) == result


def test_why_a_test_failed() -> None:
    timeout = pytest.fail.Exception("Timeout >60.0s")
    assert kind_of(AssertionError()) == kind_of(pytest.fail.Exception("DID NOT RAISE")) == "unmet"
    assert kind_of(timeout) == "timeout"
    assert kind_of(ExceptionGroup("g", [AssertionError(), ExceptionGroup("h", [AssertionError()])])) == "unmet"
    assert kind_of(BaseExceptionGroup("g", [AssertionError(), NameError(), timeout])) == "NameError, timeout"


def test_the_parts_hold_every_bug_once() -> None:
    parts = [part_of(BUGS, f"{number}/3") for number in (7, 8, 9)]
    assert sorted(one.name for part in parts for one in part) == sorted(one.name for one in BUGS)
