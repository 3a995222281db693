"""Makes a ghost old enough: two sightings of one must lie a minute apart."""

from __future__ import annotations

import json
import sqlite3

from tests.support.eventually import eventually
from tests.support.processes.command import Command


def age_the_ghosts(command: Command, ghost: str = "env_ghost") -> None:
    def aged() -> bool:
        with sqlite3.connect(command.ledger) as ledger:
            row = ledger.execute("SELECT value FROM setting WHERE name = 'note.ghosts'").fetchone()
            value = json.loads(row[0]) if row else {"first": {}}
            value["first"] = {one: at - 61 for one, at in value["first"].items()}
            ledger.execute("UPDATE setting SET value = ? WHERE name = 'note.ghosts'", (json.dumps(value),))
        ledger.close()
        return ghost in value["first"]

    eventually(aged)
