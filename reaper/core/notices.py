"""Notices for an operator, each with what to do: one list for `status`, its dashboard, progress and the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from reaper.core.model import LeaseHolder, Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.core.owners import place_of
from reaper.core.text import format_duration, pluralize

WHAT_TO_DO = {
    PauseReason.OPERATOR: "to end the pause: reaper resume",
    PauseReason.CREDENTIALS: "write a good token into the token file, which reaper reads again; "
    "a token from the environment needs a restart",
    PauseReason.WRONG_TARGET: "mend the fault that the reason names; to read the API with these settings: reaper check",
    PauseReason.API_DOWN: "the pause ends when the API answers; if it never answered: reaper check",
    PauseReason.THROTTLED: "nothing to do: the API asked clients to wait, and the pause ends by itself",
    PauseReason.FORBIDDEN_STORM: "check that the token may stop these sessions; see: reaper check",
}
"""One remedy for each reason, true while the pause lasts and after it ended a run. What is true of one fault of
`wrong_target` alone is in the detail (`core.pauses.read_refusal`)."""

COMMANDS = dict.fromkeys(set(PauseReason) - {PauseReason.THROTTLED}, "check") | {PauseReason.OPERATOR: "resume"}
"""The command of `reaper` that ends a pause, or says more of it."""

MAX_PLACES = 3
"""Reapers that a notice names."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that an operator should know. `detail` may come from outside: sanitize it before it is shown."""

    kind: Literal["bad", "warn", "calm"]
    """`bad`: sessions are not stopped or not accounted for; `warn`: somebody must decide or wait."""
    name: str
    """The matter without any figure, so that it changes only with the matter: `Paused: credentials`."""
    title: str
    """The matter in one line: `Paused: credentials, for 12 s`."""
    detail: str = ""
    what_to_do: str = ""
    command: str = ""
    """The first command of what to do, without `reaper` before it."""


def notices(
    now: float,
    pauses: Sequence[Pause] = (),
    *,
    unavailable: str | None = None,
    stalled_s: float = 0.0,
    stats: Stats | None = None,
    others: Sequence[WorkerHeartbeat] = (),
    has_worker: bool = True,
    silent: Sequence[LeaseHolder] = (),
    holds: int = 0,
    ghosts: int = 0,
    unproven_gone: int = 0,
) -> list[Notice]:
    """Return the notices that follow from the facts, the most urgent first.

    `now`: on the clock of the pauses. `pauses`: those of this process, or of the whole queue. `unavailable`: why the
    queue cannot be used. `stalled_s`: for how long the claim loop has hung, 0 while it works. `stats`: the whole queue,
    None where it is not known. `others`: other live workers; a pause of theirs is added when `pauses` has none of its
    reason, except an operator's pause, which belongs to the queue and not to a worker. `has_worker`:
    whether any is alive. `silent`: processes that hold leases and send no heartbeat. `holds`, `ghosts`: sweeps and
    sessions that discovery left for the operator.
    `unproven_gone`: answers of 404 in a row where `api.verify` is off and they are worth a warning.
    """
    found = []
    if unavailable is not None:
        todo = "nothing is lost: reaper keeps its results until the queue is back; if it stays unavailable, see the log"
        found.append(Notice("bad", "Queue unavailable", "Queue unavailable", unavailable, todo))
    if stalled_s:
        title = f"Stuck: the claim loop has not turned for {format_duration(stalled_s)}"
        found.append(Notice("bad", "Stuck", title, "", "a restart is safe at any time; report the log from before it"))
    found += [_pause(f"Paused: {pause.reason.value}", "Paused", pause, now) for pause in pauses]
    for worker, pause in _elsewhere(pauses, others):
        name = f"Paused in another reaper: {pause.reason.value}"
        found.append(_pause(name, f"Paused in reaper {worker.place}", pause, now))
    if stats is None:
        return found
    if wrong := stats.imbalance:
        title = f"Imbalance: {wrong:,} accepted and not accounted for"
        todo = "keep the ledger: reaper queue backup FILE; then see: reaper audit"
        found.append(Notice("bad", "Imbalance", title, "", todo, "audit"))
    if silent:
        found.append(_silent(silent, now))
    if holds:
        title = f"Held: {pluralize(holds, 'sweep waits', 'sweeps wait')} for you"
        found.append(
            Notice("warn", "Held", title, "", "see: reaper holds; then reaper approve, or reaper discard", "holds")
        )
    if ghosts:
        title = f"Ghosts: {pluralize(ghosts, 'session lives', 'sessions live')} on though the API said it was over"
        found.append(Notice("warn", "Ghosts", title, "", "see: reaper sessions", "sessions"))
    if unproven_gone:
        title = f"Unproven: {unproven_gone:,} answers of 404 or 410 in a row, and no list to compare them with"
        todo = "check api.base_url and the token with reaper check; with api.verify=true reaper compares them itself"
        found.append(Notice("warn", "Unproven", title, "", todo, "check"))
    if stats.dead:
        title = f"Dead letters: {pluralize(stats.dead, 'session', 'sessions')} could not be stopped and may still run"
        todo = "see: reaper dead list; then: reaper dead retry, or reaper dead purge"
        found.append(Notice("warn", "Dead letters", title, "", todo, "dead list"))
    if not has_worker:
        title = "no reaper is working on this queue"
        todo = "start one: reaper run, or reaper once" if stats.ready + stats.delayed else ""
        found.append(Notice("warn" if stats.ready else "calm", title, title, "", todo, "run" if todo else ""))
    return found


def _pause(name: str, label: str, pause: Pause, now: float) -> Notice:
    end = f", ends in {format_duration(pause.until - now)}" if pause.until else ""
    title = f"{label}: {pause.reason.value}, for {format_duration(now - pause.since)}{end}"
    return Notice("warn", name, title, pause.detail, WHAT_TO_DO[pause.reason], COMMANDS.get(pause.reason, ""))


def _silent(holders: Sequence[LeaseHolder], now: float) -> Notice:
    count, ends_in_s = sum(holder.in_flight for holder in holders), max(holder.until for holder in holders) - now
    title = f"Silent: {pluralize(count, 'ID is', 'IDs are')} in flight in "
    title += pluralize(len(holders), "reaper that sends no heartbeat", "reapers that send no heartbeat")
    places = [str(place) for holder in holders if (place := place_of(holder.owner)) is not None]
    detail = ", ".join(places[:MAX_PLACES]) + (" and more" if len(places) > MAX_PLACES else "")
    them = "it is" if count == 1 else "they are"
    todo = (
        f"nothing to do: if it is dead, {them} sent again when the lease ends, in {format_duration(ends_in_s)} at most"
    )
    return Notice("warn", "Silent", title, detail, todo)


def _elsewhere(pauses: Sequence[Pause], others: Sequence[WorkerHeartbeat]) -> Iterator[tuple[WorkerHeartbeat, Pause]]:
    seen = {PauseReason.OPERATOR, *(pause.reason for pause in pauses)}
    for worker in others:
        for pause in worker.pauses:
            if pause.reason not in seen:
                seen.add(pause.reason)
                yield worker, pause
