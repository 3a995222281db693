"""The lines about the console: who may act, and what an address of the network gives away."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from reaper.app.check.line import Line, hindrance_of
from reaper.app.console.tokens import read_persons
from reaper.core.errors import ConfigError
from reaper.core.text import pluralize
from reaper.settings.listen_address import split_listen
from reaper.settings.schema import Settings


def console_lines(settings: Settings) -> Iterator[Line]:
    """Yield a line for the file of those who may act, and warnings where the console can be reached from elsewhere."""
    telemetry = settings.telemetry
    address = split_listen(telemetry.listen)
    is_open = address is not None and not _is_loopback(address[0])
    if (file := telemetry.admin_token_file) is not None:
        yield _acts_line(telemetry.listen, file, is_off=address is None, is_open=is_open)
    if telemetry.page_ids and is_open:
        yield Line("console", f"telemetry.page_ids shows session IDs to all who reach {telemetry.listen}", warned=True)


def _acts_line(listen: str, file: Path, *, is_off: bool, is_open: bool) -> Line:
    if is_off:
        return Line("console", "telemetry.admin_token_file has no use while telemetry.listen is empty", warned=True)
    try:
        persons = sorted(set(read_persons(file).values()))
    except ConfigError as error:
        return Line("console", str(error), hindrance_of(error))
    if is_open:
        words = f"{listen} is plain http: tokens of those who may act cross the network in the clear"
        return Line("console", f"{words}; listen on 127.0.0.1 behind a tunnel or a proxy with TLS", warned=True)
    return Line("console", f"{pluralize(len(persons), 'person', 'persons')} may act: {', '.join(persons)}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
