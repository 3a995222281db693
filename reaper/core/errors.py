"""Every error that reaper raises on purpose, and the exit code each one ends in.

    ReaperError                1   internal, or a fault that `audit` or `check` found
    ├── UsageError             2   the command line, or an input that cannot be read
    ├── ConfigError           78   a setting: unknown, malformed, contradictory
    ├── CredentialsError      77   the API refused the token and none better came
    ├── ApiUnavailableError   69   the API cannot be reached, or what answers is not the API
    ├── QueueError            69   the queue cannot be used
    │   └── QueueUnavailableError  it is away or busy: what was asked may be asked again
    └── RefusedError           3   an operator's wish that does not fit the item's state

The message is one sentence for the operator: what is wrong, where, and what to do. It never holds a secret.
Third-party exceptions are translated into one of these at the edge, with `from`.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; when several apply, the first in `PRECEDENCE` wins."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    DEAD = 3
    HELD = 4
    UNAVAILABLE = 69
    WORK_LEFT = 75
    CREDENTIALS = 77
    CONFIG = 78


PRECEDENCE = (
    Exit.INTERNAL,
    Exit.USAGE,
    Exit.CONFIG,
    Exit.CREDENTIALS,
    Exit.UNAVAILABLE,
    Exit.HELD,
    Exit.DEAD,
    Exit.WORK_LEFT,
    Exit.OK,
)


class ReaperError(Exception):
    """Root of the tree; the message is fit to be printed."""

    exit_code = Exit.INTERNAL


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
    """The API cannot be reached, or what answers at its address is not the API."""

    exit_code = Exit.UNAVAILABLE


class QueueError(ReaperError):
    """The queue cannot be opened, read or written now; nothing that was accepted is lost."""

    exit_code = Exit.UNAVAILABLE


class QueueUnavailableError(QueueError):
    """The queue's engine is away, starting or too busy; it may come back, and what was asked may be asked again.

    Whether it happened is not known; an `apply` that is asked again is recognised.
    """


class RefusedError(ReaperError):
    """The item is not in a state that allows what was asked."""

    exit_code = Exit.DEAD
