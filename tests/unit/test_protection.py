"""Protection: the names of a session that it covers, and the file of `protect.file`."""

import pytest

from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.protection import Protection, protection
from reaper.core.model import SessionId

A, B = SessionId("a"), SessionId("b")
WHOLE = SessionSummary(A, batch_id="batch-1", scenario_id="s[1]", clone_ids=("github", "slack"))


@pytest.mark.parametrize(
    ("shield", "reason"),
    [
        (protection(["a"]), "session a is protected"),
        (protection(["batch-1"]), "batch batch-1 is protected"),
        (protection(["slack"]), "clone slack is protected"),
        (protection(globs=["batch-?"]), "batch batch-1 is protected by batch-?"),
        (protection(globs=["s[*"]), "scenario s[1] is protected by s[*"),
        (protection(globs=["*"]), "session a is protected by *"),
        (protection(text="\ufeff# mine\r\n  # too\r\n\r\n\ufeffslack\r\n"), "clone slack is protected"),
        (protection(text="nobody\ngit*b"), "clone github is protected by git*b"),
        (protection(["A", "batch", "batch-*"], ["", "BATCH-*", "b", "s[[]1]", "[ab]"]), None),
        (protection(text="# a\n"), None),
        (Protection(), None),
    ],
)
def test_protection_covers_every_name_of_a_session(shield: Protection, reason: str | None) -> None:
    assert shield.of(WHOLE) == reason


def test_an_id_alone_is_protected_by_its_own_name_only() -> None:
    assert protection(["a", "batch-1"]).of_id(A) == "session a is protected"
    assert protection(globs=["a*"]).of_id(A) == "session a is protected by a*"
    assert protection(["batch-1"], ["batch-*"]).of_id(A) is None
    assert protection(["a"]).of(SessionSummary(B)) is None


def test_a_pattern_with_many_stars_is_matched_quickly() -> None:
    assert protection(globs=["*a" * 40 + "b"]).of(SessionSummary(A, scenario_id="a" * 5000)) is None


def test_a_file_of_protected_names_and_patterns() -> None:
    found = protection(["named"], ["given-*"], "\ufeffses-1\n\n  # ses-2\nenv_?\nbatch-*\n")
    shields = {
        name: found.of_id(SessionId(name)) is not None for name in ("named", "given-1", "ses-1", "env_7", "batch-9")
    }
    assert all(shields.values()), shields
    assert found.globs == ("given-*", "env_?", "batch-*"), "what has no * and no ? is an ID"
    assert "" not in found.ids
    for name in ("ses-2", "# ses-2", "env_77", "other"):
        assert found.of_id(SessionId(name)) is None
