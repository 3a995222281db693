"""What spares is read strictly: an entry that can match nothing is a fault, never a quiet loss of protection."""

from __future__ import annotations

import pytest

from reaper.core.discovery.entries import entries_of, fault_of_entry, fault_of_name

NAMES = [
    "env_1",
    "ses-01HD110JGG102RM51V20015420",
    "a",
    "batch 7",
    "a-b",
    "x#1",
    "o'neil",
    "ü",
    "scenario:2",
    "YmF0Y2g=",
    "YmF0Y2gx==",
    "v1.2",
]

UNUSABLE = [
    ('"env_1"', "quoted"),
    ("'env_1'", "quoted"),
    ('"env_1', "quoted"),
    ("env_1'", "quoted"),
    ("\u201eenv_1\u201c", "quoted"),
    ("\u2039env_1\u203a", "quoted"),
    ("`env_1`", "quoted"),
    ("\u201cenv_1\u201d", "quoted"),
    ('ids = ["env_1"]', "quoted"),
    ('["env_1", "env_2"]', "quoted"),
    ('{"id": "env_1"}', "quoted"),
    (" env_1", "blank"),
    ("env_1 ", "blank"),
    ("\tenv_1", "blank"),
    ("env_1\u00a0", "blank"),
    ("", "empty"),
    ("null", "no value"),
    ("None", "no value"),
    ("ids = env_1", "setting"),
    ("id: env_1", "setting"),
    ("file=/etc/protected", "setting"),
    ("Error: cannot connect", "message"),
    ("<html>", "HTML"),
    ("env_1,", "comma"),
    (",env_1", "comma"),
    ("env_1 # production demo", "comment"),
    ("env_1\t# production demo", "comment"),
    ("- env_1", "item of a list"),
    ("-", "item of a list"),
    ("env_1\u200b", "invisible"),
    ("env\ufeff_1", "invisible"),
    ("env\x00_1", "invisible"),
    ("[env_1, env_2]", "JSON"),
    ("[protect]", "table"),
    ("[", "JSON"),
    ("]", "JSON"),
    ("{", "JSON"),
]  # fmt: skip

UNUSABLE_PROTECTION = [
    ("https://archal.ai/sessions/env_1", "URL"),
    ("env_[0-9", "brackets"),
    ("s]", "brackets"),
    ("* env_1", "item of a list"),
    *[(f"{mark} env_1", "item of a list") for mark in ("1.", "12)", "(a)", "\u2014", "\u00b7", ">", "|", "--")],
    ("env_1, env_2", "comma"),
    ("env_1,env_2", "comma"),
    ("env_1,2026-11-30,running", "comma"),
    *[(entry, "regular expression") for entry in ("^env_1$", "env_.*$", "$ENV", "${ENV}", "!env_1", "\\*", "env_1\\")],
    ("\u2022 env_1", "item of a list"),
    ("env_[0-9]", "brackets"),
    ("env_[ab]*", "brackets"),
    ("env_1;", "semicolon"),
    ("env_1;env_2", "semicolon"),
    ("env_1 // demo", "comment"),
    ("// env_1", "comment"),
]


@pytest.mark.parametrize("entry", NAMES)
def test_a_name_is_a_name(entry: str) -> None:
    assert (fault_of_name(entry), fault_of_entry(entry)) == (None, None)


def test_a_program_may_name_its_batches_as_it_likes() -> None:
    assert [fault_of_name(entry) for entry in ("a,b", "1. run", "^x", "$run", "a\\b")] == [None] * 5


@pytest.mark.parametrize("entry", ["env_*", "*", "?", "env_training_??", "*_?", "a?b", "?? demo", "v1.2 demo"])
def test_a_pattern_is_an_entry(entry: str) -> None:
    assert fault_of_entry(entry) is None


@pytest.mark.parametrize(("entry", "why"), UNUSABLE)
def test_what_can_match_nothing_is_a_fault_everywhere(entry: str, why: str) -> None:
    assert why in (fault_of_name(entry) or "")
    assert why in (fault_of_entry(entry) or "")


@pytest.mark.parametrize(("entry", "why"), UNUSABLE_PROTECTION)
def test_what_an_operator_mistypes_is_a_fault_of_protection(entry: str, why: str) -> None:
    assert why in (fault_of_entry(entry) or "")
    assert fault_of_name(entry) is None, "a program may name its batches so"


def test_the_first_fault_is_named_by_its_line() -> None:
    text = "\ufeff# ours\r\n\r\nenv_1\r\n  # indented\n\ufeffenv_2\n"
    assert entries_of(text, fault_of_name) == ["env_1", "env_2"]
    with pytest.raises(ValueError, match=r"^line 6 can match nothing: it begins or ends with a comma"):
        entries_of(text + "env_3,\n'env_4'\n", fault_of_name)
