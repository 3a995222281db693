"""Reads the API's list once, for `sessions` and `once --discover`, and reports the result of a sweep."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from reaper.api.credentials import Credentials
from reaper.app.run_parts import RunParts
from reaper.cli.output import say
from reaper.core.classify import ReadVerdict, Unauthorized
from reaper.core.discovery.guard import Pass, UnusableListing
from reaper.core.discovery.holds import Hold
from reaper.core.errors import Exit
from reaper.intake.discovery.sweep import Discovery, Observation, SweepResult, UnfitListing
from reaper.queues.base import Queue, RunSet
from reaper.queues.values import Added
from reaper.settings.load import Loaded
from reaper.telemetry import logs

if TYPE_CHECKING:
    from reaper.app.wiring import DiscoveryParts


async def observe(
    settings: Loaded, queue: Queue, credentials: Credentials
) -> tuple[Discovery, Observation | UnfitListing]:
    """Read the API's list and judge it once, writing nothing; return what judged it, too."""
    logs.configure(settings.settings.telemetry, secrets=credentials.secrets)
    async with AsyncExitStack() as opened:
        parts = await RunParts(settings.settings, queue, credentials, opened, may_pin_account=False).discovery()
        return parts.discovery, await parts.discovery.observe()


def exit_of_unfit(verdict: ReadVerdict | None) -> Exit:
    """Return the exit code for a list that could not be read (the verdict says why), or must not be acted on (None)."""
    if verdict is None:
        return Exit.HELD
    return Exit.CREDENTIALS if isinstance(verdict, Unauthorized) else Exit.UNAVAILABLE


async def discover(parts: DiscoveryParts, into: RunSet | None) -> tuple[Exit, Added]:
    """Sweep once and report the result; return the exit code that the sweep asks for, and what it added."""
    swept = await parts.discovery.sweep(into)
    return report_sweep(swept, enforce=parts.discovery.options.enforce), swept.added


def report_sweep(swept: SweepResult, *, enforce: bool, dry: bool = False) -> Exit:
    """Print the result of a sweep, with `dry` of one that only was simulated; return the exit code that it asks for."""
    match swept.ruling:
        case UnusableListing(reason=reason):
            say(f"discovery stopped: {reason}", logging.WARNING)
            return exit_of_unfit(swept.unread)
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
