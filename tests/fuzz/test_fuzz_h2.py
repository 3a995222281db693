"""The fuzzer itself: it runs, reaches every kind of end, and notices a rule that is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reaper.api.http.h2 import decode as h2_decode
from reaper.api.http.h2 import frames
from reaper.api.http.h2 import response as h2_answer
from tests.support.http import fuzz_h2


def test_it_finds_nothing_and_reaches_every_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert fuzz_h2.main(["--inputs", "3000", "--seed", "7", "--keep", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for end in ("malformed", "reset", "refused", "under way", "answer 2xx", "answer 2xx, cut", "connection open"):
        assert f" {end}\n" in said
    assert list(tmp_path.iterdir()) == []


def padding_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "unpadded", lambda flags, payload: payload[1:] if flags & 8 else payload)


def the_table_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the fields after a bad one in its block."""

    def decode(self: h2_decode.BlockDecoder, block: bytes) -> tuple[list[h2_decode.Field], int]:
        try:
            found = self._decode_by_field(block)
        except IndexError:
            found = None
        return found or self._decode_with_table(block)

    monkeypatch.setattr(h2_decode.BlockDecoder, "decode", decode)


def bodies_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    def data(self: h2_answer.Response, data: bytes, weight: int) -> bool:
        self._exchange.body += data
        return True

    monkeypatch.setattr(h2_answer.Response, "data", data)


@pytest.mark.parametrize("plant", [padding_stays, the_table_stays_behind, bodies_grow])
def test_it_notices_a_broken_rule(
    plant: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    plant(monkeypatch)
    assert fuzz_h2.main(["--inputs", "8000", "--seed", "7", "--keep", str(tmp_path)]) == 1
    assert "kept in" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1
