"""Makes HTML of texts: whatever is not `Html` already is escaped, made one printable line and cleared of secrets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from reaper.telemetry.logs import redacted
from reaper.telemetry.page.view import clean, printable_only

_VOID = frozenset({"input", "br"})


@dataclass(frozen=True, slots=True)
class Html:
    """Markup of ours, with every text in it escaped."""

    markup: str


Child = Html | str
NOTHING = Html("")


def element(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """Return an element. Attributes that are False or None are left out; `_` in a name is a `-`, at its end nothing."""
    parts = [name]
    for key, value in attributes.items():
        word = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(word)
        elif value is not None and value is not False:
            parts.append(f'{word}="{escape(printable_only(redacted(value)))}"')
    end = "" if name in _VOID else f"</{name}>"
    return Html(f"<{' '.join(parts)}>{joined(children).markup}{end}")


def joined(children: Iterable[Child]) -> Html:
    """Return markup of several parts."""
    return Html(
        "".join(child.markup if isinstance(child, Html) else escape(clean(redacted(child))) for child in children)
    )


def link(words: str, path: str, fields: dict[str, str] | None = None, *, current: bool = False) -> Html:
    """Return a link to a page beside this one."""
    query = f"?{urlencode(fields)}" if fields else ""
    return element("a", words, href=f"{path}{query}", aria_current="page" if current else None)


def table(name: str, head: Sequence[str], rows: Iterable[Sequence[Child]]) -> Html:
    """Return a table that scrolls by itself where it is too wide; `name` is its label. The first cell heads its row."""
    cells = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    titles = element("tr", *(element("th", title, scope="col") for title in head))
    whole = element("table", element("thead", titles), element("tbody", *cells), aria_label=name)
    return element("div", whole, class_="scroll", role="region", aria_label=name, tabindex="0")


def command(words: str) -> Html:
    """Return a command with a button that copies it; the button needs the script."""
    button = element(
        "button", "Copy", type="button", class_="copy", aria_label="Copy the command", data_script=True, hidden=True
    )
    return element("p", element("code", words), button, class_="command")
