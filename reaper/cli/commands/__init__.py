"""The commands, one file a verb or family: parse, call `app`, print."""
