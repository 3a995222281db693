"""Load the settings from file, environment and flags; record the origin of each value and report every mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from reaper.core.errors import ConfigError
from reaper.core.suggest import nearest, suggestion
from reaper.core.text import sanitize
from reaper.core.times import DURATION_EXAMPLES
from reaper.core.urls import sqlite_url
from reaper.settings.config_file import CONFIG_VARIABLE, PROFILE_VARIABLE, Search, find_config, read_toml
from reaper.settings.cross_checks import CONTRADICTION, warnings
from reaper.settings.exposure import exposures
from reaper.settings.reference import SettingSpec, sections, setting_specs
from reaper.settings.schema import Settings
from reaper.settings.state_dir import LEDGER, locate_state
from reaper.settings.token_source import TOKEN_VARIABLE, file_of_token

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
    search: Search

    @property
    def config_path(self) -> Path | None:
        """Return the settings file in use."""
        return Path(self.search.used) if self.search.used else None

    @property
    def profile(self) -> str | None:
        """Return the profile in use."""
        return self.search.profile


def load(
    config_path: str | Path | None,
    flags: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    *,
    profile: str | None = None,
    flag: Callable[[str, object], str] | None = None,
) -> Loaded:
    """Return the settings in effect: file, overridden by `environ`, overridden by `flags`.

    Args:
        config_path: the settings file; None: the usual places.
        flags: values by dotted key; None means not given.
        environ: None: the environment of the process.
        profile: the name of the settings file and of a state directory of its own; None: that of the environment.
        flag: returns the origin of a flag from its key and value; None: the options of the command line.

    Raises ConfigError, one line per mistake.
    """
    flag = flag or _flag
    environ = os.environ if environ is None else environ
    search = find_config(config_path, environ, profile)
    path = search.used
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
        folder, rule = locate_state(environ, search.profile)
        values["queue.url"] = sqlite_url(folder / LEDGER)
        origins["queue.url"] = f"{DEFAULT}, {rule}"
    settings = _validated(values, origins, faults)
    if settings is None or faults:
        raise ConfigError("\n".join(faults))
    explicit = settings.api.token is not None and origins["api.token"] != f"environment {TOKEN_VARIABLE}"
    token_file = file_of_token(settings.api, environ)
    unwise = (
        *filter(None, (search.unseen,)),
        *warnings(settings.api, settings.queue, explicit_token=explicit),
        *exposures(settings, origins, path, None if token_file is None else str(token_file)),
    )
    return Loaded(settings, origins, unwise, search)


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
    places = (CONFIG_VARIABLE, PROFILE_VARIABLE)
    given = {name: value for name, value in environ.items() if name.startswith(_PREFIX) and name not in places}
    faults += [_unknown(name, "environment", (*known, *places)) for name in sorted(given.keys() - known.keys())]
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
    if key == "telemetry.log_format":
        return "flag --json"
    return f"flag {FLAGS.get(key, key)}"


# --- mistakes -----------------------------------------------------------------------------------------------------


def _unknown(name: str, where: str, known: Iterable[str]) -> str:
    """Return the sentence about an unknown key or variable, with the known one that is near, if any is."""
    near = nearest(name, known)
    meant = f"the nearest known one is {near}" if near else "`reaper config schema` lists all that are known"
    what = "variable" if where == "environment" else "key"
    # Kubernetes sets such variables in every pod if a Service is named reaper.
    hint = "; set enableServiceLinks: false if Kubernetes made it" if _SERVICE_LINK.match(name) else ""
    return f"unknown {what} {sanitize(name)} ({where}); {meant}{hint}"


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
            spec = setting_specs()[key]
            near = suggestion(str(values[key]), spec.choices)
            faults.append(f"{key} {_must(fault, spec)} ({origins[key]}){near}")
    return None


def _must(fault: Any, spec: SettingSpec) -> str:
    """Return the requirement: our validator's text, else the allowed values. Pydantic's text may show the value."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    forms = f", in seconds or as text such as {', '.join(DURATION_EXAMPLES)}" if spec.is_duration else ""
    return f"must be {spec.allowed}{forms}"
