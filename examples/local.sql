-- The table that local.yaml in this folder writes to:
--
--   sqlite3 rows.db < examples/local.sql
--
-- leat reads the declared types as PostgreSQL's; docs/http.md lists them.
create table if not exists subscriptions (
    app_id          uuid not null,
    subscription_id uuid not null,
    properties      json,
    last_active     timestamptz,
    session_count   int4 not null default 0,
    history         json not null default '[]',
    primary key (app_id, subscription_id)
);
