"""A mistyped word is answered with the one that was meant, and never with one that is far from it."""

from __future__ import annotations

import pytest

from reaper.cli.verbs import VERBS
from reaper.core.suggest import nearest, suggestion
from reaper.settings.reference import setting_specs

OPTIONS = ("--config", "--concurrency", "--json", "-v", "-q", "-h", "--outcome", "--limit")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("stauts", "status"), ("onec", "once"), ("rn", "run"), ("RUN", "run"), ("stat", "status"), ("outc", "outcomes"),
        ("help", None), ("stop", None), ("start", None), ("xyzzy", None), ("s", None), ("ls", None), ("", None),
        ("re", None), ("o", None),
    ],
)  # fmt: skip
def test_commands(word: str, meant: str | None) -> None:
    assert nearest(word, VERBS) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--limt", "--limit"), ("--jsn", "--json"), ("--con", None), ("--conc", "--concurrency"), ("-x", None),
        ("--bogus", None), ("-json", "--json"),
    ],
)  # fmt: skip
def test_options(word: str, meant: str | None) -> None:
    assert nearest(word, OPTIONS) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("worker.concurency", "worker.concurrency"), ("timeout_s", "api.timeout_s"), ("api.timeout", "api.timeout_s"),
        ("worker.base_url", "api.base_url"), ("intake.file", "intake.files"), ("nonsense", None), ("api", None),
        ("telemetry.concurency", "worker.concurrency"),
    ],
)  # fmt: skip
def test_settings(word: str, meant: str | None) -> None:
    assert nearest(word, setting_specs()) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("REAPER_API_TOKEN", "REAPER_API__TOKEN"), ("REAPER_TOKEN", "REAPER_API__TOKEN"),
        ("REAPER_worker__concurrency", "REAPER_WORKER__CONCURRENCY"), ("REAPER_X", None), ("REAPER_API", None),
        ("REAPER_NONSENSE", None),
    ],
)  # fmt: skip
def test_variables(word: str, meant: str | None) -> None:
    assert nearest(word, [spec.variable for spec in setting_specs().values()]) == meant


def test_a_long_word_takes_no_time() -> None:
    assert nearest("x" * 1_000_000, setting_specs()) is None


def test_the_words_of_an_error() -> None:
    assert suggestion("exhausetd", ("exhausted", "stopped")) == ". Did you mean exhausted?"
    assert suggestion("gone", ("exhausted", "stopped")) == ""
    assert suggestion("x", ()) == ""
