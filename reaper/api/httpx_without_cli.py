"""Imports httpx without its command line client, which loads click, rich and pygments wherever click is installed.

That costs 0.04 s of CPU and 5.6 MiB at every start (measured), for a command that reaper does not offer.
"""

from __future__ import annotations

import sys

_CLIENT = "httpx._main"
_IS_FIRST = "httpx" not in sys.modules
if _IS_FIRST:
    # Importing a module whose entry is None raises ImportError, which httpx takes for "click is not installed".
    sys.modules[_CLIENT] = None  # type: ignore[assignment]
try:
    import httpx as httpx
finally:
    if _IS_FIRST:
        del sys.modules[_CLIENT]
