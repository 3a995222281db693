"""Runs pytest, and what failed a second time, alone: a busy machine fails tests that hold a time or an order.

    python -m tools.rerun [what pytest takes]

A run of thousands of tests on a shared machine is else refused by the one that met a pause of the machine. What passes
alone is named at the end as flaky, with its first failure above: it is a fault of the test, or of what it tests, and
wants mending all the same. More than MAX_FLAKY failures are no coincidence, and nothing is run again.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

MAX_FLAKY = 3


class Failures:
    """A plugin that notes which tests fail, and which words of the command line were options."""

    def __init__(self) -> None:
        self.tests: list[str] = []
        self.options: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        self.options = [str(word) for word in config.invocation_params.args if word not in config.args]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.tests:
            self.tests.append(report.nodeid)


def main(words: Sequence[str]) -> int:
    """Run pytest with these words; return its exit code, or that of the second run."""
    failures = Failures()
    code = int(pytest.main(list(words), plugins=[failures]))
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(failures.tests) <= MAX_FLAKY:
        return code
    print(f"once more, alone: {', '.join(failures.tests)}", flush=True)
    again = subprocess.run(
        [sys.executable, "-m", "pytest", *failures.options, "-n", "0", *failures.tests], check=False
    ).returncode
    if again == 0:
        print("\n".join(f"FLAKY    {test}: failed above, and passed alone" for test in failures.tests), flush=True)
    return again


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
