"""Pauses in words: what holds the sends up, since when, until when, and what a person can do about it."""

from __future__ import annotations

from reaper.core.model import Pause, PauseReason
from reaper.core.text import format_duration

WHAT_TO_DO = {
    PauseReason.OPERATOR: "to end it: reaper resume",
    PauseReason.CREDENTIALS: "write a good token into its file, which is read again; "
    "one from the environment needs a new start",
    PauseReason.WRONG_TARGET: "look at api.base_url and what stands between; see: reaper check",
    PauseReason.API_DOWN: "nothing to do: it goes on by itself when the API answers; if it never did: reaper check",
    PauseReason.THROTTLED: "nothing to do: the API asked for silence, which ends by itself",
    PauseReason.FORBIDDEN_STORM: "look whether the token may stop these sessions; see: reaper check",
}
"""One remedy for each reason; what ends by itself says so."""


def heading(pause: Pause, now: float) -> str:
    """Return `credentials, for 12 s` or `operator, for 2 m, ends in 28 m`."""
    end = f", ends in {format_duration(pause.until - now)}" if pause.until else ""
    return f"{pause.reason.value}, for {format_duration(now - pause.since)}{end}"
