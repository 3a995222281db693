"""Deterministic simulation: the real reaper in one thread on a virtual clock, in a world whose faults come from a seed.

`docs/simulation.md` says what is modelled and what is not.
"""
