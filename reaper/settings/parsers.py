"""Parse single values: URLs, lists and tokens. No message repeats the value, because it may hold a secret."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from reaper.core.errors import ConfigError

MASK = "********"

QUEUE_SCHEMES = ("sqlite", "postgresql", "redis", "rediss")

_SQLITE_FORM = "must be sqlite:/// and the absolute path of a file, such as sqlite:///var/lib/reaper/reaper.db"
# Greedy: a password may hold an unescaped slash or at sign; masking too much of such a URL does no harm.
_USERINFO = re.compile(r"//.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*", re.IGNORECASE)
_HOST = re.compile(r"[\w.:%-]+")


def http_url(text: str, *, userinfo: bool = False) -> str:
    """Return an http or https URL without a trailing slash. Raises ValueError when it is not one or holds more.

    `userinfo` allows a name and password in it, as for a proxy.
    """
    parts = _split(text)
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
    """Tell whether a valid URL would send a token in the clear over a network: http, and not to this machine."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    if parts.scheme != "http" or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def queue_url(text: str) -> str:
    """Return the URL of a queue. Raises ValueError for an unknown scheme and for a SQLite URL that names no file."""
    parts = _split(text)
    if parts is None or parts.scheme not in QUEUE_SCHEMES or not (parts.scheme == "sqlite" or "://" in text):
        raise ValueError("must begin with sqlite:///, postgresql://, redis:// or rediss://")
    if parts.scheme == "sqlite":
        try:
            sqlite_path(text)
        except ConfigError:
            raise ValueError(_SQLITE_FORM) from None
    return text


def sqlite_path(url: str) -> Path:
    """Return the file that `sqlite:///absolute/path` names, percent-decoded. Raises ConfigError for any other form.

    A fourth slash changes nothing: `sqlite:////var/lib/x.db` is /var/lib/x.db too.
    """
    scheme, found, rest = url.partition(":///")
    path = unquote(rest)
    named = found and scheme.lower() == "sqlite" and "?" not in rest and "#" not in rest and "\0" not in path
    if not (named and path) or path.endswith(("/", ":memory:")):
        raise ConfigError(f"queue.url {_SQLITE_FORM}")
    return Path("/" + path.lstrip("/"))


def sqlite_url(path: Path) -> str:
    """Return the URL that names an absolute path."""
    return "sqlite:///" + quote(str(path).lstrip("/"))


def masked_url(url: str) -> str:
    """Return a URL with what stands before its host masked, and every secret in its query."""
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", _USERINFO.sub(f"//{MASK}@", url, count=1))


def clean_token(text: str) -> str:
    """Return a token without surrounding white space. Raises ValueError if a header could not carry it."""
    token = text.strip()
    if not all("!" <= char <= "~" for char in token):
        raise ValueError("must be one word of visible ASCII characters")
    return token


def items(value: object) -> object:
    """Return the list that a text from the environment stands for: JSON if it begins with `[`, else split at commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json_list(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def words(value: object) -> object:
    """Return the words of a command line: JSON if it begins with `[`, else split and unquoted as a shell does."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json_list(value)
    try:
        return shlex.split(value)
    except ValueError:
        raise ValueError("must have its quotes closed") from None


def _json_list(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be a list: JSON, or separated by commas") from None


def _split(url: str) -> SplitResult | None:
    """Split a URL; None when it is none. `urlsplit` alone would drop line breaks in silence."""
    if not url.isprintable() or " " in url:
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None
