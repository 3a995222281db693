"""Generate sessions in every state and of every age, to test the choice among them."""

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
"""Seconds until the expiry. Like the ages, each is at least a minute away from the limit of every usual rule."""


def session_mix(n: int = 500, seed: int = 0, *, now: float | None = None, batches: int = 8) -> Iterator[Session]:
    """Yield `n` sessions with distinct IDs. Same arguments and `now`, same sessions; the IDs do not depend on `now`.

    All combinations of status, age and remaining time take turns; three in four have a batch (`batch-00`, …).
    Half of the ended ones are listed as if they had not ended.
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
