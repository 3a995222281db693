"""The pure heart: values, meanings of answers, decisions and the admission gate. No I/O, no clock, no randomness."""
