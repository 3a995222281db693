-- What each transaction sets for itself, and where the tables are.

-- name: SETTINGS
set_config('statement_timeout', %(statement)s, true),
    set_config('lock_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', %(idle)s, true),
    set_config('search_path', coalesce(%(path)s, current_setting('search_path')), true),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'off' THEN 'local' ELSE current_setting('synchronous_commit') END, true),
    -- It turns the trigger off that counts. Only a superuser may change it: another role's transaction ends here.
    CASE current_setting('session_replication_role') WHEN 'replica'
        THEN set_config('session_replication_role', 'origin', true) END,
    set_config('row_security', 'on', true),
    set_config('standard_conforming_strings', 'on', true),
    set_config('array_nulls', 'on', true),
    set_config('transform_null_equals', 'off', true),
    set_config('extra_float_digits', '1', true),
    set_config('DateStyle', 'ISO, MDY', true),
    set_config('IntervalStyle', 'postgres', true),
    set_config('TimeZone', 'UTC', true),
    set_config('bytea_output', 'hex', true)

-- name: set
SELECT {SETTINGS}

-- From version 17 on.
-- name: set_newest
SELECT set_config('transaction_timeout', '0', true), {SETTINGS}

-- name: find_tables
SELECT current_setting('search_path'), (
    SELECT quote_ident(n.nspname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass('reaper_setting')
)
