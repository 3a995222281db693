"""`reaper queue init|backup`: prepare a queue, copy the ledger."""

from __future__ import annotations

import argparse

from reaper.cli.arguments import add_action
from reaper.cli.context import loaded, open_reading, open_writing, run_async
from reaper.cli.output import emit, emit_json
from reaper.core.errors import Exit
from reaper.settings.load import Loaded


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="init|backup", required=True)
    add_action(actions, "queue", "init", "create what the queue needs, unless it is there; change nothing else")
    text = "write a consistent copy of the ledger to a new file, also while a daemon runs"
    backup = add_action(actions, "queue", "backup", text)
    backup.add_argument("file", metavar="FILE", help="the copy; must not exist")


def run(args: argparse.Namespace) -> int:
    return run_async(_init if args.action == "init" else _backup, args, loaded(args))


async def _init(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_writing(settings, warn=True) as queue:
        stats = await queue.stats()
    if args.json:
        emit_json({"ready": True, "accepted": stats.accepted})
    else:
        emit(f"the queue is ready; {stats.accepted} sessions accepted so far")
    return Exit.OK


async def _backup(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        await queue.backup(args.file)
    if args.json:
        emit_json({"backup": args.file})
    else:
        emit(f"wrote {args.file}")
    return Exit.OK
