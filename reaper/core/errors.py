"""Every error that reaper raises on purpose, and its exit code (docs/commands.md).

    ReaperError                1   an internal error, or a fault that a command was asked to look for
    ├── UsageError             2   the command line, or an input that cannot be read
    ├── ConfigError           78   a setting that is unknown, malformed or contradicts another
    ├── CredentialsError      77   the API refused the token, and no other token came in time
    ├── ApiUnavailableError   69   the API cannot be reached, or another server answers at its address
    ├── QueueError            69   the queue cannot be used
    │   ├── NoQueueError           there is no queue yet: the verbs that write create it
    │   └── QueueUnavailableError  the engine is unavailable or busy: the operation may be repeated
    ├── RefusedError           3   the item's state does not allow the operator's request
    └── CommandError     126, 127  the command of `exec` cannot be run

The number is the exit code. The message is one sentence for the operator: the fault, its place and the remedy. It never
holds a secret. Third-party exceptions are translated into one of these at the edge, with `from`.
"""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes. When several apply, the first one here wins."""

    INTERNAL = 1
    USAGE = 2
    CONFIG = 78
    CREDENTIALS = 77
    UNAVAILABLE = 69
    HELD = 4
    DEAD = 3
    WORK_LEFT = 75
    OK = 0


PRECEDENCE = tuple(Exit)


class ReaperError(Exception):
    """The root of the tree. The message may be printed as it is."""

    exit_code: int = Exit.INTERNAL


class UsageError(ReaperError):
    """The command line is wrong, or an input named on it cannot be read."""

    exit_code = Exit.USAGE


class ConfigError(ReaperError):
    """A setting is unknown, malformed or contradicts another."""

    exit_code = Exit.CONFIG


class CredentialsError(ReaperError):
    """The API refused the token."""

    exit_code = Exit.CREDENTIALS


class ApiUnavailableError(ReaperError):
    """The API cannot be reached, or another server answers at its address."""

    exit_code = Exit.UNAVAILABLE


class QueueError(ReaperError):
    """The queue cannot be opened, read or written now. No accepted ID is lost."""

    exit_code = Exit.UNAVAILABLE


class NoQueueError(QueueError):
    """There is no queue at that place yet. A verb that writes creates it."""


class QueueUnavailableError(QueueError):
    """The queue's engine is unavailable, starting or too busy; the operation may be repeated.

    Whether the operation took effect is not known. A repeated `apply` is recognised and counted once.
    """


class RefusedError(ReaperError):
    """The item's state does not allow the operator's request."""

    exit_code = Exit.DEAD


class CommandError(ReaperError):
    """A command that was to be run is not found (127) or cannot be executed (126)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
