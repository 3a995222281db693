"""Every setting, where its value comes from, and what is checked. Imports nothing: `reaper health` loads little."""
