"""The exponential backoff, without jitter."""

import pytest

from reaper.core.backoff import backoff_s


@pytest.mark.parametrize(("earlier", "wait_s"), [(0, 0.5), (1, 1.0), (4, 8.0), (5, 10.0), (60, 10.0), (2000, 10.0)])
def test_a_wait_doubles_up_to_its_cap_however_often_it_is_repeated(earlier: int, wait_s: float) -> None:
    assert backoff_s(earlier, 0.5, 10.0) == wait_s
