"""A local stand-in for the API, for the demo, tests and rehearsals. No other room of reaper imports it."""
