"""structlog without rich, which it draws in wherever that is installed, for tracebacks that we never show.

Measured: 0.10 s of the CPU of every start. A progress display imports rich itself, later.
"""

from __future__ import annotations

import sys

_ABSENT = "rich" not in sys.modules
if _ABSENT:
    # An import of a name that stands for None fails, and structlog takes that for "not installed".
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog as structlog
    from structlog.typing import EventDict as EventDict
    from structlog.typing import FilteringBoundLogger as FilteringBoundLogger
    from structlog.typing import Processor as Processor
    from structlog.typing import WrappedLogger as WrappedLogger
finally:
    if _ABSENT:
        del sys.modules["rich"]
