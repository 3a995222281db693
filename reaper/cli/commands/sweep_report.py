"""Reads the API's list once, for `sessions` and `once --discover`, and reports the result of a sweep."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from reaper.api.credentials import Credentials
from reaper.app.run_parts import RunParts
from reaper.cli.output import say
from reaper.core.classify import ReadVerdict, Throttled, Unauthorized
from reaper.core.discovery.findings import Findings, RuleCount
from reaper.core.discovery.guard import Pass, UnusableListing
from reaper.core.discovery.holds import Hold, HoldState
from reaper.core.discovery.policy import REAPING, Rule
from reaper.core.errors import Exit
from reaper.core.text import format_duration, pluralize
from reaper.core.words import OUTCOME_WORDS, clock_time
from reaper.intake.discovery.sweep import Discovery, Observation, SweepResult, UnfitListing
from reaper.queues.base import Queue, RunSet
from reaper.queues.values import Added
from reaper.settings.load import Loaded
from reaper.telemetry import logs


async def observe(
    settings: Loaded, queue: Queue, credentials: Credentials
) -> tuple[Discovery, Observation | UnfitListing]:
    """Read the API's list and judge it once, writing nothing; return what judged it, too."""
    logs.configure(settings.settings.telemetry, secrets=credentials.secrets)
    async with AsyncExitStack() as opened:
        parts = await RunParts(
            settings.settings, queue, credentials, opened, may_pin_account=False, sweeps_printed=True
        ).discovery()
        return parts.discovery, await parts.discovery.observe()


def exit_of_unfit(verdict: ReadVerdict | None) -> Exit:
    """Return the exit code for a list that could not be read (the verdict says why), or must not be acted on (None)."""
    if verdict is None:
        return Exit.HELD
    return Exit.CREDENTIALS if isinstance(verdict, Unauthorized) else Exit.UNAVAILABLE


async def discover(run: RunParts, into: RunSet | None) -> tuple[SweepReport, Added]:
    """Sweep once; return the report on it, and what it added. A 429 is kept for the run that follows."""
    discovery = (await run.discovery()).discovery
    swept = await discovery.sweep(into)
    run.throttled = swept.unread if isinstance(swept.unread, Throttled) else None
    return SweepReport(swept, enforce=discovery.options.enforce), swept.added


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The result of a sweep in words and as JSON; `dry`: of one that only was simulated."""

    swept: SweepResult
    enforce: bool
    dry: bool = False
    has_reasons: bool = False
    """The reason of each session is shown already: by `reaper sessions`."""

    @property
    def exit(self) -> Exit:
        """The exit code that the sweep asks for."""
        match self.swept.ruling:
            case UnusableListing():
                return exit_of_unfit(self.swept.unread)
            case Hold() if self.enforce:
                return Exit.HELD
        return Exit.OK

    @property
    def result(self) -> str:
        """What came of it, in one word of `once --json`."""
        match self.swept.ruling:
            case UnusableListing():
                return "list_unusable"
            case Hold() if self.enforce:
                return "held"
            case Pass() if self.enforce or not self.swept.findings.chosen:
                return "queued" if self.swept.findings.chosen else "nothing_new"
        return "only_reported"

    def say(self, *, quiet: bool = False) -> None:
        """Print the counts by rule and the notes; with `quiet` only what needs an operator."""
        if isinstance(self.swept.ruling, UnusableListing):
            say(f"discovery stopped: {self.swept.ruling.reason}", logging.WARNING)
            return
        findings = self.swept.findings
        if not quiet:
            listed = pluralize(findings.listed, "session", "sessions")
            say(f"discovery: {listed} listed, {counts_by_action(findings)}")
            for line in lines_by_rule(findings):
                say(f"  {line}")
        for note in self.notes():
            if self.exit is Exit.HELD or not quiet:
                say(note, logging.WARNING if self.exit is Exit.HELD else logging.INFO)

    def notes(self) -> list[str]:
        """Return what came of the sweep, and why not more."""
        ruling = self.swept.ruling
        if isinstance(ruling, UnusableListing):
            return [ruling.reason]
        return [*self._result(ruling), *notes_on(self.swept.findings, dry=self.dry)]

    def _result(self, ruling: Pass | Hold) -> Iterator[str]:
        findings, dry = self.swept.findings, self.dry
        if isinstance(ruling, Hold):
            yield self._held(ruling)
        elif not findings.listed:
            yield "nothing to stop: the account has no session"
        elif not findings.to_stop:
            see = "" if self.has_reasons else "; the reason of each: reaper sessions"
            yield f"nothing to stop: the rules keep every listed session{see}"
        elif not findings.chosen:
            yield "nothing new to stop: the queue has accepted all of them before; see: reaper status"
        elif self.enforce:
            is_now = "would be" if dry else "is now"
            are_now = "would be" if dry else "are now"
            count = findings.chosen - self.swept.kept_back if dry else self.swept.added.accepted
            yield f"{pluralize(count, f'session {is_now}', f'sessions {are_now}')} queued to be stopped"
            if kept := self.swept.kept_back:
                yield f"{pluralize(kept, 'session is', 'sessions are')} kept back by a hold; to see it: reaper holds"
        if findings.chosen and not self.enforce:
            nothing = f"nothing {'would be' if dry else 'was'} queued"
            aim = "to have them held for your approval" if isinstance(ruling, Hold) else "to stop them"
            yield (
                f"{nothing}: discovery.enforce is false, so discovery only reports; "
                f"{aim}: REAPER_DISCOVERY__ENFORCE=true reaper once --discover"
            )

    def _held(self, hold: Hold) -> str:
        if not self.enforce:
            return f"a guard would hold all of them: {hold.reason}"
        nothing = f"nothing {'would be' if self.dry else 'was'} queued"
        if not self.swept.hold_is_kept:
            return f"{nothing}: a guard would hold all {len(hold.sessions)} sessions: {hold.reason}"
        if hold.fate is HoldState.DISCARDED:
            return (
                f"{nothing}: {hold.by} discarded the same sessions (hold {hold.id}); "
                f"until {clock_time(hold.expires_at)} reaper asks again only if there are others, too"
            )
        return (
            f"{nothing}: a guard holds all {len(hold.sessions)} sessions: {hold.reason}; "
            f"to see them: reaper holds {hold.id}; to stop them: reaper approve {hold.id}; "
            f"to stop none of them: reaper discard {hold.id}"
        )

    def as_json(self) -> dict[str, object]:
        findings, ruling = self.swept.findings, self.swept.ruling
        return {
            "result": self.result,
            "enforce": self.enforce,
            "listed": findings.listed,
            "to_stop": findings.to_stop,
            "chosen": findings.chosen,
            "queued": self.swept.added.accepted,
            "first_sightings": findings.sighted,
            "hold": ruling.id if isinstance(ruling, Hold) and self.swept.hold_is_kept else None,
            "rules": rules_json(findings),
            "notes": self.notes(),
        }


def counts_by_action(findings: Findings) -> str:
    """Return how many sessions the rules stop and keep: `7 to stop, 5 to keep`."""
    return f"{findings.to_stop:,} to stop, {findings.listed - findings.to_stop:,} to keep"


def lines_by_rule(findings: Findings) -> list[str]:
    """Return a line for each rule that decided about a session: `to stop  5 expired: 3 new, 2 in the queue already`."""
    width = max((len(f"{each.listed:,}") for each in findings.rules), default=0)
    return [
        f"to {'stop' if each.rule in REAPING else 'keep'}  {each.listed:>{width},} {each.rule.value}{_known(each)}"
        for each in findings.rules
    ]


def _known(count: RuleCount) -> str:
    if count.rule not in REAPING:
        return ""
    parts = [f"{count.chosen:,} new"] if count.chosen else []
    if count.queued:
        parts.append(f"{count.queued:,} in the queue already")
    parts += [f"{number:,} settled before ({OUTCOME_WORDS[one]})" for one, number in count.settled.items()]
    return f": {', '.join(parts)}"


def notes_on(findings: Findings, *, dry: bool) -> Iterator[str]:
    """Yield why orphans and what goes by time may be missing; `dry`: this reading is not kept."""
    if findings.sighted:
        due = format_duration(max(1.0, findings.sighting_due_s))
        again = "only once and run keep what they see" if dry else f"come back in {due}"
        yield (
            f"{pluralize(findings.sighted, 'session has', 'sessions have')} no live owner; "
            f"an orphan has to be seen twice, at least 60 s apart: {again}"
        )
    if findings.owners_failure:
        yield f"the owners are unknown, so nothing is orphaned: {findings.owners_failure}"
    if not findings.has_time:
        yield "the API's answer has no Date, so no rule about time stops anything"


def rules_json(findings: Findings) -> dict[str, object]:
    """Return the counts of every rule, also of those that decided about no session."""
    counts = {rule: RuleCount(rule) for rule in Rule} | {each.rule: each for each in findings.rules}
    return {
        rule.value: {
            "listed": each.listed,
            "chosen": each.chosen,
            "queued_already": each.queued,
            "settled_already": sum(each.settled.values()),
        }
        for rule, each in counts.items()
    }
