"""The console: the snapshot it shows, its view and its rendering."""
