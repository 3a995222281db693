-- name: write_owner
INSERT INTO reaper_owner AS o (owner, pid, started_at, seen_at, told_at, "limit", pauses)
VALUES (%(owner)s, %(pid)s, coalesce(to_timestamp(%(started)s::float8), {NOW}), {NOW},
    CASE WHEN %(limit)s::integer IS NOT NULL THEN {NOW} END, %(limit)s, %(pauses)s)
ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at, told_at = coalesce(excluded.told_at, o.told_at),
    "limit" = coalesce(excluded."limit", o."limit"),
    pauses = CASE WHEN excluded.told_at IS NULL THEN o.pauses ELSE excluded.pauses END

-- name: drop_owner
DELETE FROM reaper_owner WHERE owner = %(owner)s
