"""Encodes and decodes HTTP/2 frames, and names the faults of reading them (RFC 9113)."""

from __future__ import annotations

import struct
from enum import IntEnum

HEADER = struct.Struct(">BHBBI")
"""Of a frame: length in 8 + 16 bits, type, flags, stream."""
MAX_FRAME = 16384
"""Bytes of the largest payload accepted and sent: the smallest limit that a peer may have."""
LAST_ID = 2**31 - 1
MAX_WINDOW = 2**31 - 1
FIRST_WINDOW = 65535
"""Bytes of each flow-control window before any SETTINGS or WINDOW_UPDATE."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

CONNECTION_SPECIFIC = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Header fields that HTTP/2 forbids (RFC 9113, 8.2.2)."""

_SETTING = struct.Struct(">HI")
_WORD = struct.Struct(">I")


class Code(IntEnum):
    """Error codes of RST_STREAM and GOAWAY."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class ConnectionFault(Exception):
    """A violation of the protocol that ends the connection. The text holds nothing of a request."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class ResponseFault(Exception):
    """One response is malformed; the connection goes on."""

    def __init__(self, text: str, code: Code = Code.PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def code_name(code: int) -> str:
    """Return a code's name, or its number when it has none."""
    try:
        return Code(code).name
    except ValueError:
        return f"error {code:#x}"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame. `payload`: at most MAX_FRAME bytes."""
    return HEADER.pack(0, len(payload), kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def window_update(stream: int, more: int) -> bytes:
    """Return a WINDOW_UPDATE frame; `more`: 1 to MAX_WINDOW bytes."""
    return frame(WINDOW_UPDATE, 0, stream, _WORD.pack(more))


def rst_stream(stream: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, _WORD.pack(code))


def goaway(code: int) -> bytes:
    """Return a GOAWAY frame. Its last stream is 0: a server opens no stream here."""
    return frame(GOAWAY, 0, 0, _WORD.pack(0) + _WORD.pack(code))


def word(payload: bytes, at: int = 0) -> int:
    """Return the unsigned 32-bit integer at an offset."""
    number: int = _WORD.unpack_from(payload, at)[0]
    return number


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return the settings in order. Raises ConnectionFault for a length or a value that is not allowed."""
    if len(payload) % _SETTING.size:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a SETTINGS frame of a wrong length")
    found = list(_SETTING.iter_unpack(payload))
    for name, value in found:
        if name == ENABLE_PUSH and value != 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a server enabled push")
        if name == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "an initial window above the bound")
        if name == MAX_FRAME_SIZE and not MAX_FRAME <= value < 2**24:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame size out of bounds")
    return found


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return the payload without its padding. Raises ConnectionFault when the padding is longer than the payload."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a padded frame without a length of the padding")
    end = len(payload) - payload[0]
    if end < 1:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "more padding than payload")
    return payload[1:end]
