"""The one grammar of URLs: the API's, the proxy's, the queue's and the receivers' of messages (docs/configuration.md).

A URL may hold a password, so no message repeats it. Each function raises ValueError with a phrase that follows the
setting's name.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

MASK = "********"

QUEUE_SCHEMES = ("sqlite", "postgresql", "redis", "rediss")

_SQLITE_FORM = "must be sqlite:/// and the absolute path of a file, such as sqlite:///var/lib/reaper/reaper.db"
_UNESCAPED = (
    "must have @ / ? # and % in its user name and password written as %40 %2F %3F %23 and %25: as it is, a part of "
    "the password would be taken for the host"
)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Greedy: a password may hold an unescaped slash or at sign. To mask too much of such a URL does no harm.
_USERINFO = re.compile(r"//.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*", re.IGNORECASE)
_RECEIVER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")
_HOST = re.compile(r"[\w.:%-]+")


def split_url(url: str) -> SplitResult | None:
    """Split a URL; None when it is none. `urlsplit` alone would drop line breaks in silence."""
    if not url.isprintable() or " " in url:
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def http_url(text: str) -> str:
    """Return an http or https URL without a trailing slash. Raises ValueError when it is not one or holds more."""
    parts = _http_parts(text)
    if "@" in parts.netloc:
        raise ValueError("must be a URL without user name and password")
    return text.rstrip("/")


def proxy_url(text: str) -> str:
    """Return the URL of a proxy, which may hold a user name and a password. Raises ValueError as `http_url` does."""
    parts = split_url(text)
    if parts is not None and not _is_escaped(parts):
        raise ValueError(_UNESCAPED)
    if _http_parts(text).path.strip("/"):
        raise ValueError("must be a URL that ends with its host or port")
    return text.rstrip("/")


def ping_url(text: str) -> str:
    """Return the URL that a heartbeat goes to; it may have a query. Raises ValueError as `http_url` does."""
    if "@" in _http_parts(text, may_query=True).netloc:
        raise ValueError("must be a URL without user name and password")
    return text


def fail_url(url: str) -> str:
    """Return the URL that says that a run failed: `/fail` behind the path, as healthchecks.io has it."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/fail").geturl()


def receiver_url(text: str) -> str:
    """Return the URL of a receiver of messages, of which only its library knows more. Raises ValueError for none."""
    if not (text.isprintable() and " " not in text and _RECEIVER.fullmatch(text)):
        raise ValueError("must be a URL of Apprise, such as ntfys://HOST/TOPIC")
    return text


def _http_parts(text: str, *, may_query: bool = False) -> SplitResult:
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
    if "#" in text or ("?" in text and not may_query):
        raise ValueError(f"must be a URL without {'' if may_query else 'query and '}fragment")
    return parts


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
    """Return the URL of a queue with its scheme in lower case, as every engine expects it; postgres is postgresql.

    Raises ValueError for an unknown scheme and for a SQLite URL that names no file.
    """
    scheme, colon, rest = text.partition(":")
    if scheme.lower() == "postgres":
        text = f"postgresql{colon}{rest}"
    parts = split_url(text)
    if parts is None or parts.scheme not in QUEUE_SCHEMES or not (parts.scheme == "sqlite" or "://" in text):
        raise ValueError("must begin with sqlite:///, postgresql://, redis:// or rediss://")
    if parts.scheme == "sqlite":
        sqlite_path(text)
    elif not _is_escaped(parts):
        raise ValueError(_UNESCAPED)
    return parts.scheme + text[len(parts.scheme) :]


def _is_escaped(parts: SplitResult) -> bool:
    """Return whether user name and password end where the URL's grammar says (RFC 3986, 3.2): else a part is the host.

    An at sign that belongs to a password cut short stands after a /, a ? or a #, or twice before them.
    """
    user, _, hosts = parts.netloc.rpartition("@")
    if "@" in user or _LONE_PERCENT.search(user) or "@" in parts.path + parts.fragment:
        return False
    # The value of a parameter may hold an at sign; a password that a ? cut short left its beginning in place of a port.
    if "@" not in parts.query:
        return True
    named = not any("@" in each.partition("=")[0] for each in parts.query.split("&"))
    return named and (bool(user) or all(map(_is_place, hosts.split(","))))


def _is_place(host: str) -> bool:
    """Return whether one of the hosts of a URL has a number as its port, or none."""
    _, _, port = host.rpartition("]")[2].rpartition(":")
    return port.isdecimal() or ":" not in host.rpartition("]")[2]


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


def masked_receiver(url: str) -> str:
    """Return the scheme of a receiver's URL alone: the rest may be a token from its first character on."""
    return f"{url.partition(':')[0].lower()}://{MASK}"


def masked_ping(url: str) -> str:
    """Return scheme and host of a heartbeat's URL: its path is the secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{MASK}"


def masked_url(url: str) -> str:
    """Return a URL with its user name, its password and every secret of its query masked."""
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", _USERINFO.sub(f"//{MASK}@", url, count=1))
