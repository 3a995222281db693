"""From file, environment and flags to settings, with the origin of each value and one clear line for each mistake."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from reaper.core.errors import ConfigError
from reaper.core.urls import sqlite_url
from reaper.settings.cross_checks import CONTRADICTION, warnings
from reaper.settings.listen_address import CONFIG_VARIABLE, find_config, read_toml
from reaper.settings.reference import SettingSpec, sections, setting_specs
from reaper.settings.schema import Settings
from reaper.settings.state_dir import LEDGER, TOKEN_VARIABLE, locate_state

DEFAULT = "default"

FLAGS = {
    "worker.concurrency": "--concurrency",
    "queue.url": "--queue",
    "api.base_url": "--base-url",
    "api.token_file": "--token-file",
}

_PREFIX = "REAPER_"
_SERVICE_LINK = re.compile(r"REAPER_(?:SERVICE|PORT)(?:_|$)")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in effect.

    `origins` has every dotted key: `default`, `file PATH`, `environment NAME` or `flag NAME`; that of a `queue.url`
    nobody set begins with `default` and tells which state directory was taken.
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    config_path: Path | None


def load(
    config_path: str | Path | None,
    flags: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    *,
    flag: Callable[[str, object], str] | None = None,
) -> Loaded:
    """Return the settings in effect: file, overridden by `environ` (None: the process's own), overridden by `flags`.

    `flags` maps dotted keys to what was given; None stands for not given. `flag` names one of them, for its origin, by
    its key and value; None: as the command line has it. Raises ConfigError, one line per mistake.
    """
    flag = flag or _flag
    environ = os.environ if environ is None else environ
    path = find_config(config_path, environ)
    faults: list[str] = []
    layers: tuple[tuple[dict[str, Any], Callable[[str], str]], ...] = (
        (_inherited(environ), lambda _: f"environment {TOKEN_VARIABLE}"),
        (_from_file(path, faults), lambda _: f"file {path}"),
        (_from_environment(environ, faults), lambda key: f"environment {setting_specs()[key].variable}"),
        (_from_flags(flags, faults), lambda key: flag(key, flags[key])),
    )
    values: dict[str, Any] = {}
    origins = dict.fromkeys(setting_specs(), DEFAULT)
    for layer, origin_of in layers:
        values |= layer
        origins |= {key: origin_of(key) for key in layer}
    if values.get("queue.url", "") == "":
        folder, rule = locate_state(environ)
        values["queue.url"] = sqlite_url(folder / LEDGER)
        origins["queue.url"] = f"{DEFAULT}, {rule}"
    settings = _validated(values, origins, faults)
    if settings is None or faults:
        raise ConfigError("\n".join(faults))
    explicit = settings.api.token is not None and origins["api.token"] != f"environment {TOKEN_VARIABLE}"
    return Loaded(settings, origins, tuple(warnings(settings, explicit_token=explicit)), Path(path) if path else None)


# --- sources, each as dotted keys ---------------------------------------------------------------------------------


def _inherited(environ: Mapping[str, str]) -> dict[str, Any]:
    """The variable that all tools of this API know is weaker than a setting of this one."""
    token = environ.get(TOKEN_VARIABLE, "").strip()
    return {"api.token": token} if token else {}


def _from_file(path: str | None, faults: list[str]) -> dict[str, Any]:
    # Not read by TomlConfigSettingsSource: it takes a missing file for an empty one.
    found: dict[str, Any] = {}
    for section, table in ({} if path is None else read_toml(path)).items():
        if section not in sections():
            faults.append(_unknown(section, f"file {path}", [*sections(), *setting_specs()]))
        elif not isinstance(table, dict):
            faults.append(f"{section} must be a table, [{section}] (file {path})")
        else:
            found |= {f"{section}.{name}": value for name, value in table.items()}
    for key in found.keys() - setting_specs().keys():
        faults.append(_unknown(key, f"file {path}", setting_specs()))
        del found[key]
    return found


def _from_environment(environ: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    known = {knob.variable: knob for knob in setting_specs().values()}
    given = {name: value for name, value in environ.items() if name.startswith(_PREFIX) and name != CONFIG_VARIABLE}
    faults += [_unknown(name, "environment", known) for name in sorted(given.keys() - known.keys())]
    source = EnvSettingsSource(Settings)
    # Its own view is of the process's environment, whatever that holds.
    source.env_vars = {name.lower(): value for name, value in given.items() if name in known}
    return {f"{section}.{name}": value for section, table in source().items() for name, value in table.items()}


def _from_flags(flags: Mapping[str, object], faults: list[str]) -> dict[str, Any]:
    faults += [_unknown(key, "argument", setting_specs()) for key in flags.keys() - setting_specs().keys()]
    return {key: value for key, value in flags.items() if value is not None and key in setting_specs()}


def _flag(key: str, value: object) -> str:
    if key == "telemetry.log_level":
        return "flag -v" if value == "debug" else "flag -q"
    return f"flag {FLAGS.get(key, key)}"


# --- mistakes -----------------------------------------------------------------------------------------------------


def _unknown(name: str, where: str, known: Iterable[str]) -> str:
    """Return the sentence about an unknown key or variable; one that only lacks its section is nearest."""
    names = {one.lower(): one for one in known}
    asked = name.lower()
    by_tail = next((one for one in names if one.rpartition(".")[2] == asked.rpartition(".")[2]), None)
    nearest = names[by_tail or difflib.get_close_matches(asked, names, n=1, cutoff=0.0)[0]]
    what = "variable" if where == "environment" else "key"
    # Kubernetes gives every pod such variables for a Service that is called reaper.
    hint = "; set enableServiceLinks: false if Kubernetes made it" if _SERVICE_LINK.match(name) else ""
    return f"unknown {what} {_shown(name)} ({where}); the nearest known one is {nearest}{hint}"


def _shown(name: str) -> str:
    """Return a name from outside fit for a terminal."""
    return name if name.isprintable() and len(name) <= 80 else ascii(name[:80])


def _validated(values: Mapping[str, Any], origins: Mapping[str, str], faults: list[str]) -> Settings | None:
    """Return the settings, or None with a line for each value that is wrong."""
    tree: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        tree.setdefault(setting_specs()[key].section, {})[setting_specs()[key].name] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    told = set()
    for fault in errors:
        key = ".".join(map(str, fault["loc"][:2]))
        if fault["type"] == CONTRADICTION:
            for one, other, text in fault["ctx"]["faults"]:
                faults.append(f"{one} {text} ({one}: {origins[one]}; {other}: {origins[other]})")
        elif key not in told:
            told.add(key)
            faults.append(f"{key} {_must(fault, setting_specs()[key])} ({origins[key]})")
    return None


def _must(fault: Any, knob: SettingSpec) -> str:
    """Return what the value must be: our own validators' words, else what the knob allows. Never the library's."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return f"must be {knob.allowed}"
