"""Sweeps the API's list once for `once --discover`, and reports the result."""

from __future__ import annotations

import logging

from reaper.app.wiring import DiscoveryParts
from reaper.cli.output import say
from reaper.core.classify import Unauthorized
from reaper.core.discovery.guard import Pass, UnusableListing
from reaper.core.discovery.holds import Hold
from reaper.core.errors import Exit
from reaper.intake.discovery.sweep import SweepResult
from reaper.queues.base import RunSet
from reaper.queues.values import Added


async def discover(parts: DiscoveryParts, into: RunSet | None) -> tuple[Exit, Added]:
    """Sweep once and report the result; return the exit code that the sweep asks for, and what it added."""
    swept = await parts.discovery.sweep(into)
    return report_sweep(swept, enforce=parts.discovery.options.enforce), swept.added


def report_sweep(swept: SweepResult, *, enforce: bool, dry: bool = False) -> Exit:
    """Print the result of a sweep, with `dry` of one that only was simulated; return the exit code that it asks for."""
    match swept.ruling:
        case UnusableListing(reason=reason):
            say(f"discovery stopped: {reason}", logging.WARNING)
            if swept.unread is None:
                return Exit.HELD
            return Exit.CREDENTIALS if isinstance(swept.unread, Unauthorized) else Exit.UNAVAILABLE
        case Hold(reason=reason, sessions=sessions) if enforce and dry:
            say(f"discovery: a guard would hold all {len(sessions)} sessions: {reason}; see: reaper sessions")
            return Exit.HELD
        case Hold(reason=reason, sessions=sessions) if enforce:
            say(f"discovery: a guard holds all {len(sessions)} sessions: {reason}; see: reaper holds", logging.WARNING)
            return Exit.HELD
        case Hold(reason=reason, sessions=sessions):
            say(f"discovery only reports: {len(sessions)} would be held by a guard: {reason}; see: reaper sessions")
        case Pass(sessions=sessions) if enforce:
            say(f"discovery: {len(sessions)} of {len(swept.judged)} listed sessions are to be stopped")
        case Pass(sessions=sessions):
            say(f"discovery only reports: {len(sessions)} would be stopped (discovery.enforce); see: reaper sessions")
    return Exit.OK
