"""The pages with session IDs: lists by state, dead letters in groups, and what a search finds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from reaper.core.model import DEAD, Item, Outcome
from reaper.core.text import format_duration
from reaper.core.words import DEAD_LETTERS, OUTCOME_WORDS, clock_time, due_words, last_answer, state_word
from reaper.queues.base import LedgerReader
from reaper.queues.dead_groups import DeadGroups, group_of
from reaper.queues.selection import ReadLimitError
from reaper.queues.where import FIELDS, Where, where_of
from reaper.telemetry.page.forms import acts_section, form
from reaper.telemetry.page.markup import NOTHING, Child, Html, element, joined, link, table

PAGE_ROWS = 100
MAX_READ = 10_000
"""Rows that one page reads at most: those before it, and those that do not fit, too."""
NARROW = "narrow it, or use reaper list"
MAX_GROUPED = 20_000
MAX_GROUPS = 200


@dataclass(frozen=True, slots=True)
class Content:
    """A page below its heading. `acts_on`: the conditions and the number of rows that its acts may touch."""

    heading: str
    body: Html
    status: int = 200


async def ids_page(queue: LedgerReader, fields: Mapping[str, str], *, may_act: bool) -> Content:
    """Return one page of a list; each row can be chosen for an act. Raises ValueError for unfit fields."""
    where, number = where_of(fields), _page_number(fields)
    rows, more, is_cut = await _read(queue, where, number)
    stats, now = await queue.stats(), queue.now()
    counts = {"": None, "ready": stats.ready, "scheduled": stats.scheduled, "retrying": stats.retrying}
    counts |= {"in_flight": stats.in_flight, DEAD_LETTERS: stats.dead}
    given = {name: fields[name] for name in FIELDS if name in fields}
    tabs = [
        link(_tab(state, count), "ids", _without(given, state), current=fields.get("state", "") == state)
        for state, count in counts.items()
    ]
    body = joined(
        (
            element("nav", *tabs, class_="tabs", aria_label="States"),
            _filter_form(given),
            _group_words(where, fields),
            _rows(rows, now, choose=may_act) if rows else NOTHING,
            _end(is_empty=not rows, is_cut=is_cut),
            _pager(given, number, more=more),
            _acts(where, given) if may_act and rows else NOTHING,
        )
    )
    return Content("IDs in the queue" if fields.get("state") != DEAD_LETTERS else "Dead letters", body)


async def _read(queue: LedgerReader, where: Where, number: int) -> tuple[list[Item], bool, bool]:
    """Return the rows of one page, whether more are known behind it, and whether `MAX_READ` ended the reading."""
    rows: list[Item] = []
    first, seen = (number - 1) * PAGE_ROWS, 0
    # One row more: of a list that ends with the bound it is then known that nothing follows.
    bounded = replace(where, selection=replace(where.selection, max_read=MAX_READ + 1))
    try:
        async with aclosing(bounded.rows(queue)) as items:  # type: ignore[type-var]
            async for item in items:
                seen += 1
                if len(rows) == PAGE_ROWS:
                    return rows, True, False
                if seen > first:
                    rows.append(item)
    except ReadLimitError:
        return rows, False, True
    return rows, False, False


def _page_number(fields: Mapping[str, str]) -> int:
    text = fields.get("page", "1")
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MAX_READ // PAGE_ROWS):
        raise ValueError(f"page is a number from 1 to {MAX_READ // PAGE_ROWS}; beyond it: reaper list")
    return int(text)


def _without(given: Mapping[str, str], state: str) -> dict[str, str]:
    """Return the fields of a list with another state: those of a group mean dead letters alone."""
    kept = {"source": given["source"]} if "source" in given else {}
    return {"state": state, **kept} if state else kept


def _tab(state: str, count: int | None) -> str:
    word = state.replace("_", " ") or "all"
    return word if count is None else f"{word} {count:,}"


def _filter_form(given: Mapping[str, str]) -> Html:
    hidden = [
        element("input", type="hidden", name=name, value=value) for name, value in given.items() if name != "source"
    ]
    label = element(
        "label", "Source contains ", element("input", type="search", name="source", value=given.get("source", ""))
    )
    return element("form", *hidden, label, element("button", "Filter"), action="ids", role="search", class_="filter")


def _group_words(where: Where, fields: Mapping[str, str]) -> Html:
    if where.status is None and where.message is None and "outcome" not in fields:
        return NOTHING
    facts = [fields.get("outcome", "").replace("_", " "), where.status or "", where.message or ""]
    return element(
        "p", "Only this group: ", ", ".join(filter(None, facts)), ". ", link("all groups", "dead"), class_="soft"
    )


def _end(*, is_empty: bool, is_cut: bool) -> Html:
    if not is_empty and not is_cut:
        return NOTHING
    words = f"A list ends after {MAX_READ:,} rows, fitting or not: {NARROW}" if is_cut else "Nothing in the queue fits"
    return element("p", f"{words}.", class_="card")


def _rows(items: list[Item], now: float, *, choose: bool) -> Html:
    head = ["session", "state", "due", "sends", "last answer", "source"]
    dead = all(item.outcome in DEAD for item in items)
    if dead:
        head = ["session", "outcome", "status", "sends", "settled", "message"]
    rows: list[list[Child]] = []
    for item in items:
        name: Child = link(item.session_id, "session", {"id": item.session_id})
        if choose:
            box = element(
                "input", type="checkbox", name="id", value=item.session_id, aria_label=f"Choose {item.session_id}"
            )
            name = joined((box, " ", name))
        rows.append([name, *(_dead_cells(item) if dead else _cells(item, now))])
    return table("Sessions", head, rows)


def _cells(item: Item, now: float) -> tuple[str, ...]:
    return state_word(item), due_words(item, now), str(item.sends), last_answer(item, now), item.source


def _dead_cells(item: Item) -> tuple[str, ...]:
    group = group_of(item)
    settled = clock_time(item.settled_at) if item.settled_at else "-"
    return OUTCOME_WORDS[group.outcome], str(group.status or "-"), str(item.sends), settled, group.message


def _acts(where: Where, given: Mapping[str, str]) -> Html:
    """Return the acts on the rows that are chosen, or on all that fit."""
    found: list[Html] = []
    if where.selection.states:
        found += [form(act, {"where": dict(given)}, chosen=True) for act in ("postpone", "cancel")]
    if where.selection.outcomes:
        found += [form(act, {"where": dict(given)}, chosen=True) for act in ("retry", "purge")]
    return acts_section(found)


def _pager(given: Mapping[str, str], number: int, *, more: bool) -> Html:
    links: list[Child] = []
    if number > 1:
        links.append(link("earlier", "ids", {**given, "page": str(number - 1)}))
    if more and number < MAX_READ // PAGE_ROWS:
        links.append(link("more", "ids", {**given, "page": str(number + 1)}))
    elif more:
        links.append(f"There are more: {NARROW}")
    return element("nav", f"page {number} ", *links, class_="tabs", aria_label="Pages") if links else NOTHING


async def dead_page(queue: LedgerReader) -> Content:
    """Return the dead letters in groups: how many ended alike, since when, and a link to each group's letters."""
    groups, read = DeadGroups(), 0
    async with aclosing(where_of({"state": DEAD_LETTERS}).rows(queue)) as items:  # type: ignore[type-var]
        async for item in items:
            groups.add(item)
            read += 1
            if read == MAX_GROUPED:
                break
    now, total = queue.now(), (await queue.stats()).dead
    if not read:
        return Content("Dead letters", element("p", "There are no dead letters.", class_="card"))
    rows: list[list[Child]] = []
    for group, found in groups.largest_first()[:MAX_GROUPS]:
        fields = {"state": DEAD_LETTERS, "outcome": group.outcome.value, "status": str(group.status or "none")}
        name = link(OUTCOME_WORDS[group.outcome], "ids", {**fields, "message": group.message})
        ages = dict.fromkeys(format_duration(now - at) for at in (found.first_at, found.last_at))
        age = f"{' to '.join(ages)} ago"
        rows.append([name, str(group.status or "-"), f"{found.count:,}", age, group.message])
    first = f"the first {read:,} of " if read < total else ""
    some = f", the largest {MAX_GROUPS} shown" if len(groups.counts) > MAX_GROUPS else ""
    words = (
        f"{first}{total:,} dead letters in {len(groups.counts):,} groups{some}; in a message, ID stands for the session"
    )
    kinds = "; ".join(f"{OUTCOME_WORDS[one]}: {_why(one)}" for one in Outcome if one in DEAD)
    body = (
        element("p", words, class_="soft"),
        table("Groups", ("outcome", "status", "count", "settled", "message"), rows),
    )
    return Content("Dead letters", joined((*body, element("p", kinds, class_="soft"))))


def _why(outcome: Outcome) -> str:
    match outcome:
        case Outcome.FORBIDDEN:
            return "the token may not stop it"
        case Outcome.REJECTED:
            return "the API rejected the request"
        case _:
            return "it failed retry.max_attempts times"
