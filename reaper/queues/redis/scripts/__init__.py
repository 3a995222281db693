"""The Lua scripts: each is one atomic step inside the engine; its first comment names its arguments and its answer.

`KEYS[1]` is the prefix of all keys (`reaper.queues.redis.schema`), a hash tag: the whole queue is in one slot of a
cluster. `ARGV[1]` is the identity of the queue that the process opened, a space, and the time in tests.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script, and the digest by which the engine knows it.

    redis-py's `Script` is of no use here: when the engine has forgotten a script it calls SCRIPT LOAD, a right that
    the documented user does not have. EVAL loads and runs in one step.
    """

    text: str
    sha: str


def load(name: str) -> Script:
    """Return the script of `NAME.lua`, preceded by `common.lua` and by the files that its first lines include."""
    own = _read(name)
    text = "".join(map(_read, ["common", *re.findall(r"^-- @include (\w+)$", own, flags=re.M)])) + own
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def _read(name: str) -> str:
    data = get_data(__name__, f"{name}.lua")
    assert data is not None, "the package's loader reads files"
    return data.decode()
