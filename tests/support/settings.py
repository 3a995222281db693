"""Settings as they are loaded from a file, an environment and flags, and how they are refused."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from reaper.core.errors import ConfigError, Exit
from reaper.settings.load import Loaded, load

HOME = {"HOME": "/home/me"}
DURATION = "must be a duration above 0 to 1h, in seconds or as text such as 45s, 1h30m, 30d"
SECRET = "archal_ws_do not show"


def loaded(environ: dict[str, str], **flags: object) -> Loaded:
    return load(None, {key.replace("__", "."): value for key, value in flags.items()}, HOME | environ)


def refused(config: Path | None = None, environ: dict[str, str] | None = None) -> list[str]:
    """Return the lines of the error; none of its faces shows the secret."""
    with pytest.raises(ConfigError) as caught:
        load(config, {}, HOME | (environ or {}))
    error = caught.value
    assert error.exit_code == Exit.CONFIG
    faces = [str(error), repr(error), "".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen := (seen.__cause__ or seen.__context__) if seen else None:
        faces += [str(seen), repr(seen), repr(vars(seen))]
    assert not any(SECRET in face or "do not show" in face for face in faces)
    return str(error).splitlines()
