"""`reaper queue init|backup|restore`: prepare a queue, copy the ledger, put a copy in its place."""

from __future__ import annotations

import argparse

from reaper.cli.arguments import add_action
from reaper.cli.context import loaded, open_reading, open_writing, run_async
from reaper.cli.output import emit, emit_json
from reaper.core.errors import Exit
from reaper.core.model import Stats
from reaper.core.text import pluralize
from reaper.queues.open import is_shared, refuse_unwritable, restore_ledger
from reaper.settings.load import Loaded


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="init|backup|restore", required=True)
    add_action(actions, "queue", "init", "create what the queue needs, unless it is there; change nothing else")
    text = "write a consistent copy of the ledger to a new file, also while a daemon runs"
    backup = add_action(actions, "queue", "backup", text)
    backup.add_argument("file", metavar="FILE", help="the copy; must not exist")
    text = (
        "put a copy in the ledger's place, after a check, while no process works on it; keep the former one beside it"
    )
    restore = add_action(actions, "queue", "restore", text)
    restore.add_argument("file", metavar="FILE", help="a copy that `reaper queue backup` made; it is left as it is")


def run(args: argparse.Namespace) -> int:
    actions = {"init": _init, "backup": _backup, "restore": _restore}
    return run_async(actions[args.action], args, loaded(args))


async def _init(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_writing(settings, warn=True) as queue:
        stats = await queue.stats()
        if is_shared(settings.settings.queue.url):  # a standby is opened and read like a primary
            await refuse_unwritable(settings.settings.queue.url)
    if args.json:
        emit_json({"ready": True, "accepted": stats.accepted})
    else:
        emit(f"the queue is ready; {_accepted(stats)} so far")
    return Exit.OK


def _accepted(stats: Stats) -> str:
    """Return how often IDs were accepted, which counts an ID once for each of its rounds."""
    return f"IDs were accepted {pluralize(stats.accepted, 'time', 'times')} (once for each round)"


async def _backup(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        await queue.backup(args.file)
    if args.json:
        emit_json({"backup": args.file})
    else:
        emit(f"wrote {args.file}")
    return Exit.OK


async def _restore(args: argparse.Namespace, settings: Loaded) -> int:
    path, former = await restore_ledger(settings.settings.queue.url, args.file)
    async with open_reading(settings) as queue:
        stats = await queue.stats()
    waiting = stats.ready + stats.delayed + stats.in_flight
    if args.json:
        emit_json(
            {"restored": path, "from": args.file, "former": former, "accepted": stats.accepted, "waiting": waiting}
        )
    else:
        kept = f"; the former ledger is {former}" if former else ""
        open_ids = pluralize(waiting, "ID is", "IDs are")
        emit(f"restored {path} from {args.file}: {_accepted(stats)}, {open_ids} waiting{kept}")
    return Exit.OK
