"""`reaper check`: the first steps of `run`, taken by the same functions and without a trace; what each finds."""
