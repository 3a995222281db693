"""`reaper run`: the daemon."""

from __future__ import annotations

import argparse

from reaper.cli.common import loaded, open_writing, run_async
from reaper.settings_load import Loaded


def configure(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb="run")


def run(args: argparse.Namespace) -> int:
    return run_async(_run, loaded(args))


async def _run(loaded_settings: Loaded) -> int:
    from reaper.app import credentials_of
    from reaper.daemon import Daemon
    from reaper.telemetry import logs

    settings = loaded_settings.settings
    credentials = credentials_of(settings)
    logs.configure(settings.telemetry, secrets=credentials.secrets)
    async with open_writing(loaded_settings, worker=True) as queue:
        return await Daemon(loaded_settings, queue, credentials).run()
