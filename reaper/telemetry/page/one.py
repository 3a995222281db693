"""The pages about one thing: a session's story, a hold's contents, the ghosts; and the search that leads there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from reaper.core.discovery import ghosts as core_ghosts
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.holds import Hold, Holds, HoldState
from reaper.core.ids import check_form
from reaper.core.model import DEAD, Item, Pause, SessionId, State
from reaper.core.text import format_duration, pluralize
from reaper.core.words import clock_time, describe_state
from reaper.queues.base import LedgerReader, ValuePort
from reaper.queues.story import next_step, pause_of_all, story
from reaper.telemetry.page.forms import acts_section, form
from reaper.telemetry.page.lists import PAGE_ROWS, Content
from reaper.telemetry.page.markup import NOTHING, Child, Html, command, element, joined, link, table
from reaper.telemetry.page.view import Whose


class ConsoleQueue(LedgerReader, ValuePort, Protocol):
    """The queue as the pages of the console use it."""

    async def paused(self) -> Pause | None: ...


async def session_page(queue: ConsoleQueue, fields: Mapping[str, str], whose: Whose, *, may_act: bool) -> Content:
    """Return the story of one ID. Raises ValueError for an ID that can be none."""
    session_id = check_form(fields.get("id", "").strip())
    item = await queue.show(session_id)
    if item is None:
        return await _unknown(queue, session_id)
    return Content(session_id, await _story(queue, item, whose, may_act=may_act))


async def _story(queue: ConsoleQueue, item: Item, whose: Whose, *, may_act: bool) -> Html:
    workers, now = await queue.live_workers(), queue.now()
    paused = pause_of_all(await queue.paused(), workers)
    rows = [(clock_time(at), what, facts) for at, what, facts in story(item, now, workers)]
    facts = [("State", describe_state(item, now)), ("Source", item.source), ("Round", str(item.round))]
    return joined(
        (
            element("dl", *(_fact(*fact) for fact in facts), class_="facts card"),
            table("Events in the order of time", ("at", "event", "facts"), rows),
            element("p", next_step(item, has_worker=bool(workers), paused=paused), class_="card"),
            command(whose.command(f"show {item.session_id}")),
            _acts(item) if may_act else NOTHING,
        )
    )


def _acts(item: Item) -> Html:
    if item.state is not State.SETTLED:
        acts: tuple[str, ...] = ("postpone", "cancel")
    else:
        acts = ("retry", "purge") if item.outcome in DEAD else ()
    return acts_section([form(act, {"ids": [item.session_id]}) for act in acts])


def _fact(name: str, value: str) -> Html:
    return element("div", element("dt", name), element("dd", value))


async def _unknown(queue: ConsoleQueue, session_id: SessionId) -> Content:
    words: list[Child] = ["It is unknown here: it was never added, or was pruned or purged. "]
    if hold := await _held(queue, session_id):
        words += [f"A guard holds the sweep that chose it as {hold.sessions[session_id].value}: "]
        words += [link(f"hold {hold.id}", "holds", {"hold": hold.id})]
    return Content(session_id, element("p", *words, class_="card"), 404)


async def _held(queue: ConsoleQueue, session_id: SessionId) -> Hold | None:
    """Return the open hold that a session is in."""
    holds = core_holds.open_holds(await holds_or_none(queue), queue.now())
    return next((hold for hold in holds if session_id in hold.sessions), None)


async def search_page(
    queue: ConsoleQueue, fields: Mapping[str, str], whose: Whose, *, may_act: bool
) -> Content | dict[str, str]:
    """Return what is known of the ID that was searched for, or the fields of a list of sources where nothing is."""
    text = fields.get("q", "").strip()
    try:
        session_id = check_form(text)
    except ValueError:
        return {"source": text}
    item = await queue.show(session_id)
    if item is not None:
        return Content(session_id, await _story(queue, item, whose, may_act=may_act))
    return await _unknown(queue, session_id) if await _held(queue, session_id) else {"source": text}


async def holds_page(queue: ConsoleQueue, fields: Mapping[str, str], whose: Whose, *, may_act: bool) -> Content:
    """Return the holds, or one with all that it holds and why. Raises ValueError for a hold that there is not."""
    holds, now = await holds_or_none(queue), queue.now()
    if name := fields.get("hold"):
        hold = next((one for one in holds if one.id == name), None)
        if hold is None:
            raise ValueError("there is no such hold")
        unqueued = await _unqueued(queue, hold, now)
        return Content(f"Hold {hold.id}", _hold(hold, now, fields, whose, may_act=may_act, unqueued=unqueued))
    if not holds:
        return Content("Holds", element("p", "No sweep is held.", class_="card"))
    rows = [
        (
            link(each.id, "holds", {"hold": each.id}),
            _fate(each, now),
            f"{len(each.sessions):,}",
            kinds(each),
            each.reason,
        )
        for each in reversed(holds)
    ]
    return Content("Holds", table("Holds", ("hold", "state", "sessions", "by rule", "held because"), rows))


async def _unqueued(queue: ConsoleQueue, hold: Hold, now: float) -> int:
    """Return how many sessions of an approved hold the queue does not know: the approval was cut off before them."""
    if hold.fate is not HoldState.APPROVED or now >= hold.expires_at:
        return 0
    return len(hold.sessions) - len(await queue.outcomes_of(list(hold.sessions)))


def _hold(hold: Hold, now: float, fields: Mapping[str, str], whose: Whose, *, may_act: bool, unqueued: int = 0) -> Html:
    facts = [
        ("State", _fate(hold, now)),
        ("Since", clock_time(hold.created_at)),
        ("Held because", hold.reason),
        ("Guards", ", ".join(hold.guards)),
        ("Sessions", f"{len(hold.sessions):,}: {kinds(hold)}"),
        *([("Not in the queue", f"{unqueued:,} of them; to queue them, approve it again")] if unqueued else []),
        *([("Decided because", hold.why)] if hold.why else []),
    ]
    ordered = sorted(((each, rule.value) for each, rule in hold.sessions.items()), key=lambda row: row[::-1])
    text = fields.get("page", "1")
    number = min(max(int(text) if text.isdecimal() and len(text) < 6 else 1, 1), 1 + (len(ordered) - 1) // PAGE_ROWS)
    shown = ordered[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
    rows = [(link(each, "session", {"id": each}), rule) for each, rule in shown]
    is_open = hold.fate is HoldState.OPEN and now < hold.expires_at
    verbs = ("approve", "discard") if is_open else ("approve",) if unqueued else ()
    return joined(
        (
            element("dl", *(_fact(*fact) for fact in facts), class_="facts card"),
            *(command(whose.command(f"{verb} {hold.id} --reason TEXT")) for verb in verbs),
            table("Sessions that it would have stopped", ("session", "rule"), rows),
            _pages(hold.id, number, -(-len(ordered) // PAGE_ROWS)),
            acts_section([form(verb, {"hold": hold.id}) for verb in verbs] if may_act else []),
        )
    )


def _pages(hold_id: str, number: int, last: int) -> Html:
    links = [
        link(words, "holds", {"hold": hold_id, "page": str(other)})
        for words, other in (("earlier", number - 1), ("more", number + 1))
        if 1 <= other <= last
    ]
    return element("nav", f"page {number} of {last} ", *links, class_="tabs", aria_label="Pages") if links else NOTHING


def kinds(hold: Hold) -> str:
    """Return how many sessions of a hold each rule chose."""
    return ", ".join(f"{count:,} {rule.value}" for rule, count in Counter(hold.sessions.values()).most_common())


def _fate(hold: Hold, now: float) -> str:
    if hold.fate is HoldState.OPEN:
        return f"open for {format_duration(hold.expires_at - now)} more" if now < hold.expires_at else "expired"
    return hold.fate.value + (f" by {hold.by}" if hold.by else "")


async def ghosts_page(queue: ConsoleQueue) -> Content:
    """Return the sessions that the API reported as over and still lists as alive."""
    ghosts = core_ghosts.read_ghosts(await queue.read_value(core_ghosts.KEY))
    proven = sorted(ghosts.proven)
    if not proven:
        return Content("Ghosts", element("p", "No session lives on that the API said was over.", class_="card"))
    rows: Sequence[Sequence[Child]] = [
        (link(each, "session", {"id": each}), clock_time(ghosts.first[each])) for each in proven[:PAGE_ROWS]
    ]
    words = f"{pluralize(len(proven), 'session lives', 'sessions live')} on though the API said it was over"
    return Content(
        "Ghosts", joined((element("p", words, class_="soft"), table("Ghosts", ("session", "first seen"), rows)))
    )


async def holds_or_none(queue: ValuePort) -> Holds:
    """Return the holds of the queue; none where they cannot be read."""
    try:
        return core_holds.expire(core_holds.read_holds(await queue.read_value(core_holds.KEY)), queue.now())
    except ValueError:
        return ()  # `reaper holds` reports the malformed value
