"""Pure discovery: reading the list, policy, guards, holds, sightings and ghosts."""
