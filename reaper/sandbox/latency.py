"""Latency of the sandbox: fixed, uniform between two bounds, or log-normal given by two percentiles."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import NormalDist

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_FIXED = re.compile(rf"{_NUMBER}(ms|s)")
_RANGE = re.compile(rf"{_NUMBER}(ms|s)?-{_NUMBER}(ms|s)")
_TAIL = re.compile(rf"p50={_NUMBER}(ms|s),p99={_NUMBER}(ms|s)")
_UNIT_S = {"ms": 0.001, "s": 1.0}
_Z99 = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution: uniform from `low_s` to `high_s`, or, if `tailed`, log-normal (median `low_s`, p99 `high_s`)."""

    low_s: float = 0.0
    high_s: float = 0.0
    tailed: bool = False

    @property
    def fixed(self) -> bool:
        return self.low_s == self.high_s

    def at(self, share: float) -> float:
        """Return the quantile `share` (0…1) of the latency in seconds."""
        if self.fixed or not self.tailed:
            return self.low_s + (self.high_s - self.low_s) * share
        sigma = math.log(self.high_s / self.low_s) / _Z99
        return self.low_s * math.exp(sigma * NormalDist().inv_cdf(min(max(share, 1e-9), 1 - 1e-9)))


def parse_latency(text: str) -> Latency:
    """Parse `0`, `100ms`, `50-200ms` or `p50=80ms,p99=600ms`. Raises ValueError with a sentence for the operator."""
    plain = text.replace(" ", "").lower()
    if plain in ("", "0"):
        return Latency()
    if match := _FIXED.fullmatch(plain):
        value = float(match[1]) * _UNIT_S[match[2]]
        return Latency(value, value)
    if match := _RANGE.fullmatch(plain):
        low_s, high_s = float(match[1]) * _UNIT_S[match[2] or match[4]], float(match[3]) * _UNIT_S[match[4]]
        if low_s > high_s:
            raise ValueError(f"latency {text!r}: the lower bound comes first")
        return Latency(low_s, high_s)
    if match := _TAIL.fullmatch(plain):
        low_s, high_s = float(match[1]) * _UNIT_S[match[2]], float(match[3]) * _UNIT_S[match[4]]
        if not 0 < low_s <= high_s:
            raise ValueError(f"latency {text!r}: p50 must be above 0 and not above p99")
        return Latency(low_s, high_s, tailed=True)
    raise ValueError(f"latency {text!r} is not understood; write 100ms, 50-200ms or p50=80ms,p99=600ms")
