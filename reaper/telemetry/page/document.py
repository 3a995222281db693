"""Makes HTML pages of the files beside this one: style and scripts stand in the page, the policy names their hashes.

If a text from outside were not escaped, the browser would still run and load only the contents of these files.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from reaper.telemetry.http.response import Page

_PART = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


@cache
def asset(name: str) -> str:
    """Return a file as it is shipped."""
    return files("reaper.telemetry.page").joinpath(name).read_text("utf-8")


@cache
def policy(template: str) -> str:
    """Return the Content-Security-Policy of a template: its style and its scripts, and nothing else."""
    found: dict[str, list[str]] = {"style": [], "script": []}
    for kind, content in _PART.findall(template):
        found[kind].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(found['script'])}",
            f"style-src {' '.join(found['style'])}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def html_document(html: str, template: str, status: int = 200) -> Page:
    """Return a page that was filled in from a template."""
    headers = (
        ("Content-Security-Policy", policy(template)),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
    )
    return Page(status, "text/html; charset=utf-8", html.encode(), headers)
