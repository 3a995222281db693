"""An API that answers DELETEs with any bytes, and records them as the stand-in does."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reaper.sandbox.recorder import Delete, fingerprint
from tests.support.http.byte_server import GONE, Drip, Script

LIST = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"sessions":[]}'
NO_ROUTE = b'HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n{"error": "none"}'
REQUEST = re.compile(rb"(\w+) (\S+) HTTP/1.1\r\n")
BEARER = re.compile(rb"(?i)\r\nauthorization: bearer (\S+)")


@dataclass(slots=True)
class ByteApi:
    """The nth DELETE of an ID gets the nth of its `scripts`, then 204. `script_of` is for a ByteServer."""

    scripts: Mapping[str, Sequence[Script]]
    deletes: list[Delete] = field(default_factory=list)
    _sends: Counter[str] = field(default_factory=Counter)

    def script_of(self, head: bytes) -> Script:
        found = REQUEST.match(head)
        assert found is not None, head
        path = found[2].decode()
        if found[1] != b"DELETE":
            return [LIST if path == "/api/sessions" else NO_ROUTE]
        one, token = path.rpartition("/")[2], BEARER.search(head)
        scripts, sends = self.scripts.get(one, ()), self._sends[one]
        self._sends[one] += 1
        script = scripts[sends] if sends < len(scripts) else [GONE]
        is_sound = (script[0].data if isinstance(script[0], Drip) else script[0]) == GONE
        self.deletes.append(
            Delete(
                at=time.time(),
                session_id=one,
                path=path,
                status=204 if is_sound else None,
                fault=None if is_sound else "bytes",
                executed=is_sound,
                token=fingerprint(token[1].decode()) if token else None,
                delivered=True,
            )
        )
        return script
