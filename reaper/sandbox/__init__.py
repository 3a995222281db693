"""A local stand-in for the API, for the demo, tests and rehearsals. No other room of reaper imports it."""

from reaper.sandbox.faults import Behaviour, Mode
from reaper.sandbox.latency import Latency
from reaper.sandbox.listing import ListFault
from reaper.sandbox.recorder import Counters, Delete
from reaper.sandbox.server import DEFAULT_TOKEN, Sandbox
from reaper.sandbox.session_mix import session_mix
from reaper.sandbox.sessions import Session, generate
from reaper.sandbox.thread import RunningSandbox, running_sandbox

__all__ = [
    "DEFAULT_TOKEN",
    "Behaviour",
    "Counters",
    "Delete",
    "Latency",
    "ListFault",
    "Mode",
    "RunningSandbox",
    "Sandbox",
    "Session",
    "generate",
    "running_sandbox",
    "session_mix",
]
