"""Properties are about what is computed, not about how fast: a busy machine is no counterexample, pytest's timeout is."""

from hypothesis import settings

settings.register_profile("reaper", deadline=None)
settings.load_profile("reaper")
