"""Properties are about what is computed, not how fast: a busy machine is no counterexample; pytest has its timeout."""

from hypothesis import settings

settings.register_profile("reaper", deadline=None)
settings.load_profile("reaper")
