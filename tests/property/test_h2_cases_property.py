"""Cases of `h2_cases.py`, without a socket: in any pieces, and cut off anywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.http.h1 import cut
from tests.support.http.h2 import fates
from tests.support.http.h2_cases import CASES
from tests.support.http.h2_play import check, play, whole


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.lists(st.integers(1, 40_000), max_size=6))
def test_pieces_do_not_matter(name: str, places: list[int]) -> None:
    check(CASES[name], *play(CASES[name], whole, lambda said: cut(said, places)))


@pytest.mark.parametrize("name", ["404 with JSON", "a head in parts", "interim answers", "trailers", "a padded body"])
def test_an_answer_that_is_cut_off_is_never_whole(name: str) -> None:
    case = CASES[name]
    for length in range(len(case.said)):
        stage, asked = play(replace(case, said=case.said[:length]), whole, whole)
        assert fates(asked) == [None, None, None]
        stage.connection.eof_received()
        stage.lose()
        assert fates(asked) == ["reset"] * 3
