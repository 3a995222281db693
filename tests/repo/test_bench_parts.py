"""The bench of the parts of a session's cost runs, and prints each part."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_part_is_told() -> None:
    words = (sys.executable, "-m", "bench.parts", "--sessions", "64", "--concurrency", "8", "--runs", "1")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.rsplit(maxsplit=1)[0] for line in done.stdout.splitlines()[2:]]
    assert [row.split("  ")[0] for row in rows] == [
        "worker and gate, nothing behind them",
        "with the log",
        "with the metrics of a daemon",
        "with the ledger, its history included",
        "with HTTP/1.1",
        "all, with HTTP/1.1",
        "with HTTP/1.1 over TLS",
        "all, with HTTP/1.1 over TLS",
        "with HTTP/2 over TLS",
        "all, with HTTP/2 over TLS",
    ]
