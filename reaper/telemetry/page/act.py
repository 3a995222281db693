"""The page of acts that need no list: pause and resume, holds, all dead letters of a kind; and the last acts."""

from __future__ import annotations

from reaper.core.acts import KEY, read_acts
from reaper.core.discovery.holds import open_holds
from reaper.core.model import DEAD, Outcome
from reaper.core.words import DEAD_LETTERS, OUTCOME_WORDS, clock_time
from reaper.queues.selection import Selection
from reaper.telemetry.page.forms import LABELS, acts_section, form
from reaper.telemetry.page.lists import Content
from reaper.telemetry.page.markup import NOTHING, Child, Html, element, joined, table
from reaper.telemetry.page.one import ConsoleQueue, holds_or_none, kinds
from reaper.telemetry.page.view import May

MAX_SHOWN = 50
TOKEN_FIELD = element(
    "p",
    element(
        "label",
        "Your token ",
        # No name: no form and no browser could put it into an address.
        element("input", type="password", id="token", autocomplete="off", spellcheck="false"),
    ),
    element("button", "Forget it", type="button", id="forget"),
    class_="token",
    data_script=True,
    hidden=True,
)


async def act_page(queue: ConsoleQueue, may: May) -> Content:
    """Return the page. Without leave to show IDs it has none, as it never has."""
    now, paused = queue.now(), await queue.paused()
    forms = [form("resume", {}) if paused is not None else form("pause", {})]
    state = NOTHING if paused is None else element("p", f"Paused: {paused.detail}", class_="card")
    for hold in open_holds(await holds_or_none(queue), now):
        words = f"hold {hold.id}: {kinds(hold)}"
        forms += [form(act, {"hold": hold.id}, words=words) for act in ("approve", "discard")]
    counts = await queue.count(Selection(frozenset(), DEAD))
    for outcome in (one for one in Outcome if counts.get(one)):
        where = {"where": {"state": DEAD_LETTERS, "outcome": outcome.value}}
        which = f"all {counts[outcome]:,} that are" if counts[outcome] > 1 else "the one that is"
        words = f"{which} {OUTCOME_WORDS[outcome]}"
        forms += [form(act, where, words=words) for act in ("retry", "purge")]
    hint = element("noscript", element("p", "Acts need scripts, or a program: docs/console.md.", class_="card"))
    return Content("Act", joined((state, hint, acts_section(forms), _last_acts(await queue.read_value(KEY), may))))


def _last_acts(text: str | None, may: May) -> Html:
    acts = read_acts(text)[-MAX_SHOWN:]
    if not acts:
        return element("p", "Nobody has acted here yet.", class_="card")
    # A condition on a message or a source, and a reason, may hold an ID.
    rows: list[list[Child]] = [
        [
            clock_time(each.at), each.by, LABELS.get(each.act, each.act), f"{each.count:,}",
            *([each.what, each.reason] if may.show_ids else []),
        ]
        for each in reversed(acts)
    ]  # fmt: skip
    head = ("at", "who", "act", "chosen", *(("which", "reason") if may.show_ids else ()))
    return joined((element("h2", "The last acts"), table("The last acts", head, rows)))
