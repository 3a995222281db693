"""What `--json` prints and what log lines hold, key by key: the source of docs/json.md and docs/schemas/."""
