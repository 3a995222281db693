"""Reaper stops expired and orphaned hosted clone sessions, and accounts for every one of them.

From Python: `reaper.open` and `reaper.stop_sessions`; see docs/library.md. Importing this module costs nothing: the
first use of a name imports its module.
"""

from reaper.core.version import __version__ as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from reaper.core.errors import (
        ApiUnavailableError,
        ConfigError,
        CredentialsError,
        Exit,
        QueueError,
        QueueUnavailableError,
        ReaperError,
        RefusedError,
        UsageError,
    )
    from reaper.core.model import Audit, AuditLine, Item, Outcome, Send, State, Stats
    from reaper.library.async_api import Reaper, open
    from reaper.library.blocking_api import stop_sessions
    from reaper.library.options import Options
    from reaper.library.summary import Summary
    from reaper.queues.values import Added
    from reaper.settings.schema import Settings

__all__ = [
    "Added",
    "ApiUnavailableError",
    "Audit",
    "AuditLine",
    "ConfigError",
    "CredentialsError",
    "Exit",
    "Item",
    "Options",
    "Outcome",
    "QueueError",
    "QueueUnavailableError",
    "Reaper",
    "ReaperError",
    "RefusedError",
    "Send",
    "Settings",
    "State",
    "Stats",
    "Summary",
    "UsageError",
    "__version__",
    "open",
    "stop_sessions",
]

_HOMES = {
    "library.async_api": ("Reaper", "open"),
    "library.blocking_api": ("stop_sessions",),
    "library.options": ("Options",),
    "library.summary": ("Summary",),
    "queues.values": ("Added",),
    "settings.schema": ("Settings",),
    "core.model": ("Audit", "AuditLine", "Item", "Outcome", "Send", "State", "Stats"),
    "core.errors": (
        "ApiUnavailableError",
        "ConfigError",
        "CredentialsError",
        "Exit",
        "QueueError",
        "QueueUnavailableError",
        "ReaperError",
        "RefusedError",
        "UsageError",
    ),
}


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use."""
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            found = globals()[name] = getattr(import_module(f"reaper.{home}"), name)
            return found
    raise AttributeError(f"module 'reaper' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
