"""The forms of acts: hidden until a script shows them, because a form alone cannot send the header that they need."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from reaper.telemetry.page.markup import NOTHING, Child, Html, element

LABELS = {
    "retry": "Retry", "purge": "Purge", "postpone": "Postpone", "cancel": "Cancel", "approve": "Approve",
    "discard": "Discard", "pause": "Pause", "resume": "Resume",
}  # fmt: skip
EFFECTS = {
    "retry": "starts a new round, due now",
    "purge": "deletes dead letters for good; their counts stay",
    "postpone": "due after this time; 0 is now",
    "cancel": "takes them out: reaper sends nothing more for them",
    "approve": "queues all of its sessions; each is checked again before it is stopped",
    "discard": "stops none of its sessions; a sweep of the same ones asks again after a day",
    "pause": "sends nothing new, on the whole queue; what is in flight ends",
    "resume": "ends the operator's pause",
}
FIELDS = {"postpone": (("after", "After", "30m", True),), "pause": (("for", "For", "until resumed", False),)}
NEED_REASON = ("cancel", "pause")


def form(act: str, body: Mapping[str, object], *, chosen: bool = False, words: str = "") -> Html:
    """Return the form of an act. `body`: what it sends beside its fields; `chosen`: also for chosen rows."""
    fields: list[Child] = [_field(*field) for field in FIELDS.get(act, ())]
    if act != "resume":
        fields.append(_field("reason", "Reason", "", act in NEED_REASON))
    buttons: list[Child] = [element("button", "All that fit" if chosen else LABELS[act], type="submit")]
    if chosen:
        buttons.insert(0, element("button", "Chosen rows", type="submit", data_chosen=True))
    title = f"{LABELS[act]} {words}".strip()
    return element(
        "form",
        element("h3", title),
        element("p", EFFECTS[act], class_="soft"),
        *fields,
        element("p", *buttons, class_="buttons"),
        element("p", role="status", class_="result"),
        class_="act card",
        data_act=act,
        data_body=json.dumps(body, ensure_ascii=True),
        aria_label=title,
    )


def _field(name: str, words: str, example: str, needed: bool) -> Html:
    box = element("input", type="text", name=name, placeholder=example or None, required=needed)
    return element("label", f"{words} ", box)


def acts_section(forms: Sequence[Html]) -> Html:
    """Return a section with forms, which a script shows; nothing without forms."""
    if not forms:
        return NOTHING
    return element("div", *forms, class_="acts", data_script=True, hidden=True)
