"""Load the settings from file, environment and flags; record the origin of each value and report every mistake."""

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
from reaper.core.text import sanitize
from reaper.core.urls import sqlite_url
from reaper.settings.config_file import CONFIG_VARIABLE, find_config, read_toml
from reaper.settings.cross_checks import CONTRADICTION, warnings
from reaper.settings.reference import SettingSpec, sections, setting_specs
from reaper.settings.schema import Settings
from reaper.settings.state_dir import LEDGER, locate_state
from reaper.settings.token_source import TOKEN_VARIABLE

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

    `origins` has every dotted key: `default`, `file PATH`, `environment NAME` or `flag NAME`. Without a
    `queue.url` its origin begins with `default` and names the state directory in use.
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
    """Return the settings in effect: file, overridden by `environ`, overridden by `flags`.

    Args:
        config_path: the settings file; None: the usual places.
        flags: values by dotted key; None means not given.
        environ: None: the environment of the process.
        flag: returns the origin of a flag from its key and value; None: the options of the command line.

    Raises ConfigError, one line per mistake.
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
    unwise = tuple(warnings(settings.api, settings.queue, explicit_token=explicit))
    return Loaded(settings, origins, unwise, Path(path) if path else None)


# --- sources: values by dotted key --------------------------------------------------------------------------------


def _inherited(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the token of the variable that all tools of this API share; any setting of reaper overrides it."""
    token = environ.get(TOKEN_VARIABLE, "").strip()
    return {"api.token": token} if token else {}


def _from_file(path: str | None, faults: list[str]) -> dict[str, Any]:
    # TomlConfigSettingsSource would take a missing file for an empty one.
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
    known = {spec.variable: spec for spec in setting_specs().values()}
    given = {name: value for name, value in environ.items() if name.startswith(_PREFIX) and name != CONFIG_VARIABLE}
    faults += [_unknown(name, "environment", known) for name in sorted(given.keys() - known.keys())]
    source = EnvSettingsSource(Settings)
    # By default the source reads the environment of the process.
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
    """Return the sentence about an unknown key or variable. A key that only lacks its section is the nearest one."""
    names = {one.lower(): one for one in known}
    asked = name.lower()
    by_tail = next((one for one in names if one.rpartition(".")[2] == asked.rpartition(".")[2]), None)
    nearest = names[by_tail or difflib.get_close_matches(asked, names, n=1, cutoff=0.0)[0]]
    what = "variable" if where == "environment" else "key"
    # Kubernetes sets such variables in every pod if a Service is named reaper.
    hint = "; set enableServiceLinks: false if Kubernetes made it" if _SERVICE_LINK.match(name) else ""
    return f"unknown {what} {sanitize(name)} ({where}); the nearest known one is {nearest}{hint}"


def _validated(values: Mapping[str, Any], origins: Mapping[str, str], faults: list[str]) -> Settings | None:
    """Return the settings; or None, after adding a line to `faults` for each wrong value."""
    tree: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        tree.setdefault(setting_specs()[key].section, {})[setting_specs()[key].name] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    reported = set()
    for fault in errors:
        key = ".".join(map(str, fault["loc"][:2]))
        if fault["type"] == CONTRADICTION:
            for one, other, text in fault["ctx"]["faults"]:
                faults.append(f"{one} {text} ({one}: {origins[one]}; {other}: {origins[other]})")
        elif key not in reported:
            reported.add(key)
            faults.append(f"{key} {_must(fault, setting_specs()[key])} ({origins[key]})")
    return None


def _must(fault: Any, spec: SettingSpec) -> str:
    """Return the requirement: our validator's text, else the allowed values. Pydantic's text may show the value."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return f"must be {spec.allowed}"
