"""Mutants that change nothing that a test should notice, and why: by file, function, old text, new text, number.

The number counts equal texts in one function. tests/repo/test_mutants.py requires each to be in
the code.
"""

from __future__ import annotations

Key = tuple[str, str, str, str, int]

_FASTER = "a short cut: without it the longer way gives the same"
_BEFORE = "what would differ was answered further up"
_NO_SENSE = "no caller can come here: the line is for the type checker"
_ANYWAY = "refused all the same, by what comes next"
_NAME = "a name or a number that only has to be another one each time"
_TURN = "lets others run; nothing is promised of that moment"
_SEARCH = "which of two ways to search: both find the same"
_TRACE = "only a traceback shows it"
_LAST = "the last thing that happens to it: nobody asks afterwards"
_SIZE = "the size of a portion or a cache"
_TWICE = "the counts of answers beside it give the audit the same"
_BOUND = "a bound that only has to be high enough"

EQUIVALENT: dict[Key, str] = {
    ("reaper/core/classify.py", "classify", "400 <= status < 500", "400 <= status <= 500", 0): _BEFORE,
    ("reaper/core/classify.py", "classify", "500", "501", 2): _BEFORE,
    ("reaper/core/classify.py", "classify_read", "0", "1", 0): _NO_SENSE,
    ("reaper/core/backoff.py", "backoff_s", "60", "61", 0): _BOUND,
    (
        "reaper/core/streaks.py",
        "Streaks.meet_stranger",
        "len(self._foreign) < FOREIGN_IDS_TO_PAUSE",
        "len(self._foreign) <= FOREIGN_IDS_TO_PAUSE",
        0,
    ): ("one more ID is kept than is needed: that many suffice either way"),
    (
        "reaper/core/gate.py",
        "Gate._only_limited",
        "self.throttle.until <= now",
        "self.throttle.until < now",
        0,
    ): _FASTER,
    (
        "reaper/core/gate.py",
        "Gate._only_limited",
        "return is_open and self.unrestricted and self.throttle.until <= now",
        "return None",
        0,
    ): _FASTER,
    ("reaper/core/times.py", "parse_duration", "True", "False", 0): "both sides have four parts, always",
    (
        "reaper/core/discovery/guard.py",
        "check_guards",
        "0",
        "1",
        0,
    ): "one is as little as none: a list counts from ten on",
    ("reaper/core/rate_limit.py", "RateLimit.allowed", "1_000_000", "1000001", 0): _BOUND,
    ("reaper/core/throttle.py", "Throttle.until", "0.0", "1.0", 0): _NO_SENSE,
    ("reaper/queues/sqlite/claims.py", "SqliteWork.new_set", "self._sets += 1", "self._sets -= 1", 0): _NAME,
    ("reaper/queues/sqlite/claims.py", "SqliteWork.new_set", "1", "2", 0): _NAME,
    ("reaper/queues/sqlite/run_sets.py", "is_small", "few - 1", "few + 1", 0): _SEARCH,
    ("reaper/queues/sqlite/run_sets.py", "is_small", "1", "2", 0): _SEARCH,
    ("reaper/queues/sqlite/run_sets.py", "is_small", "0", "1", 0): _SEARCH,
    (
        "reaper/queues/sqlite/intake.py",
        "SqliteIntake.add.add",
        "accepted < len(due)",
        "accepted <= len(due)",
        0,
    ): _FASTER,
    (
        "reaper/queues/sqlite/bulk_settle.py",
        "settle_plain",
        "len(numbers) > FEW_RESULTS",
        "len(numbers) >= FEW_RESULTS",
        0,
    ): _FASTER,
    ("reaper/queues/sqlite/bulk_settle.py", "_settle_kind", 'connection.execute("RELEASE plain")', "pass", 0): (
        "the commit that follows ends the savepoint"
    ),
    ("reaper/queues/sqlite/rows.py", "fields_of", 'del fields["status"]', "pass", 0): (
        "shorter rows: a status that is null is read as none"
    ),
    ("reaper/queues/sqlite/errors.py", "translated", "result.__cause__ = error", "pass", 0): _TRACE,
    ("reaper/queues/sqlite/errors.py", "translated_os", "result.__cause__ = error", "pass", 0): _TRACE,
    ("reaper/queues/sqlite/claims.py", "SqliteWork.close", "self._has_heartbeat = False", "pass", 0): _LAST,
    ("reaper/queues/sqlite/claims.py", "SqliteWork.close", "False", "True", 0): _LAST,
    ("reaper/queues/sqlite/maintenance.py", "", "1_000", "1001", 0): _SIZE,
    ("reaper/queues/sqlite/backup.py", "", "1024", "1025", 0): _SIZE,
    ("reaper/queues/sqlite/backup.py", "_copy", "True", "False", 0): "the source is not written to",
    (
        "reaper/queues/sqlite/backup.py",
        "_copy",
        'source.execute("COMMIT")',
        "pass",
        0,
    ): "closing ends what was only read",
    ("reaper/queues/sqlite/bulk_settle.py", "", "4", "5", 0): _FASTER,
    ("reaper/queues/sqlite/owners.py", "Locks", "False", "True", 0): "only a repr shows it",
    ("reaper/queues/sqlite/owners.py", "Locks", "False", "True", 1): "only a repr shows it",
    ("reaper/queues/selection.py", "", "500", "501", 0): _SIZE,
    ("reaper/queues/sqlite/schema.py", "", "64", "65", 0): _SIZE,
    ("reaper/queues/sqlite/schema.py", "", "1024", "1025", 0): _SIZE,
    ("reaper/queues/sqlite/schema.py", "", "1024", "1025", 1): _SIZE,
    ("reaper/queues/sqlite/schema.py", "", "1024", "1025", 2): _SIZE,
    ("reaper/queues/sqlite/schema.py", "connect", "256", "257", 0): _SIZE,
    ("reaper/queues/sqlite/run_sets.py", "", "5_000", "5001", 0): _SEARCH,
    ("reaper/queues/sqlite/owners.py", "Locks.drop", "self._own = self._checkpoint = None", "pass", 0): _LAST,
}
