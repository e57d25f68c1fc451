-- The table that leat.yaml in this folder writes to. Create it in every shard:
--
--   psql "$PG_DSN_1" -f schema.sql && psql "$PG_DSN_2" -f schema.sql
--
-- fillfactor leaves room in each page, so that most updates stay on their page and change no index.
create table if not exists subscriptions (
    app_id          uuid,
    subscription_id uuid,
    properties      jsonb,
    last_active     timestamptz,
    session_count   int not null default 0,
    history         jsonb not null default '[]',
    primary key (app_id, subscription_id)
) with (fillfactor = 90);
