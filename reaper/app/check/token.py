"""The lines about the token's source: its rights, and a service that has a token while this user has none."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reaper.app.check.line import Line, hindrance_of
from reaper.core.errors import ConfigError
from reaper.settings.schema import Settings
from reaper.settings.token_source import CREDENTIAL, file_of_token

UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where systemd finds units, those of the administrator first."""
_CREDENTIAL = re.compile(rf"^(LoadCredential(?:Encrypted)?={CREDENTIAL}(?::\S+)?)$", re.MULTILINE)
_PROGRAM = re.compile(r"^ExecStart=[-@:+!]*(\S+)", re.MULTILINE)
_STATE = re.compile(r"^(StateDirectory(?:Mode)?=\S+)$", re.MULTILINE)
_USER = re.compile(r"^User=(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is given the token as a credential."""

    unit: str
    user: str
    properties: tuple[str, ...]
    """The lines of the unit that give it the token and its state directory."""
    program: str

    @property
    def command(self) -> str:
        """The command that checks as the service does."""
        sudo = "" if os.geteuid() == 0 else "sudo "
        properties = " ".join(f"-p {one}" for one in self.properties)
        return f"{sudo}systemd-run --quiet --wait --pipe --uid={self.user} {properties} {self.program} check"


def token_fault(error: ConfigError, directories: Sequence[str] = UNIT_DIRECTORIES) -> Line:
    """Return the line for a token that is not configured."""
    service = find_service(directories)
    if service is None:
        return Line("token", str(error), hindrance_of(error))
    has = f"the service {service.unit} has one (the credential {CREDENTIAL}), this user has not"
    return Line("token", f"{has}; to check as the service: {service.command}", hindrance_of(error))


def token_risks(settings: Settings) -> Iterator[Line]:
    """Yield a warning for a token file that a group may read without need. For every user, `load` warns."""
    file = file_of_token(settings.api, os.environ)
    with suppress(OSError, ValueError):
        if file is not None:
            found = os.stat(file)
            is_for_group = bool(found.st_mode & stat.S_IRGRP) and not found.st_mode & stat.S_IROTH
            if is_for_group and found.st_uid == os.geteuid() != 0:  # of root's, the group is the way to read it
                yield Line("token", f"the group of the token file {file} may read it: chmod g= {file}", warned=True)


def find_service(directories: Sequence[str]) -> Service | None:
    """Return a service whose unit, or a drop-in of it, loads the token as a credential.

    `reaper.service` comes before `reaper-once.service`.
    """
    for directory in directories:
        units = [*Path(directory).glob("*.service"), *Path(directory).glob("*.service.d/*.conf")]
        for path in sorted(units, key=lambda path: (_unit_of(path).removesuffix(".service"), path)):
            found = _CREDENTIAL.search(_read(path))
            if found is not None:
                unit = _unit_of(path)
                text = "\n".join(_read(Path(one, unit)) for one in directories)
                user, program = _USER.search(text), _PROGRAM.search(text)
                properties = (found[1], *dict.fromkeys(_STATE.findall(text)))
                named = "reaper" if program is None else program[1]
                return Service(unit, "root" if user is None else user[1], properties, named)
    return None


def _unit_of(path: Path) -> str:
    return path.parent.name.removesuffix(".d") if path.suffix == ".conf" else path.name


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace") if path.is_file() else ""
    except OSError:
        return ""
