"""Settings: schema, loading and checks. Imports nothing: `reaper health` loads the standard library only."""
