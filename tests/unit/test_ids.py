"""The grammar of session IDs."""

import pytest

from reaper.core.ids import NO_VALUES, check_form, check_id


def test_only_well_formed_ids_pass() -> None:
    assert check_id("a" * 128) == "a" * 128
    for bad in ("", "a" * 129, "a..b", "-a", "a\n", "a/b", "ä", "\ud800"):
        with pytest.raises(ValueError, match=r"ID|character"):
            check_id(bad)


@pytest.mark.parametrize("word", [*NO_VALUES, "None", "NaN", "FALSE"])
def test_words_for_no_value_are_no_ids_but_can_be_named_in_an_old_queue(word: str) -> None:
    with pytest.raises(ValueError, match="no value"):
        check_id(word)
    assert check_form(word) == word


@pytest.mark.parametrize(
    ("pasted", "what_to_do"),
    [
        ('"env_1"', "take the quotes away"),
        ("\N{LEFT DOUBLE QUOTATION MARK}env_1\N{RIGHT DOUBLE QUOTATION MARK}", "take the quotes away"),
        ('"env_1",', "take the quotes and the comma away"),
        ("env_1,", "take the comma away"),
        ("env_1;", "take the semicolon away"),
        ("env_1,running", "cut -d, -f1"),
        ('"env_1","running"', "cut -d, -f1"),
        ("env_1\trunning", "cut -f1"),
        ("env_1;running", "cut -d';' -f1"),
        ("https://archal.ai/api/sessions/env_1?tab=logs", "a URL: give its last part"),
        ("/api/sessions/env_1", "a path: give its last part"),
        ("env_1 # of Anna", "take the note behind it away"),
        ("env_1 running", "take the note behind it away"),
        ("- env_1", "the mark of the list"),
        ("session_id=env_1", "give the value alone"),
        ("session_id: env_1", "give the value alone"),
        ('["env_1"]', "docs/input.md"),
        ("https://archal.ai/" + "a" * 128, "give its last part"),
        ("env_1 env_2", "several IDs"),
        ("env_1, env_2, env_3", "several IDs"),
        ("env_1\renv_2", "several IDs"),
        ("env_1;env_2;", "several IDs"),
        ("env_1,batch_1", "cut -d, -f1"),
        ("curl -X DELETE https://archal.ai/api/sessions/env_1", "a command"),
        ("$ curl -X DELETE 'https://archal.ai/api/sessions/env_1'", "a command"),
        ("reaper add env_1", "a command"),
        ("env_1?", "an ID has only"),
    ],
)
def test_of_shapes_that_people_paste_the_refusal_says_what_to_do(pasted: str, what_to_do: str) -> None:
    with pytest.raises(ValueError, match=r"character|ID") as caught:
        check_id(pasted)
    assert what_to_do in str(caught.value)
    assert "env_1" not in str(caught.value)
