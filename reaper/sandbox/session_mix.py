"""Sessions in every state and of every age, for what chooses among them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from random import Random

from reaper.sandbox.sessions import Session

_H = 3600.0
_STATUSES = ("running", "running", "starting", "failed", "ended")
_AGES_S = (60, 600, 800, 1000, _H, 6 * _H, 23 * _H, 24 * _H, 24.1 * _H, 30 * _H, 72 * _H)
_LEFT_S = (-30 * _H, -_H, -300, -180, -60, 60, 600, _H, 12 * _H)
"""What is left until the expiry. Like the ages, no figure is nearer than a minute to where a usual rule turns."""


def session_mix(n: int = 500, seed: int = 0, *, now: float | None = None, batches: int = 8) -> Iterator[Session]:
    """Yield `n` sessions with distinct IDs. Same arguments and `now`, same sessions; the IDs do not depend on `now`.

    Every status with every age and every time left, in turns; three in four have one of `batch-00`, `batch-01`, …
    Of those that have ended, every other one is listed as if it had not.
    """
    random = Random(f"assorted/{seed}")
    now = time.time() if now is None else now
    kinds = list(product(_STATUSES, _AGES_S, _LEFT_S))
    random.shuffle(kinds)
    for number in range(n):
        status, age_s, left_s = kinds[number % len(kinds)]
        yield Session(
            f"env_{seed}{number:06d}",
            status=status,
            created_at=now - age_s,
            expires_at=now + left_s,
            batch_id=f"batch-{random.randrange(batches):02d}" if random.random() < 0.75 else None,
            scenario_id=f"scenario-{random.randrange(5)}" if random.random() < 0.75 else None,
            clone_ids=tuple(random.sample(("github", "slack", "stripe", "linear"), random.randrange(3))),
            ended_at=now - 30 if status == "ended" and random.random() < 0.5 else None,
        )
