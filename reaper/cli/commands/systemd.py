"""`reaper systemd show`: print the units and what belongs to them, with the path of the reaper that prints them."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import sysconfig
from pathlib import Path

from reaper.cli.arguments import add_action
from reaper.cli.output import emit_own, flush, say
from reaper.core.errors import Exit, ReaperError
from reaper.core.text import escaped

_UNITS = "/etc/systemd/system"
UNITS = ("reaper.service", "reaper-once.service", "reaper-once.timer")
"""The files that are printed when none is named."""
DESTINATIONS = {
    **{name: f"{_UNITS}/{name}" for name in UNITS},
    "reaper.sysusers": "/etc/sysusers.d/reaper.conf",
    "reaper.toml": "/etc/reaper/reaper.toml",
    **{f"{name}.conf": f"{_UNITS}/reaper.service.d/{name}.conf" for name in ("token-file", "egress", "notify-reload")},
}
"""Each file that can be printed, and where an administrator puts it."""
PACKAGE = Path(__file__).parents[2]
USUAL_PROGRAM = "/opt/reaper/bin/reaper"
"""The program that the units of systemd/ start, where docs/systemd.md installs it."""
HIDDEN = {
    **dict.fromkeys(("/home", "/root", "/run/user"), "ProtectHome=true hides it"),
    **dict.fromkeys(("/tmp", "/var/tmp"), "PrivateTmp=true hides it"),  # noqa: S108  # names them, writes nothing there
}
"""Directories whose programs the services do not see, and the setting that is the reason."""
IN_PREFIX = os.path.join("share", "reaper", "systemd")
"""Where a wheel puts the files, below the prefix that it is installed in (`shared-data` in pyproject.toml)."""
MAX_LEVELS = 4
"""From `PREFIX/lib/python3.11/site-packages/reaper` up to `PREFIX`."""
_ELSEWHERE = (
    "install reaper elsewhere, as into a folder that `python3 -m venv /opt/reaper` makes; then: "
    "/opt/reaper/bin/reaper systemd show"
)
_NEXT = (
    "to install them, as root: reaper systemd show NAME > PATH, for each with the path above it; then: systemctl "
    "daemon-reload",
    f"a first installation also needs reaper.sysusers in {DESTINATIONS['reaper.sysusers']}, reaper.toml in "
    f"{DESTINATIONS['reaper.toml']} and the token in /etc/reaper/token; then: systemd-sysusers && systemctl enable "
    "--now reaper",
)
"""The way from the printed units to a daemon at work; docs/systemd.md has each step."""
_PLAIN_PATH = re.compile(r"[\w/.+@-]+", re.ASCII)
_REFUSED = re.compile(r"""[\x00-\x1f\x7f-\x9f\udc80-\udcff"'\\]""")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="show", required=True)
    show = add_action(actions, "systemd", "show", "print units, or another file that belongs to them")
    show.add_argument(
        "name", nargs="?", choices=tuple(DESTINATIONS), metavar="NAME", help=f"one of {', '.join(DESTINATIONS)}"
    )
    show.epilog = (
        "Without a NAME it prints the three units, each below a comment with the path where it belongs. The services "
        "start the reaper that prints them.\n\n"
        f"{show.epilog}"
    )


def run(args: argparse.Namespace) -> int:
    """Print the files. Raises ReaperError when this installation has none."""
    folder, program = files_folder(PACKAGE), program_path(sys.argv[0])
    names = (args.name,) if args.name else UNITS
    texts = [unit_text(folder, name, program) for name in names]
    if not args.name:
        texts = [f"# {DESTINATIONS[name]}\n{text}" for name, text in zip(names, texts, strict=True)]
    fault = _fault(program) if any(name.endswith(".service") for name in names) else ""
    if fault:  # a pager or a file shows the beginning, a terminal the end
        texts.insert(0, f"# {escaped(fault)}\n")
    emit_own("\n".join(texts))
    flush()
    if fault:
        say(f"{fault}; {_ELSEWHERE}", logging.WARNING)
    elif not args.name:
        for step in _NEXT:
            say(step)
    return Exit.OK


def _fault(program: str) -> str:
    """Return in a sentence why the services cannot start a program, or "". Its interpreter, too, must be seen."""
    for path in (program, os.path.realpath(sys.executable)):
        if why := _why_not(path):
            return f"the services cannot start {path}: {why}"
    return ""


def program_path(invoked: str) -> str:
    """Return the absolute path of the `reaper` command of this installation, links resolved.

    It is the one that was invoked, or, under `python -m reaper`, the one beside this interpreter; where there is none,
    the one that docs/systemd.md installs.
    """
    beside = os.path.join(sysconfig.get_path("scripts"), "reaper")
    for path in (invoked, beside):
        if os.path.basename(path) == "reaper" and os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.realpath(path)
    return USUAL_PROGRAM


def files_folder(package: Path) -> Path:
    """Return the directory that holds the files: that of a checkout, or the one where the wheel was unpacked."""
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "systemd").is_dir():
        return checkout / "systemd"
    for above in package.parents[:MAX_LEVELS]:
        if (above / IN_PREFIX).is_dir():
            return above / IN_PREFIX
    raise ReaperError(f"this installation has no {IN_PREFIX}: install reaper from its wheel")


def unit_text(folder: Path, name: str, program: str) -> str:
    """Return a file of `DESTINATIONS`, in which services start `program`. Raises ReaperError when it cannot be read."""
    path = folder / name
    if name not in (*UNITS, "reaper.sysusers", "reaper.toml"):
        path = folder / "reaper.service.d" / f"{name}.example"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReaperError(f"{path} cannot be read: {error.strerror}") from error
    return re.sub(rf"^(Exec\w+=){USUAL_PROGRAM}(?= )", lambda found: found[1] + _quoted(program), text, flags=re.M)


def _quoted(path: str) -> str:
    """Return a path as a word of a unit's command: quoted where systemd would read more into it (systemd.syntax(7))."""
    word = path.replace("%", "%%")  # specifiers
    return word if _PLAIN_PATH.fullmatch(word) else f'"{word}"'


def _why_not(program: str) -> str:
    """Return why the services cannot start a program, or ""."""
    if _REFUSED.search(program):
        return "systemd takes no quote, backslash or control character in the path of a program"
    return next((why for folder, why in HIDDEN.items() if program.startswith(f"{folder}/")), "")
