"""Any encoding of a stream: a likeness where there is one, else an escape; never an error."""

from __future__ import annotations

import codecs
import io
import json

import pytest

from reaper.cli import output
from reaper.core.readable import NAME, replace_unencodable

codecs.register_error(NAME, replace_unencodable)


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("a … b — c → “d”", "ascii", b'a ... b - c -> "d"'),
        ("café …", "latin-1", b"caf\xe9 ..."),
        ("café \u4f1a", "ascii", b"caf\\xe9 \\u4f1a"),
        ("half \ud800", "utf-8", b"half \\ud800"),
        ("… é", "utf-8", "… é".encode()),
    ],
)
def test_what_cannot_be_encoded_is_still_readable(text: str, encoding: str, expected: bytes) -> None:
    assert text.encode(encoding, NAME) == expected


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", NAME)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_keeps_its_values_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"reason": "café … \u4f1a", "path": "a\ud800"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=NAME)
    monkeypatch.setattr("sys.stdout", stream)
    output.emit_json(data)
    stream.flush()
    assert json.loads(stream.buffer.getvalue().decode(encoding)) == data
