"""Find and read the settings file, with the standard library only: `reaper health` runs every few seconds."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from reaper.core.errors import ConfigError, UsageError
from reaper.core.files import read_regular
from reaper.core.text import sanitize
from reaper.settings.user_dirs import base_dir

DEFAULT_CONFIG = "/etc/reaper/reaper.toml"
"""The machine's settings file: read if no other is named and the user has none."""
FILE_NAME = "reaper.toml"

MAX_BYTES = 4 * 1024 * 1024
CONFIG_VARIABLE = "REAPER_CONFIG"
PROFILE_VARIABLE = "REAPER_PROFILE"

_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class Place(NamedTuple):
    """A place where a settings file may be. `fault`: why the operating system does not let us see it."""

    rule: str
    """`--config`, `$REAPER_CONFIG`, `user` or `machine`."""
    path: str
    exists: bool
    fault: str = ""


class Search(NamedTuple):
    """The search for the settings file: every place that was looked at, in this order, and the file in use."""

    places: tuple[Place, ...] = ()
    used: str | None = None
    profile: str | None = None

    @property
    def hidden(self) -> str | None:
        """Return the machine's settings file where the user's one is read instead of it, else None."""
        for user, machine in pairwise(self.places):
            if user.path == self.used and machine.exists:
                return machine.path
        return None

    @property
    def unseen(self) -> str | None:
        """Return a sentence about the user's file where it was passed over because it cannot be seen, else None."""
        for place in self.places:
            if place.rule == "user" and place.fault:
                return f"{place.path} cannot be seen and is passed over ({place.fault}); to name a file: --config"
        return None


def find_config(
    config_path: str | os.PathLike[str] | None, environ: Mapping[str, str], profile: str | None = None
) -> Search:
    """Look for the settings file: the given path, else $REAPER_CONFIG, else the user's one, else the machine's.

    A profile (None: that of the environment) replaces the name of the last two, and then one of them must exist.

    Raises ConfigError for a profile without a file, and when the operating system does not let us see whether the
    machine's file exists; UsageError when both a path and a profile are given.
    """
    name = profile_of(profile, environ)
    if named := _named(config_path, environ, profile):
        rule, path = named
        return Search((Place(rule, path, os.path.exists(path)),), path)
    places = tuple(_usual_places(environ, name))
    used = next((place.path for place in places if place.exists), None)
    if name and used is None:
        looked = " nor ".join(place.path for place in places)
        raise ConfigError(
            f"the profile {name} has no settings file: there is neither {looked}; to write one: "
            f"reaper config init --profile {name}"
        )
    return Search(places, used, name)


def profile_of(given: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the profile in use: the given one, else that of the environment, else None.

    Raises UsageError for a given name, ConfigError for a variable, that is not a word of letters, digits, - and _.
    """
    name = given if given is not None else environ.get(PROFILE_VARIABLE) or None
    if name is None or (_PROFILE.fullmatch(name) and f"{name}.toml" != FILE_NAME):
        return name
    fault = f"{sanitize(name)!r} names no profile: at most 64 letters, digits, - and _ do, but not 'reaper'"
    raise UsageError(f"--profile: {fault}") if given is not None else ConfigError(f"{PROFILE_VARIABLE}: {fault}")


def path_for_new(
    config_path: str | os.PathLike[str] | None, environ: Mapping[str, str], profile: str | None, *, machine: bool
) -> str:
    """Return the path at which `find_config` finds a new file: a named one, else the machine's or the user's."""
    if named := _named(config_path, environ, profile):
        return named[1]
    name = profile_of(profile, environ)
    return machine_config(name) if machine else user_config(environ, name)


def user_config(environ: Mapping[str, str], profile: str | None = None) -> str:
    """Return the path of the user's settings file, whether it exists or not. Raises ConfigError when there is none."""
    folder = base_dir(environ, "XDG_CONFIG_HOME", ".config", "name the settings file with --config")
    return os.path.join(folder, "reaper", _file_name(profile))


def machine_config(profile: str | None = None) -> str:
    """Return the path of the machine's settings file, whether it exists or not."""
    return os.path.join(os.path.dirname(DEFAULT_CONFIG), _file_name(profile)) if profile else DEFAULT_CONFIG


def _file_name(profile: str | None) -> str:
    return f"{profile}.toml" if profile else FILE_NAME


def _named(
    config_path: str | os.PathLike[str] | None, environ: Mapping[str, str], profile: str | None
) -> tuple[str, str] | None:
    """Return the rule and the path of a file that is named as such, None where none is. Raises as `find_config`."""
    name = profile_of(profile, environ)
    if config_path:
        if name:
            raise UsageError(
                f"--config names a file, and the profile {name} is one, too: leave one of them out"
                + ("" if profile else f" ({PROFILE_VARIABLE} is set)")
            )
        return "--config", os.fspath(config_path)
    variable = environ.get(CONFIG_VARIABLE)
    if not variable or profile:
        return None
    if name:
        raise ConfigError(f"{CONFIG_VARIABLE} and {PROFILE_VARIABLE} both name a settings file: unset one of them")
    return f"${CONFIG_VARIABLE}", variable


def _usual_places(environ: Mapping[str, str], profile: str | None) -> Iterator[Place]:
    found = False
    try:  # an account without a home directory has no file there
        path = user_config(environ, profile)
    except ConfigError:
        if environ.get("XDG_CONFIG_HOME"):
            raise
    else:
        found, fault = _see(path)
        yield Place("user", path, found, fault)
    path = machine_config(profile)
    exists, fault = _see(path)
    if fault and not found:
        raise ConfigError(f"{path} cannot be read: {fault}; name another file with --config")
    yield Place("machine", path, exists, fault)


def _see(path: str) -> tuple[bool, str]:
    """Return whether a file exists, and why that cannot be seen."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False, ""
    except OSError as error:
        return False, error.strerror or str(error)
    return True, ""


def read_toml(path: str) -> dict[str, object]:
    """Return the tables of a TOML file. Raises ConfigError that names the file and, for a mistake in it, the line."""
    import tomllib

    try:
        # Editors of Windows begin a file with a byte order mark.
        return tomllib.loads(read_regular(path, MAX_BYTES).removeprefix(codecs.BOM_UTF8).decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 (byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        fault = f"is not TOML: {error}"
    except RecursionError:
        fault = "is nested too deeply"
    # Raised outside of the handler: the parser's exception may hold the whole text, secrets included.
    raise ConfigError(f"the settings file {path} {fault}")
