"""Chance that can be repeated: a number from a seed and a name, whatever the order in which requests arrive."""

from __future__ import annotations

from hashlib import blake2b


def chance(*keys: object) -> float:
    """Return a number in [0, 1) that depends on the keys alone, spread evenly over different keys."""
    digest = blake2b("/".join(map(str, keys)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
