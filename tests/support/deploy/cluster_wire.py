"""Two forms in which `kubectl` speaks to a cluster: a WebSocket for `exec`, and protobuf for what `create` makes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator

from tests.support.deploy.kube import Doc

CHANNELS = "v5.channel.k8s.io"
PART = 30_000
MAGIC = b"k8s\x00"


# --- exec -------------------------------------------------------------------------------------------------------------


def accept(key: str) -> str:
    """Return the answer to a WebSocket's key (RFC 6455)."""
    whole = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(whole.encode()).digest()).decode()


def typed(read: Callable[[int], bytes]) -> bytes:
    """Return what comes on the channel of stdin, until the client closes it."""
    found = b""
    while True:
        head = read(2)
        length = head[1] & 127
        if length >= 126:
            length = int.from_bytes(read(2 if length == 126 else 8), "big")
        mask = read(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(read(length)))
        if head[0] & 15 == 8 or data[:2] == b"\xff\x00":
            return found
        if head[0] & 15 == 2 and data[:1] == b"\x00":
            found += data[1:]


def frames(code: int, out: bytes, err: bytes) -> Iterator[bytes]:
    """Yield what a command wrote, how it ended, and the end of the connection."""
    for channel, text in ((1, out), (2, err)):
        for at in range(0, len(text), PART):
            yield _frame(bytes([channel]) + text[at : at + PART])
    status: Doc = {"metadata": {}, "status": "Success"}
    if code:
        causes = [{"reason": "ExitCode", "message": str(code)}]
        status |= {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
        status["message"] = f"command terminated with exit code {code}"
    yield _frame(b"\x03" + json.dumps(status).encode())
    yield _frame((1000).to_bytes(2, "big"), opcode=8)


def _frame(data: bytes, opcode: int = 2) -> bytes:
    short = len(data) < 126
    return bytes([0x80 | opcode, len(data) if short else 126]) + (b"" if short else len(data).to_bytes(2, "big")) + data


# --- create -----------------------------------------------------------------------------------------------------------


def decode(body: bytes) -> Doc:
    """Return an object from JSON, or from protobuf as far as the guide needs it.

    That is a Secret, a ConfigMap, and a Job without its spec: `kubectl` made that from its owner.
    """
    if not body.startswith(MAGIC):
        found: Doc = json.loads(body or b"{}")
        return found
    unknown = _fields(body[len(MAGIC) :])
    kind = _fields(unknown[1][0])[2][0].decode()
    fields = _fields(unknown[2][0])
    meta = _fields(fields[1][0])
    doc: Doc = {"apiVersion": "batch/v1" if kind == "Job" else "v1", "kind": kind}
    doc["metadata"] = {"name": meta[1][0].decode()}
    if kind == "Job":
        doc["metadata"]["ownerReferences"] = [_owner(_fields(one)) for one in meta[13]]
    else:
        pairs = [_fields(one) for one in fields.get(2, [])]
        values = {pair[1][0].decode(): pair[2][0] for pair in pairs}
        secret = kind == "Secret"
        doc["data"] = {name: (base64.b64encode(one) if secret else one).decode() for name, one in values.items()}
    return doc


def _owner(fields: dict[int, list[bytes]]) -> Doc:
    names = {"kind": 1, "name": 3, "uid": 4, "apiVersion": 5}
    return {name: fields[number][0].decode() for name, number in names.items()}


def _fields(data: bytes) -> dict[int, list[bytes]]:
    """Return the fields of a message by number; those that are numbers themselves are passed over."""
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            found.setdefault(tag >> 3, []).append(data[at : at + value])
            at += value
        else:
            assert tag & 7 == 0, f"a field of type {tag & 7}"
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
