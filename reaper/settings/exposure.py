"""Warnings about secrets that others can read, or that were written so that they cannot work."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from reaper.settings.schema import Settings

_QUOTES = ("'", '"', "`", "\u201c", "\u2018")
_SECRETS = ("api.token", "queue.url", "api.proxy", "notify.urls", "notify.heartbeat_url")
"""The settings that hold a secret, or may hold a password."""


def exposures(
    settings: Settings, origins: Mapping[str, str], config_path: str | None, token_file: str | None
) -> Iterator[str]:
    """Yield a sentence for each secret at risk. Reads the rights of files and a token's first character; none is shown.

    `token_file`: the file that the token comes from, if any.
    """
    secret = [key for key in _SECRETS if _is_secret(key, settings)]
    in_file = [key for key in secret if origins[key] == f"file {config_path}"]
    if config_path is not None and in_file and _others_read(config_path):
        yield f"{config_path} holds {' and '.join(in_file)}, and every user may read it: chmod o= {config_path}"
    if token_file is not None and _others_read(token_file):
        yield f"every user may read the token file {token_file}: chmod o= {token_file}"
    if origins["queue.url"] == "flag --queue" and "queue.url" in secret:
        yield (
            "every user sees the password in --queue, in the list of processes: set REAPER_QUEUE__URL or queue.url in "
            "a private file instead"
        )
    token = settings.api.token.get_secret_value() if settings.api.token is not None else ""
    if token_file is not None:
        if _begins_with_quote(token_file):
            yield f"the token in {token_file} begins with a quote, which is sent as part of it: write it without quotes"
    elif token.startswith(_QUOTES):
        yield f"the token ({origins['api.token']}) begins with a quote, which is sent as part of it: take it away"


def _is_secret(key: str, settings: Settings) -> bool:
    if key == "api.token":
        return settings.api.token is not None
    if key.startswith("notify."):
        return bool(settings.notify.urls if key == "notify.urls" else settings.notify.heartbeat_url)
    url = settings.queue.url if key == "queue.url" else settings.api.proxy
    return bool(url) and _has_password(url or "")


def _has_password(url: str) -> bool:
    parts = urlsplit(url)
    named = any(name.lower() in ("password", "sslpassword") and value for name, value in parse_qsl(parts.query))
    return named or bool(parts.password)


def _others_read(path: str) -> bool:
    """Return whether every user of the machine may read a file, as far as its own rights say."""
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False


def _begins_with_quote(path: str) -> bool:
    try:
        # Non-blocking: a pipe without a writer must not stop the start.
        with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return False
            return file.read(64).decode("utf-8", "replace").lstrip().startswith(_QUOTES)
    except (OSError, ValueError):
        return False
