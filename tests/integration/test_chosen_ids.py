"""The IDs that an order will change: each once, in order, and no more in memory the more there are."""

from __future__ import annotations

import os
import resource

import pytest

from reaper.core.errors import ReaperError
from reaper.core.model import SessionId
from reaper.queues import chosen_ids
from reaper.queues.chosen_ids import ChosenIds


def test_each_is_there_once_in_the_order_they_came() -> None:
    chosen = ChosenIds()
    assert chosen.add(map(SessionId, "cab")) == 3
    assert chosen.add(map(SessionId, "adce")) == 2
    assert chosen.add([]) == 0
    assert len(chosen) == 5
    assert list(chosen.batches(2)) == [["c", "a"], ["b", "d"], ["e"]]
    chosen.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow so little memory that a few thousand IDs need a file."""
    monkeypatch.setattr(chosen_ids, "MEMORY_KIB", 64)


DESCRIPTORS = "/proc/self/fd"
IDS = [SessionId(f"ses-{number * 7919 % 20_011:08d}") for number in range(20_000)]


@pytest.mark.usefixtures("small")
def test_what_does_not_fit_goes_to_a_file_without_a_name() -> None:
    chosen = ChosenIds()
    for start in range(0, len(IDS), 500):
        chosen.add(IDS[start : start + 500])
    links = [os.path.join(DESCRIPTORS, number) for number in os.listdir(DESCRIPTORS)]
    (file,) = [target for link in links if os.path.islink(link) and "/etilqs_" in (target := os.readlink(link))]
    assert file.endswith(" (deleted)"), "a name was left that outlives a kill"
    assert [each for batch in chosen.batches(1000) for each in batch] == IDS
    chosen.close()


@pytest.mark.usefixtures("small")
def test_a_disk_without_room_is_said_in_a_sentence() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(ReaperError, match="no room for a temporary file with the chosen IDs"):
            ChosenIds().add(IDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
