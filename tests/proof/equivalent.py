"""Mutants that change nothing that a test should notice, and why: by file, function, old text, new text, number.

The number tells apart what stands in one function more than once. tests/unit/test_mutants.py requires each to be in
the code.
"""

from __future__ import annotations

Key = tuple[str, str, str, str, int]

_FASTER = "a short cut: without it the longer way gives the same"
_BEFORE = "what would differ was answered further up"
_NO_SENSE = "no caller can come here: the line is for the type checker"
_ANYWAY = "refused all the same, by what comes next"
_BOUND = "a bound that only has to be high enough"

EQUIVALENT: dict[Key, str] = {
    ("reaper/core/classify.py", "classify", "400 <= status < 500", "400 <= status <= 500", 0): _BEFORE,
    ("reaper/core/classify.py", "classify", "500", "501", 2): _BEFORE,
    ("reaper/core/classify.py", "classify_read", "0", "1", 0): _NO_SENSE,
    ("reaper/core/decide.py", "RetryPolicy.backoff_s", "60", "61", 0): _BOUND,
    (
        "reaper/core/gate.py",
        "Gate.observe",
        "len(self._foreign) < FOREIGN_IDS",
        "len(self._foreign) <= FOREIGN_IDS",
        0,
    ): ("one more ID is kept than is needed: that many suffice either way"),
    ("reaper/core/gate.py", "Gate._open", "self._throttle.until <= now", "self._throttle.until < now", 0): _FASTER,
    (
        "reaper/core/gate.py",
        "Gate._open",
        "return self._operator is None and self.steady and self._throttle.until <= now",
        "return None",
        0,
    ): _FASTER,
    ("reaper/core/grammar.py", "parse_duration", "True", "False", 0): "both sides have four parts, always",
    ("reaper/core/guard.py", "weigh", "0", "1", 0): "one is as little as none: a list counts from ten on",
    ("reaper/core/holds.py", "_read", 'raise TypeError("sessions is no object")', "pass", 0): _ANYWAY,
    ("reaper/core/rate.py", "Rate.allowed", "1_000_000", "1000001", 0): _BOUND,
    ("reaper/core/throttle.py", "Throttle.until", "0.0", "1.0", 0): _NO_SENSE,
}
