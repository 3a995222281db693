"""`reaper completion bash|zsh|fish`: print the completion of a shell, made from the command line itself."""

from __future__ import annotations

import argparse

from reaper.cli.output import emit_own
from reaper.core.errors import Exit

SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="bash|zsh|fish", help="the shell to print it for")
    parser.epilog = (
        "A new shell reads it from the file. For the running one: source <(reaper completion bash), the same for zsh "
        "after compinit; in fish: reaper completion fish | source."
    )


def run(args: argparse.Namespace) -> int:
    from reaper.cli.completion import shells, tree

    emit_own(shells.SHELLS[args.shell](tree.read()))
    return Exit.OK
