"""The one grammar of URLs: the API's, the proxy's and the queue's (docs/configuration.md). No message repeats the URL.

A URL may hold a password. Each function raises ValueError with a phrase that follows the setting's name.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

MASK = "********"

QUEUE_SCHEMES = ("sqlite", "postgresql", "redis", "rediss")

_SQLITE_FORM = "must be sqlite:/// and the absolute path of a file, such as sqlite:///var/lib/reaper/reaper.db"
# Greedy: a password may hold an unescaped slash or at sign. To mask too much of such a URL does no harm.
_USERINFO = re.compile(r"//.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*", re.IGNORECASE)
_HOST = re.compile(r"[\w.:%-]+")


def split_url(url: str) -> SplitResult | None:
    """Split a URL; None when it is none. `urlsplit` alone would drop line breaks in silence."""
    if not url.isprintable() or " " in url:
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def http_url(text: str, *, userinfo: bool = False) -> str:
    """Return an http or https URL without a trailing slash. Raises ValueError when it is not one or holds more.

    `userinfo` allows a user name and a password in it, as in a proxy's URL.
    """
    parts = split_url(text)
    if parts is None or parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("must be an http:// or https:// URL with a host")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL with a port from 0 to 65535, or none") from None
    try:
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        raise ValueError("must be a URL whose host is a name that can exist") from None
    if "?" in text or "#" in text:
        raise ValueError("must be a URL without query and fragment")
    if "@" in parts.netloc and not userinfo:
        raise ValueError("must be a URL without user name and password")
    return text.rstrip("/")


def is_plain_remote(url: str) -> bool:
    """Return whether a valid URL would send a token in the clear over a network: http, and not to this machine."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    if parts.scheme != "http" or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def queue_url(text: str) -> str:
    """Return the URL of a queue with its scheme in lower case, as every engine expects it.

    Raises ValueError for an unknown scheme and for a SQLite URL that names no file.
    """
    parts = split_url(text)
    if parts is None or parts.scheme not in QUEUE_SCHEMES or not (parts.scheme == "sqlite" or "://" in text):
        raise ValueError("must begin with sqlite:///, postgresql://, redis:// or rediss://")
    if parts.scheme == "sqlite":
        sqlite_path(text)
    return parts.scheme + text[len(parts.scheme) :]


def sqlite_path(url: str) -> Path:
    """Return the file that `sqlite:///absolute/path` names, percent-decoded. Raises ValueError for any other form.

    A fourth slash changes nothing: `sqlite:////var/lib/x.db` is /var/lib/x.db too.
    """
    scheme, found, rest = url.partition(":///")
    path = unquote(rest)
    named = found and scheme.lower() == "sqlite" and "?" not in rest and "#" not in rest and "\0" not in path
    if not (named and path) or path.endswith(("/", ":memory:")):
        raise ValueError(_SQLITE_FORM)
    return Path("/" + path.lstrip("/"))


def sqlite_url(path: Path) -> str:
    """Return the URL that names an absolute path."""
    return "sqlite:///" + quote(str(path).lstrip("/"))


def masked_url(url: str) -> str:
    """Return a URL with its user name, its password and every secret of its query masked."""
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", _USERINFO.sub(f"//{MASK}@", url, count=1))
