"""Entry point of the command. `--version` and `health` run before anything heavy is imported."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command line (None: `sys.argv`) and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] in (["--version"], ["-V"]):
        from reaper.core.version import __version__

        sys.stdout.write(f"reaper {__version__}\n")
        return 0
    if words[:1] == ["health"]:
        from reaper.cli.commands import health

        if (code := health.main(words[1:])) is not None:
            return code
    from reaper.cli.main import dispatch

    return dispatch(words)


if __name__ == "__main__":
    sys.exit(main())
