"""Values, the meaning of answers, decisions and the admission gate. Pure: no I/O, clock, randomness or logging."""
