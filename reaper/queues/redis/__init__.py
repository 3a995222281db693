"""The queue on Redis or Valkey: sorted sets and hashes, moved by scripts."""
