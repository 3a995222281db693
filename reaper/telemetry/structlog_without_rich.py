"""Imports structlog with rich hidden: structlog imports rich for tracebacks where it is installed.

That costs 0.10 s of CPU at every start (measured), for tracebacks that are never shown. A progress display imports rich
itself, later.
"""

from __future__ import annotations

import sys

_ABSENT = "rich" not in sys.modules
if _ABSENT:
    # Importing a module whose entry is None raises ImportError, which structlog takes for "not installed".
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
