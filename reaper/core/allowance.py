"""How many answers of 404 and 410 are believed before the API's list has to confirm them (docs/concepts.md). Pure.

Every gateway answers 404 in JSON, too. So these answers are counted from the last proof that somebody speaks to us who
knows of live sessions: a 2xx to a DELETE, or a read of the list. Up to an allowance they are booked as they come; those
beyond it wait for the next read. That read begins when half of the allowance is used, so that work goes on meanwhile.

Instants are seconds of the gate's clock. One instance belongs to one reaper.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST, GROWTH, MOST = 5, 4, 500
"""The allowance at first, its factor after each read that succeeds, and the largest one (docs/concepts.md)."""
COMPARE_WITHIN_S = 50.0
"""An answer that was booked is compared with a read that begins so many seconds later at most: over within 60 s."""
AT_ONCE = float("-inf")
"""The instant of a read that is due whatever the clock says."""
UNPROVEN_TO_WARN = 500
"""Without reads: so many such answers in a row are worth a warning (docs/concepts.md)."""

UNPROVEN_KEY = "unproven_gone"
"""The key under which the queue keeps that warning for `reaper status`."""


def read_unproven(text: str | None) -> int:
    """Return the answers in a row that the queue's text tells of; 0 without a text."""
    return int(text) if text and text.isdecimal() else 0


@dataclass(slots=True)
class Allowance:
    """Counts the answers, and decides when a read is needed. `verify`: reads are allowed."""

    verify: bool = True
    limit: int = FIRST
    """How many may be booked since the last proof."""
    used: int = 0
    """How many came since the last proof."""
    has_stopped: bool = False
    """Whether a DELETE was answered with 2xx since the allowance was last set back."""
    _covered: int = 0
    """Those of `used` that came before the read under way began."""
    _confirms: bool = False
    """Whether the read under way was made after such answers."""
    _asked_at: float | None = None
    """When a read has to begin because an answer waits for it, whatever the count; None: nothing waits."""
    _compare_at: float | None = None
    """When a read has to begin because of answers that no read began after; None: there are none."""
    _comparing: float | None = None
    """The same of the answers before the read under way."""

    @property
    def is_exceeded(self) -> bool:
        """Whether the last answer has to wait for a read."""
        return self.verify and self.used > self.limit

    @property
    def is_worth_a_warning(self) -> bool:
        """Whether the last answer is one more than can be believed without reads."""
        return not self.verify and self.used == UNPROVEN_TO_WARN

    @property
    def unproven(self) -> int:
        """Answers in a row that were booked without reads, where they are so many that a person should know; else 0."""
        return 0 if self.verify or self.used < UNPROVEN_TO_WARN else self.used

    @property
    def owes_read(self) -> bool:
        """Whether an answer was booked that no list was compared with."""
        return self.verify and (self._compare_at is not None or self._comparing is not None)

    def count(self, now: float) -> None:
        """Count one answer of 404 or 410."""
        self.used += 1
        if self._compare_at is None:
            self._compare_at = now + COMPARE_WITHIN_S

    def prove(self) -> None:
        """Take in a 2xx to a DELETE: the count starts anew. The answers before it are still to be compared."""
        self.used = self._covered = 0
        self.has_stopped = True

    def ask(self, at: float = AT_ONCE) -> None:
        """Make the next read due at the instant `at`."""
        self._asked_at = at if self._asked_at is None else min(self._asked_at, at)

    def ask_no_more(self) -> None:
        """Take back `ask`: nothing waits for a read any more."""
        self._asked_at = None

    def owe(self, now: float) -> None:
        """Make a comparison due: of answers that an earlier process booked."""
        self._compare_at = now

    def read_due(self) -> float | None:
        """Return the instant at which a read has to begin; in the past for at once, None when none is needed."""
        if not self.verify:
            return None
        if 2 * self.used >= self.limit:
            return AT_ONCE
        return min((at for at in (self._asked_at, self._compare_at) if at is not None), default=None)

    def begin_read(self, *, all_booked: bool = True) -> None:
        """Note that a read begins: it can be compared with the answers before it.

        Without `all_booked` the ledger does not have all of them yet, so that the next read has to be compared, too.
        """
        self._covered, self._confirms = self.used, self.used > 0
        self._comparing = self._oldest()
        self._compare_at, self._asked_at = None if all_booked else self._comparing, None

    def succeed(self) -> None:
        """Take in a read that succeeded. The allowance grows where there was something to confirm."""
        if self._confirms:
            self.limit = min(self.limit * GROWTH, MOST)
        self.used -= self._covered
        self._covered, self._comparing = 0, None

    def abandon_read(self) -> None:
        """Take back `begin_read`: the read gave no answer that counts, and is due again at once."""
        self._compare_at, self._comparing, self._covered = self._oldest(), None, 0
        self._asked_at = AT_ONCE

    def fail(self) -> None:
        """Take in a read that failed: the allowance is the first one, and the next read compares these answers, too."""
        self._compare_at, self._comparing, self._covered = self._oldest(), None, 0
        self.restart()

    def restart(self) -> None:
        """Go back to the first allowance: a session was re-opened, or the token or the address is another one."""
        self.limit, self.has_stopped = FIRST, False

    def _oldest(self) -> float | None:
        return min((at for at in (self._compare_at, self._comparing) if at is not None), default=None)
