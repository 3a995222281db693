"""Repeatable randomness: a number that depends on a seed and a name, not on the order in which requests arrive."""

from __future__ import annotations

from hashlib import blake2b


def seeded_random(*keys: object) -> float:
    """Return a number in [0, 1) that depends on the keys alone; different keys give evenly spread numbers."""
    digest = blake2b("/".join(map(str, keys)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
