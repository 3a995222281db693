"""Mistakes for the checker to find: each in a copy of the package, as `tools.proof` plants them for the fast tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import reaper
from tools.proof.planted import Bug, bug, changed

ROOT = Path(reaper.__file__).parents[1]

SETTLED_FIRST = bug(
    "settled before the DELETE",
    "an ID is settled, and the DELETE sent only after that",
    "reaper/worker/attempt.py",
    "import Decision, Lease, Release, Reply, Send, Withheld\n",
    "import Decision, Lease, Outcome, Release, Reply, Send, Settle, Withheld\n",
    "        if (reply := await self._send(lease, before.at)) is None:\n",
    "        self.post_result(lease, Settle(Outcome.STOPPED), Send(before.at, 0.0, status=204))\n"
    "        await anyio.sleep(0.1)\n"
    "        if (reply := await self._send(lease, before.at)) is None:\n",
    "        return self.post_result(lease, decision, record(reply, before.at))\n",
    "        return None\n",
    fails=(),
)
EXHAUSTED_EARLY = bug(
    "exhausted too early",
    "an ID gets one attempt fewer than it is allowed",
    "reaper/core/decide.py",
    "if attempts < policy.max_attempts:",
    "if attempts + 1 < policy.max_attempts:",
    fails=(),
)
UNCOUNTED = bug(
    "an outcome that is not counted",
    "an ID that was sent more than once is settled, and the counters do not know",
    "reaper/queues/accounting.py",
    "counts=() if outcome is None else counts_of(outcome, send),",
    "counts=() if outcome is None or claimed.sends > 1 else counts_of(outcome, send),",
    fails=(),
)
FAULT_IS_END = bug(
    "a 5xx taken for an end",
    "an ID whose DELETE failed is settled as gone",
    "reaper/core/decide.py",
    "            return _charge(lease, policy, jitter, verdict, least_s=after_s, of_check=of_check)\n",
    "            return Settle(Outcome.ALREADY_GONE)\n",
    fails=(),
)
UNSYNCED = bug(
    "a ledger that does not sync",
    "SQLite loses what it has committed when the power is cut",
    "reaper/queues/sqlite/schema.py",
    "PRAGMA synchronous = FULL",
    "PRAGMA synchronous = NORMAL",
    fails=(),
)

CHECKED = {
    SETTLED_FIRST.name: (SETTLED_FIRST, "dishonest"),
    EXHAUSTED_EARLY.name: (EXHAUSTED_EARLY, "dishonest"),
    UNCOUNTED.name: (UNCOUNTED, "doubled"),
    FAULT_IS_END.name: (FAULT_IS_END, "dishonest"),
}
"""What the checker of a run's evidence must find, and by which of its rules."""
PLANTED = (*(planted for planted, _ in CHECKED.values()), UNSYNCED)


def plant(home: Path, planted: Bug) -> Path:
    """Return a directory with a copy of the package that has the bug. Raises DoesNotApplyError."""
    texts = changed(ROOT, planted)
    shutil.copytree(ROOT / "reaper", home / "reaper", ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in texts.items():
        (home / path).write_text(text, encoding="utf-8")
    return home
