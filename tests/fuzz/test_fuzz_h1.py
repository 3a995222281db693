"""The fuzzer itself: it runs, reaches every kind of end, and notices a rule that is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.api.http.http11 import H1Connection
from tests.support.http import fuzz_h1


def test_it_finds_nothing_and_reaches_every_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert fuzz_h1.main(["--inputs", "3000", "--seed", "7", "--keep", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for end in ("malformed", "reset", "answer 2xx, kept", "answer 2xx", "answer 2xx, cut"):
        assert f" {end}\n" in said
    assert list(tmp_path.iterdir()) == []


def test_it_notices_a_broken_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(H1Connection, "on_message_begin", lambda self: None)
    assert fuzz_h1.main(["--inputs", "3000", "--seed", "7", "--keep", str(tmp_path)]) == 1
    assert "kept in" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1
