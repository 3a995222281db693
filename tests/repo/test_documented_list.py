"""docs/commands-run.md is that of the pages as they are."""

from __future__ import annotations

import re

from tests.support.docs.blocks import PAGES, ROOT, blocks
from tests.support.docs.fates import SHOWN, parts
from tools.documented_commands import PAGE, text


def test_it_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(), "run `make generated`"


def test_it_has_every_command_once() -> None:
    shown = sum(len(steps) for page in PAGES for _, steps in parts(page))
    assert shown == sum(len(one.steps) for page in PAGES for one in blocks(page) if one.language not in SHOWN)
    listed = [(1 + int(more or 0)) for more in re.findall(r"^- `.*`(?: and (\d+) more)?$", text(), re.MULTILINE)]
    assert sum(listed) == shown


def test_the_tests_that_it_names_are_there() -> None:
    for end in {end for page in PAGES for end, _ in parts(page)}:
        assert end is not None
        if end.test:
            file, _, name = end.test.partition("::")
            code = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"def {name.partition('[')[0]}(" in code
