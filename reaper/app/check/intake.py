"""The lines about what `run` reads: input files, spool, protected sessions, owners."""

from __future__ import annotations

import os

from anyio import to_thread

from reaper.app.check.line import Line, hindrance_of
from reaper.app.startup import protector_of
from reaper.app.wiring import owners_of
from reaper.core.errors import ConfigError
from reaper.core.input_facts import REFUSED_TODO
from reaper.intake.followed_paths import describe_entry
from reaper.intake.read_inputs import read_inputs
from reaper.intake.spool_rooms import Rooms
from reaper.settings.schema import Settings


async def intake_lines(settings: Settings) -> list[Line]:
    """Return a line for each entry of `intake.files` and for the spool. A file may still come: that is a warning."""
    intake, lines = settings.intake, []
    for entry in intake.files:
        is_there, sentence = await to_thread.run_sync(describe_entry, str(entry))
        lines.append(Line("intake.files", sentence, warned=not is_there))
    if intake.spool_dir is not None:
        rooms = Rooms(os.fspath(intake.spool_dir))
        try:
            risks = await to_thread.run_sync(rooms.rehearse)
        except ConfigError as error:
            lines.append(Line("spool", str(error).removeprefix("intake.spool_dir: "), hindrance_of(error)))
        else:
            lines += [Line("spool", risk, warned=True) for risk in risks]
            lines += [] if risks else [Line("spool", f"{rooms.path()} can be used")]
            facts = await to_thread.run_sync(read_inputs, (), intake.spool_dir)
            lines += [Line("spool", f"{facts.refused_words}; {REFUSED_TODO}", warned=True)] if facts.refused else []
    return lines


def protect_lines(settings: Settings) -> list[Line]:
    """Return a line for `protect.file`, and one for entries of `protect.*` that can match nothing."""
    file = settings.protect.file
    try:
        protector_of(settings)
    except ConfigError as error:
        subject, _, text = str(error).partition(": ")
        return [Line(subject, text, hindrance_of(error))]
    return [] if file is None else [Line("protect.file", f"{file} is read, and again when it changes")]


async def owners_lines(settings: Settings) -> list[Line]:
    """Return a line for the source of the live owners, read as `run` reads it."""
    discovery = settings.discovery
    if discovery.owners_file is None and not discovery.owners_command:
        return []
    faults: list[str] = []
    owners = await owners_of(settings, faults.append).read()
    if owners is None:
        return [Line("owners", fault.removeprefix("discovery.owners: "), warned=True) for fault in faults]
    source = discovery.owners_file or discovery.owners_command[0]
    count = len(owners)
    return [Line("owners", f"{source} names {count} live owner{'' if count == 1 else 's'}")]
