"""Pauses in words, as `reaper.core.pauses` has them for every surface."""

from reaper.core.pauses import WHAT_TO_DO as WHAT_TO_DO
from reaper.core.pauses import heading as heading
