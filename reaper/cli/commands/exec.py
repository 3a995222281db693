"""`reaper exec`: run a command, and stop its sessions when it has ended, however it ends."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from reaper.api.credentials import Credentials
from reaper.app.command import PASSED, CommandProcess
from reaper.app.exec import Switch, run_command
from reaper.app.foreground import Foreground
from reaper.app.once import RETRY_WAIT_S, Waits, Watch, run_once
from reaper.app.operator_input import operator_name, session_ids
from reaper.app.run_parts import RunParts
from reaper.app.run_summary import Summary
from reaper.app.signals import REPEAT_S, Signals
from reaper.app.startup import credentials_of, protector_of
from reaper.cli.arguments import duration
from reaper.cli.context import loaded, open_writing, run_async
from reaper.cli.failure import describe, innermost
from reaper.cli.output import say
from reaper.cli.parser import LazyParser
from reaper.cli.terminal.progress import log_each_session
from reaper.cli.terminal.summary_rows import rows
from reaper.core.errors import Exit, ReaperError, UsageError
from reaper.core.ids import check_id
from reaper.core.model import DEAD, SessionId
from reaper.core.text import format_duration, pluralize, sanitize
from reaper.intake.events import NOTHING
from reaper.queues.values import PostponeResult
from reaper.settings.load import Loaded
from reaper.telemetry import logs
from reaper.telemetry.event_log import LogJournal, log_exit
from reaper.telemetry.stderr import flush_stderr
from reaper.worker.queue_health import QueueHealth

AFTER_S = 1800.0
MIN_AFTER_S = 1.0
AFTERWORDS = (
    "COMMAND is not run, and nothing changes, when there is no such command (127), when it is not executable (126), "
    "when an ID is settled already or its DELETE is in flight (3), or when the queue is unavailable (69).\n\n"
    "COMMAND gets the signals that reaper gets; what it leaves behind is ended. The exit code is that of COMMAND, "
    "128 + N when signal N ended it; when COMMAND succeeded, it is the one of `once`. If reaper itself is killed "
    "(SIGKILL), a reaper that runs stops the sessions when their time to live is over.\n\n"
    "All that reaper says goes to stderr; COMMAND has stdin, stdout and stderr for itself."
)


def configure(parser: argparse.ArgumentParser) -> None:
    assert isinstance(parser, LazyParser)
    parser.takes_command = True
    parser.usage = "reaper exec [--after TIME] [common options] ID [ID ...] -- COMMAND ..."
    parser.add_argument("ids", nargs="+", metavar="ID", help="a session ID that COMMAND uses")
    parser.add_argument(
        "--after",
        type=duration,
        default=AFTER_S,
        metavar="TIME",
        help="the sessions' time to live, renewed every third of it while COMMAND lives (default: 30m)",
    )
    parser.epilog = AFTERWORDS


def run(args: argparse.Namespace) -> int:
    if not args.command:
        raise UsageError("exec: name the command after --, as in: reaper exec env_12345 -- ./run-tests")
    if args.after < MIN_AFTER_S:
        raise UsageError(f"--after must be at least {MIN_AFTER_S:g} s")
    ids = session_ids(args.ids, check_id)
    caught = [number for number in PASSED if signal.getsignal(number) is not signal.SIG_IGN]
    signals = Signals(*caught, signal.SIGCHLD)
    signals.repeat_s = 0.0
    settings = loaded(args)
    protector_of(settings.settings)
    credentials = credentials_of(settings.settings)
    run = _Exec(args, settings, credentials, ids, signals)
    code = run_async(run.run)
    run.hand_on_interrupt()
    return code


@dataclass(slots=True)
class _Exec:
    args: argparse.Namespace
    settings: Loaded
    credentials: Credentials
    ids: Sequence[SessionId]
    signals: Signals
    command: CommandProcess | None = None
    foreground: Foreground | None = None

    async def run(self) -> int:
        logs.configure(self.settings.settings.telemetry, secrets=self.credentials.secrets)
        self.foreground = Foreground()
        self.command = command = CommandProcess(self.args.command, self.foreground)
        name = sanitize(shlex.quote(self.args.command[0]))
        switch = Switch(
            lambda create: open_writing(self.settings, create=create),
            self.ids,
            self.args.after,
            operator_name(),
            QueueHealth(LogJournal()),
            _Report(name),
        )
        wait_s = self.settings.settings.api.unavailable_wait_s
        is_due = await run_command(switch, command, self.signals, unavailable_s=wait_s)
        assert command.code is not None, "it has ended"
        self.signals.repeat_s = REPEAT_S
        for number in (signal.SIGTSTP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        summary, code, why = None, int(Exit.UNAVAILABLE), f"the queue has been unavailable for {wait_s:g} s"
        if is_due:
            try:
                summary = await self.stop()
                code, why = int(summary.exit), summary.why or ""
            except Exception as caught:
                error = innermost(caught)
                if not isinstance(error, ReaperError):
                    raise
                code, why = describe(error)
        result = command.code or code
        self.signals.leave_with(result)
        self.tell(name, command, summary, why, result)
        return result

    async def stop(self) -> Summary:
        """Stop the sessions, or wait until another reaper has."""
        async with AsyncExitStack() as opened:
            queue = await opened.enter_async_context(open_writing(self.settings, worker=True, create=False))
            members = queue.new_set()
            await members.include(self.ids)
            return await run_once(
                RunParts(self.settings.settings, queue, self.credentials, opened), members, NOTHING,
                Waits.of(self.settings.settings, retry_s=RETRY_WAIT_S, budget_s=None),
                leftovers=False, watch=Watch(each=log_each_session(self.settings)), signals=self.signals,
            )  # fmt: skip

    def tell(self, name: str, command: CommandProcess, summary: Summary | None, why: str, result: int) -> None:
        """Say in one line how the command and its sessions ended."""
        how = f"was ended by {command.ended_by.name}" if command.ended_by else f"ended with {command.code}"
        counted = [f"{row.count:,} {row.word}" for row in rows(summary)] if summary else []
        sentence = f"{name} {how} after {format_duration(command.ran_s)}; {', '.join(counted) or 'nothing was stopped'}"
        if why:
            sentence += f": {why}; what was not stopped stays queued, and is due"
        has_failed = bool(summary is None or summary.exit)
        if logs.writes_json():
            facts = {"sends": summary.sends, "waiting": summary.view.open} if summary else {}
            log_exit(result, sentence, facts={**facts, "ran_s": round(command.ran_s, 1)})
        elif has_failed or not self.args.quiet:
            say(sentence, logging.WARNING if has_failed else logging.INFO)
        if summary and (dead := sum(summary.view.settled.get(outcome, 0) for outcome in DEAD)):
            say(
                f"{pluralize(dead, 'session', 'sessions')} could not be stopped; see: reaper dead list", logging.WARNING
            )

    def hand_on_interrupt(self) -> None:
        """Have a Ctrl-C that ended the command end this group too: its shell and its loop must know of it.

        The terminal sent it to the command's group alone.
        """
        if self.command and self.command.ended_by == signal.SIGINT and self.foreground and self.foreground.is_given:
            logs.flush()
            flush_stderr()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.killpg(os.getpgrp(), signal.SIGINT)


@dataclass(frozen=True, slots=True)
class _Report:
    """Says what happens around the command."""

    name: str

    def ended_early(self, session_id: SessionId, state: PostponeResult) -> None:
        say(f"{session_id} cannot be postponed any more ({_ENDED[state]}), and {self.name} goes on", logging.WARNING)

    def left_behind(self, processes: int) -> None:
        said = pluralize(processes, "process", "processes")
        say(f"{said} that {self.name} left behind had to be ended", logging.WARNING)


_ENDED = {
    PostponeResult.IN_FLIGHT: "a reaper is stopping it",
    PostponeResult.SETTLED: "it is settled; see: reaper show",
    PostponeResult.UNKNOWN: "it was taken out of the queue",
}
