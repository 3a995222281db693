"""The grammar of session IDs."""

import pytest

from reaper.core.ids import check_id


def test_only_well_formed_ids_pass() -> None:
    assert check_id("a" * 128) == "a" * 128
    for bad in ("", "a" * 129, "a..b", "-a", "a\n", "a/b", "ä", "\ud800"):
        with pytest.raises(ValueError, match=r"ID|character"):
            check_id(bad)
