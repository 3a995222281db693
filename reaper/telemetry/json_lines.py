"""Encodes log lines as JSON.

`json.JSONEncoder.encode` makes an encoder in C for each text, which is two fifths of what a log line costs to encode
(`bench.parts`). The one here is made once, and gives the same text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json import encoder


def _encoder() -> Callable[[object], str]:
    plain = json.JSONEncoder(default=repr)
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without the C part
        return plain.encode
    parts = make(
        None, repr, encoder.encode_basestring_ascii, None, plain.key_separator, plain.item_separator, False, False, True
    )
    return lambda value: "".join(parts(value, 0))


encode: Callable[[object], str] = _encoder()
"""Returns what `json.JSONEncoder(default=repr)` does. A value that holds itself is a RecursionError here."""
