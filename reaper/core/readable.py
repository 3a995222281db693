r"""Texts for a stream that cannot encode them: a likeness in ASCII (`...` for `…`), else an escape (`\xe9`)."""

from __future__ import annotations

NAME = "readable"
"""The name of the error handler, for `codecs.register_error` and `errors=`."""
LIKE = {
    "…": "...", "–": "-", "—": "-", "→": "->", "·": "|", "×": "x", "−": "-", "•": "*",
    "‘": "'", "’": "'", "“": '"', "”": '"', "≥": ">=", "≤": "<=", "±": "+-", "\N{NO-BREAK SPACE}": " ",
    "─": "-", "━": "=", "│": "|", "╸": "=", "╺": "=", "✓": "+", "✗": "x",
}  # fmt: skip


def replace_unencodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for the characters that cannot be encoded, and where to go on (`codecs.register_error`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    return "".join(LIKE.get(char) or char.encode("ascii", "backslashreplace").decode() for char in part), error.end
