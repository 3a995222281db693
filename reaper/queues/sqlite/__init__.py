"""The embedded queue: one SQLite file, written by one thread of the process."""
