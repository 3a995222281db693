"""What counts as a mutant, how it is put into a running module, and what is said of those that survive.

How many the tests notice takes minutes: `make mutate`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import reaper
from reaper.core import throttle
from tools.proof import survivors
from tools.proof.at_import import names_bound, names_used
from tools.proof.equivalent import EQUIVALENT
from tools.proof.live import functions, put_in
from tools.proof.mutants import Mutant, find
from tools.proof.mutate import chosen, room_of
from tools.proof.outcome import KILLED, NO_MUTANT, SURVIVED, TIMEOUT, Result, Table

ROOT = Path(reaper.__file__).parents[1]
PATH = "reaper/core/throttle.py"


def mutated(source: str) -> list[str]:
    """Return a source with each of its mutants."""
    raw = source.encode()
    return [one.applied(raw).decode() for one in find("a.py", raw)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a <= b is not c", ["x = a < b is not c", "x = a <= b is c"]),
        ("x = a in b", ["x = a not in b"]),
        ("x = y and not z", ["x = ((y) or (not z))", "x = y and z"]),
        ("x = a - 'é' + 1.5", ["x = a + 'é' + 1.5", "x = a - 'é' - 1.5", "x = a - 'é' + 2.5"]),
        ("x = True", ["x = False"]),
        ("x += y", ["x -= y"]),
        ("def f(a=1):\n    return a", ["def f(a=2):\n    return a", "def f(a=1):\n    return None"]),
        ("def f():\n    return False", ["def f():\n    return True"]),
        ("def f():\n    g()", ["def f():\n    pass"]),
        ("async def f():\n    await g()", ["async def f():\n    pass"]),
        ("def f():\n    raise E", ["def f():\n    pass"]),
        ("def f():\n    x: int = y", ["def f():\n    pass"]),
        ("match x:\n    case 1:\n        pass", ["match x:\n    case 2:\n        pass"]),
    ],
)
def test_each_small_mistake_is_made_once(source: str, expected: list[str]) -> None:
    assert sorted(mutated(source)) == sorted(expected)
    for text in expected:
        compile(text, "a.py", "exec")


@pytest.mark.parametrize(
    "source",
    [
        '"""1 < 2"""',
        "x: Literal[1]",
        "def f(a: Literal[1]) -> Literal[True]: ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "__slots__ = (1,)",
        "x = f'{1 + 1}'",
        "def f():\n    assert 1 < 2",
        "def f():\n    log.info(1)",
        "def f():\n    assert_never(x)",
        "if TYPE_CHECKING:\n    x = 1",
        "def f():\n    return None",
        "x = 'SELECT 1'",
    ],
)
def test_what_changes_nothing_is_left_alone(source: str) -> None:
    assert mutated(source) == []


def test_a_mutant_knows_its_function_and_its_like() -> None:
    source = b"class A:\n    @property\n    def f(self):\n        g(1, 1)\n\n    x = field(default_factory=lambda: 1)\n"
    found = {(one.scope, one.scope_line, one.owner, one.old, one.nth) for one in find("a.py", source)}
    assert found == {
        ("A.f", 2, "A.f", "g(1, 1)", 0),
        ("A.f", 2, "A.f", "1", 0),
        ("A.f", 2, "A.f", "1", 1),
        ("A.<lambda>", 6, "A", "1", 0),
    }


def mutant_of(old: str, new: str, path: str = PATH) -> Mutant:
    """Return the first mutant of a file that makes `new` of `old`."""
    return next(one for one in find(path, (ROOT / path).read_bytes()) if (one.old, one.new) == (old, new))


def test_a_mutant_in_a_function_is_put_in_and_out(monkeypatch: pytest.MonkeyPatch) -> None:
    known = functions(ROOT, [PATH])
    calm = throttle.Throttle.calm
    monkeypatch.setattr(calm, "__code__", calm.__code__)  # put back afterwards
    one = next(one for one in find(PATH, (ROOT / PATH).read_bytes()) if one.scope == "Throttle.calm")
    before = calm.__code__.co_code
    assert put_in(ROOT, known, one)
    assert calm.__code__.co_code != before


def test_a_constant_is_changed_wherever_it_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    had = throttle.MIN_S
    monkeypatch.setattr(throttle, "MIN_S", had)
    monkeypatch.setitem(globals(), "MIN_S", had)
    source = (ROOT / PATH).read_bytes()
    one = next(one for one in find(PATH, source) if not one.scope and "MIN_S" in names_bound(source, one))
    assert put_in(ROOT, {}, one)
    assert had != throttle.MIN_S
    assert any(names_used(ROOT, [PATH], one)[PATH])


def test_the_tests_of_a_line_come_fastest_first_and_not_for_ever() -> None:
    one = mutant_of("0.0", "1.0")
    lines = {PATH: list(one.lines)}
    ran = {"failed": False, "lines": lines}
    table = Table.of(
        {
            "tests/unit/slow": {"s": 9.0, **ran},
            "tests/unit/fast": {"s": 0.1, **ran},
            "tests/unit/broken": {"s": 0.1, "failed": True, "lines": lines},
            "tests/unit/elsewhere": {"s": 0.1, "failed": False, "lines": {PATH: [10_000]}},
            "tests/contract/other": {"s": 0.2, **ran},
        }
    )
    scoped = Mutant(**{name: getattr(one, name) for name in one.__slots__} | {"scope": "f", "lines": range(0)})
    asked: dict[str, Any] = {"slow_s": 10.0, "root": ROOT, "begin": ("tests/unit/",)}
    assert table.tests_of(scoped, 30.0, **asked) == ["tests/unit/fast", "tests/unit/slow"]
    assert table.tests_of(scoped, 5.0, **asked) == ["tests/unit/fast"]
    assert table.failed == ["tests/unit/broken"]


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    first, totals = chosen(ROOT, ["core"], 10, 1)
    assert first == chosen(ROOT, ["core"], 10, 1)[0] != chosen(ROOT, ["core"], 10, 2)[0]
    assert len(first["core"]) == 10 < totals["core"]
    assert len(chosen(ROOT, ["core"], 0, 1)[0]["core"]) == totals["core"]


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("reaper/core/gate.py", "core"),
        ("reaper/queues/sqlite/claims.py", "sqlite"),
        ("reaper/queues/accounting.py", "shared"),
    ],
)
def test_each_file_has_a_room(path: str, room: str) -> None:
    assert room_of(path) == room


def test_the_page_says_what_was_tried_and_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = mutant_of("0.0", "1.0")
    monkeypatch.setattr(survivors, "EQUIVALENT", {})
    (tmp_path / "docs").mkdir()
    page = tmp_path / survivors.PAGE
    page.write_text(f"before {survivors.BEGIN}old{survivors.END} after")
    ends = [KILLED, KILLED, TIMEOUT, SURVIVED, NO_MUTANT]
    survivors.keep(tmp_path / "kept", "core", [Result(one, end, "", []) for end in ends], 9, 7)
    assert survivors.write(tmp_path / "kept", tmp_path, ["core", "sqlite"]) == 1
    text = page.read_text()
    assert "| core | 8 | 4, seed 7 | 3 | 1 | 1 | 75.0 % |" in text
    assert "open: no test fails" in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "old" not in text.replace("hold", "")
    monkeypatch.setattr(survivors, "EQUIVALENT", {one.key: "nobody can see it"})
    assert survivors.write(tmp_path / "kept", tmp_path, ["core"]) == 0
    assert "nobody can see it" in page.read_text()


def test_what_was_left_can_be_tried_again_alone(tmp_path: Path) -> None:
    one, other = mutant_of("0.0", "1.0"), mutant_of("60.0", "61.0")
    survivors.keep(tmp_path, "core", [Result(one, SURVIVED, "", []), Result(other, KILLED, "a test", [])], 2, 1)
    assert survivors.left(tmp_path, "core") == {one.key}
    survivors.keep(tmp_path, "core", [Result(one, KILLED, "a new test", [])], 2, 1, more=True)
    assert survivors.left(tmp_path, "core") == set()
    tried = json.loads((tmp_path / "core.json").read_text())["tried"]
    assert sorted(by for _, _, _, by in tried) == ["a new test", "a test"]


def test_what_is_called_equivalent_is_in_the_code() -> None:
    paths = {path for path, *_ in EQUIVALENT}
    keys = {one.key for path in paths for one in find(path, (ROOT / path).read_bytes())}
    assert not EQUIVALENT.keys() - keys
    assert all(EQUIVALENT.values())
