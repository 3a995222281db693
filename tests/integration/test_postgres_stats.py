"""The figures of a deep queue in PostgreSQL are those of a count of every row."""

from __future__ import annotations
