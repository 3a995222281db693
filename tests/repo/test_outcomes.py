"""Each outcome has its words and its colour: a new one is not forgotten where tables name them."""

from reaper.cli.terminal.live import STYLES
from reaper.core.model import Outcome
from reaper.core.words import OUTCOME_WORDS
from reaper.queues.story import NEXT_SETTLED


def test_every_outcome_has_its_words_and_its_colour() -> None:
    assert set(NEXT_SETTLED) == set(OUTCOME_WORDS) == set(STYLES) == set(Outcome)
