-- Schema leat: what a shard keeps about the log, and the functions that make a batch exactly-once.
--
-- docs/design/progress.md has the reasons, and the failure that each rule prevents.
--
-- PostgreSQL 15 or later. Idempotent: run it as one transaction (a single simple query is one) to make or update the
-- schema. A schema of a newer version is left alone with an error (LT005).
--
-- Calls of a worker, each in READ COMMITTED (where that is not the session's default, the transaction begins with SET
-- transaction_isolation), never under a savepoint or an EXCEPTION block (a rollback to either gives up the advisory
-- lock while the transaction goes on):
--
--   claim    one transaction: BEGIN, leat.take, leat.rows, leat.parked_totals, COMMIT; its results are not used before
--            COMMIT is acknowledged. A new claim ends all older ones.
--   batch    one transaction, best a pipeline with one Sync: leat.advance for each partition, ascending; then the row
--            statements, each but the first after leat.plan_rows, or the INSERT of one dead letter.
--   park     a batch of one partition whose records are not applied but kept: leat.park for each chunk instead of rows.
--   unpark   a batch of records from chunks of one subpartition: leat.unpark before the rows. Its progress names no
--            subpartition: the park has moved it already.
--   load     one statement: leat.load.
--   hold     a batch whose records are kept as those of held keys: leat.hold or leat.keep_held before its rows.
--   note     a batch with records that have an idempotency key: leat.note_keys before its rows, after all of the above; then,
--            where it leaves out repeats, leat.check_repeats.
--   retry    no worker's: one transaction, leat.retry, leat.held_records, then their rows or dead letters, leat.retried.
--   compact  one statement: leat.compact.
--
-- And of an edge, for a write that is not in the log: one transaction, leat.write_now, leat.note_keys_now if it has an idempotency
-- key, then its row statement.
--
-- Their own errors:
--
--   LT001  fenced: another worker has claimed the partition (or it does not exist). DETAIL is the partition's number.
--   LT002  the database went back: a commit that had been acknowledged is lost. DETAIL is the partition's number.
--   LT003  the transaction is not READ COMMITTED.
--   LT004  the partition does not exist: `leat init` has not been run for it. DETAIL is the partition's number.
--   LT005  the schema is of a newer version than this file.
--   LT006  a table has triggers that the statement was not made for: read the table again.
--   LT007  a key is not held, or it is, and the worker believes the opposite; or a write that is not in the log comes under a
--          control. DETAIL is its partition and hash.
--   LT008  a row statement touched fewer rows than it must: a BEFORE trigger returned NULL, or another session was faster.
--   LT009  a chunk is not what the worker believes. DETAIL is the partition's number.
--   LT010  records of a batch repeat writes that are applied. DETAIL says which: see leat.note_keys.
--   LT011  leat.modes does not let this write through: its key goes another way, or is about to.
--   LT012  records that a batch leaves out as repeats are none any more. DETAIL says which: see leat.check_repeats.
--
-- Advisory locks, all with two ints and held until the end of the transaction:
--
--   (1818583412 # source, partition)  batches and compactions share it, a claim has it alone. 1818583412 is the text
--                                     'leat' as a number, so that the keys do not collide with other programs'.
--   (1818583412 # source, -1 - version) writes that go to the database by this version of leat.modes share it; the next change
--                                     has it alone, to see that they are over.
--   (1818583412, -1)                  one `leat init` at a time.
--   (1818583412, -2)                  one leat.rotate_keys at a time.
--   (1818583412, -3)                  whoever notes idempotency keys shares it; who opens a slot has it alone.
--   (1818583412, 0 and above)         one write at a time that is not in the log, of those with one idempotency key: a hash of it.

SELECT pg_advisory_xact_lock(1818583412, -1);

CREATE SCHEMA IF NOT EXISTS leat;

CREATE TABLE IF NOT EXISTS leat.schema_version (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version int NOT NULL
);

INSERT INTO leat.schema_version (version) VALUES (9) ON CONFLICT DO NOTHING;

DO $$
DECLARE
    found_version int := (SELECT version FROM leat.schema_version);
BEGIN
    IF found_version > 9 THEN
        RAISE EXCEPTION 'schema leat has version %, this program knows version 9', found_version
            USING ERRCODE = 'LT005', HINT = 'Use a newer leat.';
    END IF;
    UPDATE leat.schema_version SET version = 9 WHERE version < 9;
END
$$;

-- The meaning of offsets: the log they belong to and the placement of its records. One row per topic.
CREATE TABLE IF NOT EXISTS leat.sources (
    id            int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    log_identity  text NOT NULL,            -- Kafka: the cluster id
    topic         text NOT NULL UNIQUE,
    topic_id      text NOT NULL,
    layout        jsonb NOT NULL,           -- {"partitions": 4, "shards": [{"name": "a", "first": 0, "count": 2}, ...]}
    subpartitions int NOT NULL CHECK (subpartitions BETWEEN 1 AND 32767),
    hash          text NOT NULL,
    -- The rule by which a record has its subpartition (docs/record-format.md). 1: by the key's hash. 2: the same where
    -- there is no window, else the tenant's window.
    placement       int NOT NULL DEFAULT 1,
    tenant_window   int NOT NULL DEFAULT 0,  -- subpartitions of a tenant; 0: as many as there are
    tenant_position int NOT NULL DEFAULT -1, -- of the tenant among the parts of the key; -1: none
    -- The lifetime of idempotency keys, as its processes have it: see leat.rotate_keys.
    idempotency_ms  bigint NOT NULL DEFAULT 0
);

-- From version 4.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                    WHERE attrelid = 'leat.sources'::regclass AND attname = 'placement' AND NOT attisdropped) THEN
        ALTER TABLE leat.sources ADD COLUMN placement int NOT NULL DEFAULT 1,
                                 ADD COLUMN tenant_window int NOT NULL DEFAULT 0,
                                 ADD COLUMN tenant_position int NOT NULL DEFAULT -1;
    END IF;
END
$$;

-- From version 6.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                    WHERE attrelid = 'leat.sources'::regclass AND attname = 'idempotency_ms' AND NOT attisdropped) THEN
        ALTER TABLE leat.sources ADD COLUMN idempotency_ms bigint NOT NULL DEFAULT 0;
    END IF;
END
$$;

-- The shard (index into the layout's shards) of each tenant hash slot.
CREATE TABLE IF NOT EXISTS leat.tenant_slots (
    source int NOT NULL REFERENCES leat.sources (id) ON DELETE CASCADE,
    slot   int NOT NULL,
    shard  int NOT NULL,
    PRIMARY KEY (source, slot)
);

-- One row per partition of this shard; changed by claims and compactions only, read by every batch. Half-filled pages
-- keep those changes out of the index.
CREATE TABLE IF NOT EXISTS leat.partitions (
    source       int NOT NULL REFERENCES leat.sources (id) ON DELETE CASCADE,
    partition    int NOT NULL CHECK (partition >= 0),
    claim        uuid NOT NULL DEFAULT gen_random_uuid(),
    epoch        bigint NOT NULL DEFAULT 0, -- counts claims, for people; a failover can hand out a number twice
    base_seq     bigint NOT NULL DEFAULT 0, -- every batch up to here is in base_offsets
    base_offsets bigint[] NOT NULL,         -- one per subpartition; -1: nothing yet
                                            -- "Applied" means here and below: in the tables, kept as a dead letter, or parked
    low          bigint NOT NULL DEFAULT -1,-- everything up to this offset is applied, whether or not it has a record
    newest       bigint NOT NULL DEFAULT -1,-- offset of the highest record that is applied, as of base_seq; -1: none was ever applied
    newest_at_ms bigint NOT NULL DEFAULT 0, -- its timestamp, to recognise another log; 0: unknown
    newest_epoch int NOT NULL DEFAULT -1,   -- its leader epoch, to recognise a log that was cut off and rewritten; -1: unknown
    PRIMARY KEY (source, partition)
) WITH (fillfactor = 50);

-- Insert-only: one row per batch and partition, kept until a compaction moves base_seq past it. No foreign key: it would
-- lock the partition's row in every batch.
CREATE TABLE IF NOT EXISTS leat.progress (
    source        int NOT NULL,
    partition     int NOT NULL,
    seq           bigint NOT NULL,
    subpartitions smallint[] NOT NULL,
    offsets       bigint[] NOT NULL,        -- where each of those subpartitions is after the batch
    newest_at_ms  bigint NOT NULL DEFAULT 0,-- timestamp of the record at the greatest of these
    newest_epoch  int NOT NULL DEFAULT -1,  -- its leader epoch
    PRIMARY KEY (source, partition, seq),
    CONSTRAINT progress_pairs CHECK (cardinality(subpartitions) = cardinality(offsets))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1);

-- A journal row stays in one piece, and what a compaction writes stays out of the row that every batch reads.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_attribute
                WHERE attrelid = 'leat.progress'::regclass AND attname IN ('subpartitions', 'offsets') AND attstorage <> 'm') THEN
        ALTER TABLE leat.progress ALTER COLUMN subpartitions SET STORAGE MAIN, ALTER COLUMN offsets SET STORAGE MAIN;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_attribute
                WHERE attrelid = 'leat.partitions'::regclass AND attname = 'base_offsets' AND attstorage <> 'e') THEN
        ALTER TABLE leat.partitions ALTER COLUMN base_offsets SET STORAGE EXTERNAL;
    END IF;
END
$$;

-- From version 2: there the newest record was the one at `low`. Functions whose form has changed are dropped. Only this step
-- locks a table against batches; an `init` of a current schema runs beside them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_attribute
                WHERE attrelid = 'leat.partitions'::regclass AND attname = 'low_at_ms' AND NOT attisdropped) THEN
        ALTER TABLE leat.progress ADD COLUMN newest_at_ms bigint NOT NULL DEFAULT 0,
                                  ADD COLUMN newest_epoch int NOT NULL DEFAULT -1;
        ALTER TABLE leat.partitions ADD COLUMN newest bigint NOT NULL DEFAULT -1,
                                    ADD COLUMN newest_at_ms bigint NOT NULL DEFAULT 0,
                                    ADD COLUMN newest_epoch int NOT NULL DEFAULT -1;
        UPDATE leat.partitions SET newest = low, newest_at_ms = low_at_ms;
        ALTER TABLE leat.partitions DROP COLUMN low_at_ms;
        DROP FUNCTION IF EXISTS leat.claim(int, int, int), leat.rows(int, int),
            leat.advance(int, int, uuid, bigint, smallint[], bigint[], bigint[], int),
            leat.compact(int, int, uuid, bigint, bigint[], bigint, bigint, bigint[], int);
    END IF;
END
$$;

-- A role that may write leat.progress may write a table that is made later, too.
CREATE OR REPLACE FUNCTION leat.grant_as_progress(p_table regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog
AS $$
DECLARE
    allowed record;
BEGIN
    FOR allowed IN
        SELECT a.grantee, a.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS a
         WHERE c.oid = 'leat.progress'::regclass AND a.grantee <> c.relowner
           AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', allowed.privilege_type, p_table,
                       CASE allowed.grantee WHEN 0 THEN 'PUBLIC' ELSE allowed.grantee::regrole::text END);
    END LOOP;
END
$$;

-- Tenants that have their shard by an entry of their own, and not by their slot. The layout has their number and a digest.
DO $$
BEGIN
    IF to_regclass('leat.tenants') IS NULL THEN
        CREATE TABLE leat.tenants (
            source int NOT NULL REFERENCES leat.sources (id) ON DELETE CASCADE,
            tenant text COLLATE "C" NOT NULL,-- as it stands in a key: canonical, percent-encoded
            shard  int NOT NULL,             -- index into the layout's shards
            PRIMARY KEY (source, tenant)
        );
        PERFORM leat.grant_as_progress('leat.tenants');
    END IF;
END
$$;

-- Records that could not be applied for the time being, in the order of the log: progress has passed them, and what follows
-- in their subpartition waits behind them. One row is a chunk. Chunks of a subpartition do not overlap and are emptied from
-- the lowest on; only the lowest may be emptied in part, which moves `done` and leaves the bytes as they are. Changed under
-- the partition's claim only, by batches. The bytes are compressed already.
DO $$
BEGIN
    IF to_regclass('leat.parked') IS NULL THEN
        CREATE TABLE leat.parked (
            source       int NOT NULL,
            partition    int NOT NULL,
            subpartition smallint NOT NULL,
            first_offset bigint NOT NULL,
            last_offset  bigint NOT NULL,
            done         bigint NOT NULL,    -- its records up to this offset are in the tables, or dead letters
            records      int NOT NULL,       -- the others
            oldest_ms    bigint NOT NULL,    -- the smallest timestamp when it was parked
            codec        int NOT NULL,       -- the form of its bytes
            chunk        bytea NOT NULL,
            PRIMARY KEY (source, partition, subpartition, first_offset),
            CONSTRAINT parked_done CHECK (done >= first_offset - 1 AND done < last_offset),
            CONSTRAINT parked_records CHECK (records > 0)
        ) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
                autovacuum_vacuum_insert_threshold = -1, toast.autovacuum_vacuum_scale_factor = 0,
                toast.autovacuum_vacuum_threshold = 20000, toast.autovacuum_vacuum_insert_threshold = -1);
        ALTER TABLE leat.parked ALTER COLUMN chunk SET STORAGE EXTERNAL;
        PERFORM leat.grant_as_progress('leat.parked');
    END IF;
END
$$;

-- Keys whose records are kept until the first of them can be applied, or a person decides. What follows a refused record of
-- such a key is kept behind it, in the order of the log, and the other keys of its subpartition go on. A key is known by its
-- `hash`, of table and key. Two that share one would share a row, which holds more than it must and breaks no order.
--
-- Only the partition's owner adds, in batches, so that it is right whenever it takes a key for not held. Only retries take away.
-- They have no claim, and so "held" may be out of date. The row of the key orders the two: who adds a record has a KEY SHARE lock
-- on it, who takes some away has NO KEY UPDATE and does not disturb that, and who removes the row itself has UPDATE.
DO $$
BEGIN
    IF to_regclass('leat.held') IS NULL THEN
        CREATE TABLE leat.held (
            source    int NOT NULL,
            partition int NOT NULL,
            hash      bigint NOT NULL,
            "table"   text NOT NULL,         -- with its schema
            key       bytea NOT NULL,        -- in the form of the log's keys
            since     timestamptz NOT NULL DEFAULT clock_timestamp(),
            at        timestamptz NOT NULL DEFAULT clock_timestamp(),
            tries     int NOT NULL DEFAULT 0,-- since then, as of `at`
            sqlstate  text,                  -- of the last refusal; NULL: leat itself could not make sense of the record
            message   text NOT NULL,         -- '', and then sqlstate too: its first record has not been refused yet
            PRIMARY KEY (source, partition, hash)
        ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
        CREATE TABLE leat.parked_keys (
            source      int NOT NULL,
            partition   int NOT NULL,
            hash        bigint NOT NULL,
            "offset"    bigint NOT NULL,
            accepted_ms bigint NOT NULL,     -- its timestamp, any number
            codec       int NOT NULL,        -- as in leat.parked: a chunk with one record
            record      bytea NOT NULL,
            PRIMARY KEY (source, partition, hash, "offset"),
            CONSTRAINT parked_keys_held FOREIGN KEY (source, partition, hash) REFERENCES leat.held
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_threshold = -1,
                toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 20000,
                toast.autovacuum_vacuum_insert_threshold = -1);
        ALTER TABLE leat.parked_keys ALTER COLUMN record SET STORAGE EXTERNAL;
        PERFORM leat.grant_as_progress('leat.held'), leat.grant_as_progress('leat.parked_keys');
    END IF;
END
$$;

-- A partition is not forgotten while it has parked records or held keys: their records are nowhere else.
CREATE OR REPLACE FUNCTION leat.keep_parked()
RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog
AS $$
BEGIN
    IF EXISTS (SELECT FROM leat.parked AS c WHERE c.source = OLD.source AND c.partition = OLD.partition) THEN
        RAISE EXCEPTION 'partition % of source % has parked records, which are nowhere else', OLD.partition, OLD.source
            USING ERRCODE = 'restrict_violation', HINT = 'Let them be applied, or delete them from leat.parked to give them up.';
    END IF;
    IF EXISTS (SELECT FROM leat.held AS h WHERE h.source = OLD.source AND h.partition = OLD.partition) THEN
        RAISE EXCEPTION 'partition % of source % has held keys, whose records are nowhere else', OLD.partition, OLD.source
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Let them be applied, or delete them from leat.parked_keys and leat.held to give them up.';
    END IF;
    RETURN OLD;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger
                    WHERE tgrelid = 'leat.partitions'::regclass AND tgname = 'keep_parked') THEN
        CREATE TRIGGER keep_parked BEFORE DELETE ON leat.partitions FOR EACH ROW EXECUTE FUNCTION leat.keep_parked();
    END IF;
END
$$;

-- Records that were refused for good, with the reason; written in the transaction that moves their progress, deleted
-- only by people. The record is kept as bytes, because it may not be valid text; route and op are NULL when the record
-- does not have them and they are not known, or when they are not valid text.
CREATE TABLE IF NOT EXISTS leat.dead_letters (
    source      int NOT NULL,
    partition   int NOT NULL,
    "offset"    bigint NOT NULL,
    route       text,
    key         bytea,
    op          text,
    headers     jsonb,
    body        bytea,
    sqlstate    text,                       -- NULL: leat itself could not make sense of it
    message     text NOT NULL,
    accepted_at timestamptz NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    control     bigint,                     -- the control that skipped it; NULL: it was refused
    PRIMARY KEY (source, partition, "offset")
);

-- The newest first, however many there are.
DO $$
BEGIN
    IF to_regclass('leat.dead_letters_at') IS NULL THEN
        CREATE INDEX dead_letters_at ON leat.dead_letters (source, at);
    END IF;
END
$$;

-- From version 4: no control skipped records there.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                    WHERE attrelid = 'leat.dead_letters'::regclass AND attname = 'control' AND NOT attisdropped) THEN
        ALTER TABLE leat.dead_letters ADD COLUMN control bigint;
    END IF;
    IF to_regclass('leat.dead_letters_control') IS NULL THEN
        CREATE INDEX dead_letters_control ON leat.dead_letters (source, partition, control, "offset")
         WHERE control IS NOT NULL;
    END IF;
END
$$;

-- Dead letters that people have deleted. Without its dead letter a record looks as if it had been applied, and only
-- `leat verify` asks for the difference. Kept for each deletion, however it is done; those that a control's newest ones
-- replace (leat.keep_skipped) are no deletions. The trigger acts as its owner, because who may delete need not be leat.
DO $$
BEGIN
    IF to_regclass('leat.removed_letters') IS NULL THEN
        CREATE TABLE leat.removed_letters (
            source    int NOT NULL,
            partition int NOT NULL,
            "offset"  bigint NOT NULL,
            at        timestamptz NOT NULL DEFAULT clock_timestamp(),
            by_role   text NOT NULL DEFAULT session_user,
            PRIMARY KEY (source, partition, "offset")
        );
        PERFORM leat.grant_as_progress('leat.removed_letters');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION leat.note_removed()
RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO leat.removed_letters (source, partition, "offset")
        SELECT d.source, d.partition, d."offset" FROM leat.dead_letters AS d WHERE d.control IS NULL
        ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO leat.removed_letters (source, partition, "offset") VALUES (OLD.source, OLD.partition, OLD."offset")
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger
                    WHERE tgrelid = 'leat.dead_letters'::regclass AND tgname = 'note_removed') THEN
        CREATE TRIGGER note_removed AFTER DELETE ON leat.dead_letters
            FOR EACH ROW WHEN (OLD.control IS NULL) EXECUTE FUNCTION leat.note_removed();
        CREATE TRIGGER note_truncated BEFORE TRUNCATE ON leat.dead_letters
            FOR EACH STATEMENT EXECUTE FUNCTION leat.note_removed();
    END IF;
END
$$;

-- What operators have told leat to do with the records of a tenant, or of one row: to skip or hold them until a time. Changed by
-- `leat control`, read by workers: at each claim, and whenever they look at the catalog. One that has ended does nothing
-- and is removed with the next change. A role that may write leat.progress may write it too.
DO $$
BEGIN
    IF to_regclass('leat.controls') IS NULL THEN
        CREATE TABLE leat.controls (
            id      bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            source  int NOT NULL REFERENCES leat.sources (id) ON DELETE CASCADE,
            "table" text,                    -- as the configuration names it; NULL: a tenant's control
            what    text NOT NULL,           -- tenant or key in the form of the log's keys: canonical, percent-encoded
            action  text NOT NULL DEFAULT 'skip' CONSTRAINT controls_action CHECK (action IN ('skip', 'hold')),
            keep    int NOT NULL,            -- dead letters kept of what it skips in a partition: the newest
            since   timestamptz NOT NULL DEFAULT clock_timestamp(),
            until   timestamptz NOT NULL,
            reason  text NOT NULL,           -- the operator's; '': none
            by_role text NOT NULL DEFAULT session_user,
            CONSTRAINT controls_once UNIQUE NULLS NOT DISTINCT (source, "table", what)
        );
        PERFORM leat.grant_as_progress('leat.controls');
    END IF;
END
$$;

-- Controls that skipped records and have ended: what they skipped without keeping it looks as if it had been applied, and only
-- `leat verify` asks for the difference. One row for a tenant or row, with its latest end; forgotten 90 days after that. The trigger
-- acts as its owner, because who may change a control need not be leat.
DO $$
BEGIN
    IF to_regclass('leat.ended_controls') IS NULL THEN
        CREATE TABLE leat.ended_controls (
            source  int NOT NULL,
            "table" text,
            what    text NOT NULL,
            until   timestamptz NOT NULL,
            CONSTRAINT ended_controls_once UNIQUE NULLS NOT DISTINCT (source, "table", what)
        );
        PERFORM leat.grant_as_progress('leat.ended_controls');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION leat.note_ended()
RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    INSERT INTO leat.ended_controls AS e (source, "table", what, until)
    VALUES (OLD.source, OLD."table", OLD.what, least(OLD.until, clock_timestamp()))
    ON CONFLICT ON CONSTRAINT ended_controls_once DO UPDATE SET until = greatest(e.until, excluded.until);
    DELETE FROM leat.ended_controls WHERE until < clock_timestamp() - interval '90 days';
    RETURN NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = 'leat.controls'::regclass AND tgname = 'note_ended') THEN
        CREATE TRIGGER note_ended AFTER DELETE OR UPDATE ON leat.controls
            FOR EACH ROW WHEN (OLD.action = 'skip') EXECUTE FUNCTION leat.note_ended();
    END IF;
END
$$;

-- The idempotency keys of writes that are applied, each by a hash of 128 bits (`a`, `b`) that its source and row are part of.
-- A row's writes are applied one batch after the other, so no two batches look for one key at once, and a look-up is as good as a
-- unique index over all slots. Writes that are not in the log have a lock of the key for it. A batch and one of these may look at
-- once: the index stops the second (23505, then LT010), as both note in one slot (the lock -3).
--
-- Workers that know version 6 do not ask for keys and note none. They are not stopped as those before version 5 are, for
-- what they apply without a key is right: clients use keys when none of them is left.
--
-- Keys are noted in the slot that was opened last, and forgotten by the slot, which costs nothing however many they are. A slot
-- is open for a part of their lifetime. leat.rotate_keys goes round.
DO $$
BEGIN
    IF to_regclass('leat.idempotency') IS NULL THEN
        CREATE TABLE leat.idempotency (
            a           bigint NOT NULL,
            b           bigint NOT NULL,
            fingerprint bigint NOT NULL,     -- of what the write says
            slot        smallint NOT NULL,
            PRIMARY KEY (a, b, slot)
        ) PARTITION BY LIST (slot);
        FOR i IN 0 .. 7 LOOP
            EXECUTE format('CREATE TABLE leat.idempotency_%s PARTITION OF leat.idempotency FOR VALUES IN (%s)'
                           ' WITH (autovacuum_vacuum_insert_threshold = -1)', i, i);
            PERFORM leat.grant_as_progress(format('leat.idempotency_%s', i)::regclass);
        END LOOP;
        CREATE TABLE leat.idempotency_slots (
            slot      smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 7),
            opened_ms bigint NOT NULL        -- since 1970, by the accept times of what was applied: see leat.rotate_keys
        );
        INSERT INTO leat.idempotency_slots (slot, opened_ms) VALUES (0, 0);
        PERFORM leat.grant_as_progress('leat.idempotency'), leat.grant_as_progress('leat.idempotency_slots');
    END IF;
END
$$;

-- Which way the writes of live routes go, in points of 10000: keys whose point is below `async` go into the log, the others into
-- the database. While `async_before` differs, a change is under way: the keys between the two are closed. Changed by `leat mode
-- set`, read by edges, and by each write that goes to the database by it. A version is an advisory lock, too.
DO $$
BEGIN
    IF to_regclass('leat.modes') IS NULL THEN
        CREATE TABLE leat.modes (
            source       int NOT NULL REFERENCES leat.sources (id) ON DELETE CASCADE,
            route        text COLLATE "C" NOT NULL,
            version      int NOT NULL,       -- another with each change
            before       int NOT NULL,       -- the version that it took the place of; 0: none
            async        int NOT NULL CHECK (async BETWEEN 0 AND 10000),
            async_before int NOT NULL CHECK (async_before BETWEEN 0 AND 10000),
            shadow       int NOT NULL CHECK (shadow BETWEEN 0 AND 10000), -- of the others, those below are shadowed
            since        timestamptz NOT NULL DEFAULT clock_timestamp(),
            by_role      text NOT NULL DEFAULT session_user,
            PRIMARY KEY (source, route)
        );
        PERFORM leat.grant_as_progress('leat.modes');
    END IF;
END
$$;

-- Reports of the processes that apply to this shard, for `leat status`: which partitions they have, and what does not
-- move, since when and why. One row per process, written every few seconds over a connection of its own by a
-- transaction that waits for neither disk nor standby; other processes sweep the rows of those that are gone. Nothing
-- depends on it, so it is not logged.
DO $$
BEGIN
    IF to_regclass('leat.workers') IS NULL THEN
        CREATE UNLOGGED TABLE leat.workers (
            source     int NOT NULL,
            instance   uuid NOT NULL,        -- made by each process when it starts
            host       text NOT NULL,
            pid        int NOT NULL,
            started_at timestamptz NOT NULL, -- by the process's clock
            at         timestamptz NOT NULL, -- the last report, by this server's clock
            clock_ms   bigint NOT NULL,      -- the same by the process's clock, as are the times in `said`
            said       json NOT NULL,        -- {"partitions": [0, 1], "facts": [{"kind": "stalled", "since_ms": 17, ...}]};
                                             -- with very many partitions, their number
            PRIMARY KEY (source, instance),
            CONSTRAINT workers_said CHECK (octet_length(said::text) <= 65536)
        ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
        PERFORM leat.grant_as_progress('leat.workers');
    END IF;
END
$$;

-- Settings. leat's statements pin the settings that they depend on for the transaction only, which works behind any
-- pooler and leaves no trace. Row statements run the triggers, defaults and constraints of others, so they restore the
-- session's own settings before the first of those runs. docs/design/settings.md has the table.
--
--   plan_rows      before a row statement is parsed and planned. leat.advance does it for the first one.
--   read_texts     in a row statement, before values that travel as text are cast to their types.
--   enter          in a row statement, before the first row is written: restores everything.
--   give_back      the same without a table.
--   plan_plainly   plan_rows for a statement that runs others' code before it reads a row: the planner has the role's settings.
--
-- Until plan_rows has put pg_catalog first, a path of the role's own may lead anywhere: names are written out.

-- Row statements look up a few rows by primary key, whatever the planner believes about the table, and planning one
-- costs more than running it: hence a generic plan by nested loops over indexes. jit is off because a forbidden scan that
-- cannot be avoided looks expensive enough for it. Without row_security a plan that hides rows is refused and never made:
-- a cached one would still hide them after the role gets BYPASSRLS. The other settings are about defaults, which are in the
-- statements as text.
CREATE OR REPLACE FUNCTION leat.plan_rows()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    names  CONSTANT text[] := ARRAY['array_nulls', 'standard_conforming_strings', 'transform_null_equals', 'xmloption',
                                    'intervalstyle'];
    wanted CONSTANT text[] := ARRAY['on', 'on', 'off', 'content', 'postgres'];
    found  text[] := ARRAY[pg_catalog.current_setting('array_nulls'),
                           pg_catalog.current_setting('standard_conforming_strings'),
                           pg_catalog.current_setting('transform_null_equals'),
                           pg_catalog.current_setting('xmloption'), pg_catalog.current_setting('intervalstyle')];
    path   text := pg_catalog.current_setting('search_path');
BEGIN
    IF pg_catalog.current_setting('leat.planning', true) OPERATOR(pg_catalog.<>) '' THEN
        RETURN;
    END IF;
    PERFORM pg_catalog.set_config('leat.planning', (ARRAY[pg_catalog.current_setting('plan_cache_mode'),
                                                          pg_catalog.current_setting('enable_seqscan'),
                                                          pg_catalog.current_setting('enable_hashjoin'),
                                                          pg_catalog.current_setting('enable_mergejoin'),
                                                          pg_catalog.current_setting('jit'), path,
                                                          pg_catalog.current_setting('row_security')]
                                                    OPERATOR(pg_catalog.||) found)::text, true),
            pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true),
            pg_catalog.set_config('enable_seqscan', 'off', true),
            pg_catalog.set_config('enable_hashjoin', 'off', true),
            pg_catalog.set_config('enable_mergejoin', 'off', true),
            pg_catalog.set_config('jit', 'off', true),
            pg_catalog.set_config('row_security', 'off', true);
    IF pg_catalog.strpos(path, 'pg_catalog') OPERATOR(pg_catalog.>) 0 THEN
        PERFORM pg_catalog.set_config('search_path', pg_catalog.concat('pg_catalog, ', path), true);
    END IF;
    IF found OPERATOR(pg_catalog.<>) wanted THEN
        PERFORM pg_catalog.set_config(names[i], wanted[i], true)
           FROM pg_catalog.generate_series(1, pg_catalog.cardinality(names)) AS n (i);
    END IF;
END
$$;

-- Triggers for the statement fire before its rows are read, and so before leat.enter: for them the planner has the role's
-- settings. The meaning of texts in the statement stays fixed until then.
CREATE OR REPLACE FUNCTION leat.plan_plainly()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    planning text[];
BEGIN
    PERFORM leat.plan_rows();
    planning := pg_catalog.current_setting('leat.planning');
    PERFORM pg_catalog.set_config('plan_cache_mode', planning[1], true),
            pg_catalog.set_config('enable_seqscan', planning[2], true),
            pg_catalog.set_config('enable_hashjoin', planning[3], true),
            pg_catalog.set_config('enable_mergejoin', planning[4], true),
            pg_catalog.set_config('jit', planning[5], true),
            pg_catalog.set_config('row_security', planning[7], true);
END
$$;

CREATE OR REPLACE FUNCTION leat.give_back()
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    planning text[] := nullif(pg_catalog.current_setting('leat.planning', true), '');
    reading  text[] := nullif(pg_catalog.current_setting('leat.reading', true), '');
BEGIN
    IF planning IS NOT NULL THEN
        PERFORM pg_catalog.set_config('leat.planning', '', true),
                pg_catalog.set_config('plan_cache_mode', planning[1], true),
                pg_catalog.set_config('enable_seqscan', planning[2], true),
                pg_catalog.set_config('enable_hashjoin', planning[3], true),
                pg_catalog.set_config('enable_mergejoin', planning[4], true),
                pg_catalog.set_config('jit', planning[5], true),
                pg_catalog.set_config('row_security', planning[7], true);
        IF planning[8:] OPERATOR(pg_catalog.<>) ARRAY['on', 'on', 'off', 'content', 'postgres'] THEN
            PERFORM pg_catalog.set_config('array_nulls', planning[8], true),
                    pg_catalog.set_config('standard_conforming_strings', planning[9], true),
                    pg_catalog.set_config('transform_null_equals', planning[10], true),
                    pg_catalog.set_config('xmloption', planning[11], true),
                    pg_catalog.set_config('intervalstyle', planning[12], true);
        END IF;
        IF pg_catalog.strpos(planning[6], 'pg_catalog') OPERATOR(pg_catalog.>) 0 THEN
            PERFORM pg_catalog.set_config('search_path', planning[6], true);
        END IF;
    END IF;
    IF reading IS NOT NULL THEN
        PERFORM pg_catalog.set_config('leat.reading', '', true),
                pg_catalog.set_config('array_nulls', reading[1], true),
                pg_catalog.set_config('xmloption', reading[2], true),
                pg_catalog.set_config('datestyle', reading[3], true),
                pg_catalog.set_config('intervalstyle', reading[4], true),
                pg_catalog.set_config('timezone', reading[5], true);
    END IF;
    RETURN true;
END
$$;

-- A text has the same meaning in every session. The planner's settings are already restored here, because a domain's
-- constraint may call a function of others.
CREATE OR REPLACE FUNCTION leat.read_texts()
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.give_back();
    PERFORM pg_catalog.set_config('leat.reading', ARRAY[pg_catalog.current_setting('array_nulls'),
                                                        pg_catalog.current_setting('xmloption'),
                                                        pg_catalog.current_setting('datestyle'),
                                                        pg_catalog.current_setting('intervalstyle'),
                                                        pg_catalog.current_setting('timezone')]::text, true),
            pg_catalog.set_config('array_nulls', 'on', true),
            pg_catalog.set_config('xmloption', 'content', true),
            pg_catalog.set_config('datestyle', 'ISO, MDY', true),
            pg_catalog.set_config('intervalstyle', 'postgres', true),
            pg_catalog.set_config('timezone', 'UTC', true);
    RETURN true;
END
$$;

-- Those of `p_events` (bits of tgtype: 4 INSERT, 8 DELETE, 16 UPDATE) that have BEFORE triggers: for each row, of the table or
-- a partition of it; for the statement, of the table itself.
CREATE OR REPLACE FUNCTION leat.before_triggers(p_table oid, p_events int, OUT for_rows int, OUT for_statement int,
                                                OUT names text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog
AS $$
BEGIN -- a function in SQL would be planned each time, before PostgreSQL 18
    WITH RECURSIVE parts AS (
        SELECT p_table AS oid
         UNION
        SELECT i.inhrelid FROM parts AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
    )
    SELECT coalesce(bit_or(g.tgtype & p_events) FILTER (WHERE g.tgtype & 1 = 1), 0),
           coalesce(bit_or(g.tgtype & p_events) FILTER (WHERE g.tgtype & 1 = 0 AND p.oid = p_table), 0),
           string_agg(DISTINCT g.tgname, ', ') FILTER (WHERE g.tgtype & 1 = 1)
      INTO for_rows, for_statement, names
      FROM parts AS p
      JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
      JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = p.oid
     WHERE c.relhastriggers AND NOT g.tgisinternal AND g.tgenabled <> 'D'
       AND g.tgtype & 2 = 2 AND g.tgtype & p_events <> 0;
END
$$;

-- Fails when a table differs from the one that a row statement was made for, since leat's knowledge of it may be some
-- seconds old. The statement has its lock on the table by now, and the catalog is read here after the lock. `p_for_rows`,
-- `p_for_statement`: events whose BEFORE triggers are known; `p_hidden`: row security may hide rows.
CREATE OR REPLACE FUNCTION leat.check_table(p_table regclass, p_events int, p_for_rows int, p_for_statement int,
                                            p_hidden boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog
AS $$
BEGIN
    IF NOT p_hidden AND row_security_active(p_table) THEN
        RAISE EXCEPTION 'row security applies to role % on table %: it hides rows without an error', current_user, p_table
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Give the role BYPASSRLS, or accept it: routes[].row_security.';
    END IF;
    PERFORM FROM leat.before_triggers(p_table, p_events) AS b
      WHERE b.for_rows & ~p_for_rows <> 0 OR b.for_statement & ~p_for_statement <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'table % has other BEFORE triggers than leat knows', p_table USING ERRCODE = 'LT006';
    END IF;
END
$$;

-- A row statement is about to write. `p_read` is not used: counting the rows has read them all. Most tables have neither row
-- security nor parts nor triggers, but those of foreign keys: to see that costs less than to ask all.
CREATE OR REPLACE FUNCTION leat.enter(p_table regclass, p_events int, p_for_rows int, p_for_statement int,
                                      p_hidden boolean, p_read bigint DEFAULT 0)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    IF NOT p_hidden AND pg_catalog.row_security_active(p_table)
        OR EXISTS (SELECT FROM pg_catalog.pg_class AS c
                    WHERE c.oid OPERATOR(pg_catalog.=) p_table
                      AND (c.relhassubclass
                           OR c.relhastriggers AND EXISTS (SELECT FROM pg_catalog.pg_trigger AS g
                                                            WHERE g.tgrelid OPERATOR(pg_catalog.=) p_table AND NOT g.tgisinternal))) THEN
        PERFORM leat.check_table(p_table, p_events, p_for_rows, p_for_statement, p_hidden);
    END IF;
    RETURN leat.give_back(); -- not PERFORM, which would run a query
END
$$;

-- The end of a row statement on a table whose BEFORE triggers may drop a row: a success that touched too few rows is an error.
-- Returns how many rows were touched.
CREATE OR REPLACE FUNCTION leat.must_touch(p_table regclass, p_events int, p_wanted bigint, p_touched bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog
AS $$
BEGIN
    IF p_touched < p_wanted THEN
        RAISE EXCEPTION 'the database took the write to % without an error but touched %: a BEFORE trigger (%) returned NULL',
            p_table, CASE WHEN p_touched = 0 THEN 'no row' ELSE format('%s of %s rows', p_touched, p_wanted) END,
            (SELECT b.names FROM leat.before_triggers(p_table, p_events) AS b)
            USING ERRCODE = 'LT008', HINT = 'Where the trigger means it, accept it: routes[].untouched.';
    END IF;
    RETURN p_touched;
END
$$;

-- Takes the partition over. The lock is taken in a statement of its own, so the next one sees everything that earlier
-- batches and compactions have committed; later ones find their own claim replaced.
CREATE OR REPLACE FUNCTION leat.take(p_source int, p_partition int, p_lock_timeout_ms int)
RETURNS TABLE (claim uuid, epoch bigint, base_seq bigint, base_offsets bigint[], low bigint, newest bigint,
               newest_at_ms bigint, newest_epoch int)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.plan_rows();
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'leat.take needs READ COMMITTED' USING ERRCODE = 'LT003';
    END IF;
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
    PERFORM pg_advisory_xact_lock(1818583412 # p_source, p_partition);
    RETURN QUERY
        UPDATE leat.partitions AS p SET claim = gen_random_uuid(), epoch = p.epoch + 1
         WHERE p.source = p_source AND p.partition = p_partition
        RETURNING p.claim, p.epoch, p.base_seq, p.base_offsets, p.low, p.newest, p.newest_at_ms,
                  p.newest_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of source % is not in this database: it is another shard''s (leat check says whose), '
                        'or not set up (leat init)', p_partition, p_source
            USING ERRCODE = 'LT004', DETAIL = p_partition::text;
    END IF;
END
$$;

-- The name of leat.take before records could be parked. A worker of that time takes what is parked for written, so it gets
-- no claim; the claims that it has go on until they are taken over.
CREATE OR REPLACE FUNCTION leat.claim(p_source int, p_partition int, p_lock_timeout_ms int)
RETURNS TABLE (claim uuid, epoch bigint, base_seq bigint, base_offsets bigint[], low bigint, newest bigint,
               newest_at_ms bigint, newest_epoch int)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    RAISE EXCEPTION 'schema leat is newer than this program, which does not know parked records'
        USING ERRCODE = 'LT005', HINT = 'Use a newer leat.';
END
$$;

-- The progress rows of a partition, for the transaction that has claimed it. VOLATILE, so that it reads with a
-- snapshot of its own even in one statement with leat.take.
CREATE OR REPLACE FUNCTION leat.rows(p_source int, p_partition int)
RETURNS TABLE (seq bigint, subpartitions smallint[], offsets bigint[], newest_at_ms bigint, newest_epoch int)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
AS $$
    SELECT g.seq, g.subpartitions, g.offsets, g.newest_at_ms, g.newest_epoch FROM leat.progress AS g
     WHERE g.source = p_source AND g.partition = p_partition ORDER BY g.seq
$$;

-- What is parked of a partition, one row a subpartition, for the transaction that has claimed it; VOLATILE as leat.rows is.
-- Only the lowest chunk may be emptied in part, so the lowest `done` is its own. The bytes are not read: a value out of line
-- shows its size.
CREATE OR REPLACE FUNCTION leat.parked_totals(p_source int, p_partition int)
RETURNS TABLE (subpartition smallint, first_offset bigint, done bigint, last_offset bigint, chunks bigint, records bigint,
               bytes bigint, oldest_ms bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
AS $$
    SELECT c.subpartition, min(c.first_offset), min(c.done), max(c.last_offset), count(*), sum(c.records)::bigint,
           sum(octet_length(c.chunk))::bigint, min(c.oldest_ms)
      FROM leat.parked AS c WHERE c.source = p_source AND c.partition = p_partition
     GROUP BY c.subpartition ORDER BY c.subpartition
$$;

-- The partition's part of a batch: records where its subpartitions are once the batch commits. Fails with LT001 under an
-- old claim, with LT002 when a batch that this one builds upon is lost.
--
-- Each step is a statement of its own, because each needs a snapshot taken after the step before it: the claim is read
-- after the lock keeps it from changing; base_seq and the rows after it are read together, since a concurrent
-- compaction moves rows into the base.
--
-- The settings of leat.plan_rows are for its own statements too, and hold until the first row statement enters its table.
CREATE OR REPLACE FUNCTION leat.advance(p_source int, p_partition int, p_claim uuid, p_seq bigint,
                                        p_subpartitions smallint[], p_offsets bigint[], p_newest_at_ms bigint,
                                        p_newest_epoch int, p_needs bigint[], p_lock_timeout_ms int)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.plan_rows();
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'leat.advance needs READ COMMITTED' USING ERRCODE = 'LT003';
    END IF;
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
    PERFORM pg_advisory_xact_lock_shared(1818583412 # p_source, p_partition);

    INSERT INTO leat.progress (source, partition, seq, subpartitions, offsets, newest_at_ms, newest_epoch)
    SELECT p_source, p_partition, p_seq, p_subpartitions, p_offsets, p_newest_at_ms, p_newest_epoch FROM leat.partitions AS p
     WHERE p.source = p_source AND p.partition = p_partition AND p.claim = p_claim;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of source % has been claimed by another worker', p_partition, p_source
            USING ERRCODE = 'LT001', DETAIL = p_partition::text;
    END IF;

    -- A scalar subquery for each: a lookup by primary key, whatever the planner believes about the table.
    IF cardinality(p_needs) = 0 THEN
        RETURN;
    END IF;
    PERFORM FROM leat.partitions AS p
     WHERE p.source = p_source AND p.partition = p_partition
       AND (SELECT bool_and((n.seq <= p.base_seq
                             OR (SELECT true FROM leat.progress AS g
                                  WHERE g.source = p_source AND g.partition = p_partition AND g.seq = n.seq)) IS TRUE)
              FROM unnest(p_needs) AS n (seq));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of source %: the database has lost a batch it had acknowledged',
            p_partition, p_source
            USING ERRCODE = 'LT002', DETAIL = p_partition::text;
    END IF;
END
$$;

-- Moves the base up to `p_base_seq`, which replaces every row up to it, and deletes those rows. A compaction that a
-- newer one has overtaken does nothing.
--
-- `p_needs` are the last applied seqs of all subpartitions: offsets from memory must not outlive a commit that the
-- database has lost since (LT002). Two compactions of one claim may run concurrently, so the update checks again.
CREATE OR REPLACE FUNCTION leat.compact(p_source int, p_partition int, p_claim uuid, p_base_seq bigint,
                                        p_base_offsets bigint[], p_low bigint, p_newest bigint, p_newest_at_ms bigint,
                                        p_newest_epoch int, p_needs bigint[], p_lock_timeout_ms int)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    complete boolean;
BEGIN
    PERFORM leat.plan_rows();
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'leat.compact needs READ COMMITTED' USING ERRCODE = 'LT003';
    END IF;
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
    PERFORM pg_advisory_xact_lock_shared(1818583412 # p_source, p_partition);

    SELECT cardinality(p_needs) = 0
           OR (SELECT bool_and((n.seq <= p.base_seq
                                OR (SELECT true FROM leat.progress AS g
                                     WHERE g.source = p_source AND g.partition = p_partition
                                       AND g.seq = n.seq)) IS TRUE)
                 FROM unnest(p_needs) AS n (seq))
      INTO complete FROM leat.partitions AS p
     WHERE p.source = p_source AND p.partition = p_partition AND p.claim = p_claim;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of source % has been claimed by another worker', p_partition, p_source
            USING ERRCODE = 'LT001', DETAIL = p_partition::text;
    END IF;
    IF complete IS NOT TRUE THEN
        RAISE EXCEPTION 'partition % of source %: the database has lost a batch it had acknowledged',
            p_partition, p_source
            USING ERRCODE = 'LT002', DETAIL = p_partition::text;
    END IF;

    UPDATE leat.partitions AS p
       SET base_seq = p_base_seq, base_offsets = p_base_offsets, low = p_low, newest = p_newest,
           newest_at_ms = p_newest_at_ms, newest_epoch = p_newest_epoch
     WHERE p.source = p_source AND p.partition = p_partition AND p.claim = p_claim AND p.base_seq < p_base_seq;
    IF FOUND THEN
        DELETE FROM leat.progress AS g
         WHERE g.source = p_source AND g.partition = p_partition AND g.seq <= p_base_seq;
    END IF;
END
$$;

-- Keeps one chunk, in the transaction whose leat.advance moves the progress of its subpartition to `p_last_offset`. It must
-- be the last of its subpartition (LT009).
CREATE OR REPLACE FUNCTION leat.park(p_source int, p_partition int, p_subpartition smallint, p_first_offset bigint,
                                     p_last_offset bigint, p_records int, p_oldest_ms bigint, p_codec int, p_chunk bytea)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.plan_rows();
    INSERT INTO leat.parked (source, partition, subpartition, first_offset, last_offset, done, records, oldest_ms, codec, chunk)
    SELECT p_source, p_partition, p_subpartition, p_first_offset, p_last_offset, p_first_offset - 1, p_records, p_oldest_ms,
           p_codec, p_chunk
     WHERE NOT EXISTS (SELECT FROM leat.parked AS c
                        WHERE c.source = p_source AND c.partition = p_partition AND c.subpartition = p_subpartition
                          AND c.first_offset >= p_first_offset)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of source %: subpartition % has a chunk at or above offset %', p_partition, p_source,
            p_subpartition, p_first_offset
            USING ERRCODE = 'LT009', DETAIL = p_partition::text;
    END IF;
END
$$;

-- The lowest chunk of a subpartition above `p_above`, or no row. That is the last offset of the chunk that was emptied last:
-- below it a search would go through all that was deleted and is still there for an old snapshot. One statement reads claim
-- and chunk (LT001 under an old claim), so a chunk that is loaded belongs to the claim.
CREATE OR REPLACE FUNCTION leat.load(p_source int, p_partition int, p_claim uuid, p_subpartition smallint, p_above bigint)
RETURNS TABLE (first_offset bigint, last_offset bigint, done bigint, records int, codec int, chunk bytea)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.plan_rows();
    SELECT c.first_offset, c.last_offset, c.done, c.records, c.codec, c.chunk
      INTO first_offset, last_offset, done, records, codec, chunk
      FROM leat.partitions AS p
      LEFT JOIN LATERAL (SELECT * FROM leat.parked AS l
                          WHERE l.source = p_source AND l.partition = p_partition AND l.subpartition = p_subpartition
                            AND l.first_offset > p_above
                          ORDER BY l.first_offset LIMIT 1) AS c ON true
     WHERE p.source = p_source AND p.partition = p_partition AND p.claim = p_claim;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of source % has been claimed by another worker', p_partition, p_source
            USING ERRCODE = 'LT001', DETAIL = p_partition::text;
    END IF;
    IF first_offset IS NOT NULL THEN
        RETURN NEXT;
    END IF;
END
$$;

-- Empties chunks of one subpartition, in the transaction that applies their records and before it does: all of them, but the
-- last one only up to `p_done_after`, with `p_records_after` records left, unless that is its end. Each must be there, and
-- exactly as the worker has read it (LT009).
CREATE OR REPLACE FUNCTION leat.unpark(p_source int, p_partition int, p_subpartition smallint, p_first_offsets bigint[],
                                       p_last_offsets bigint[], p_done bigint[], p_done_after bigint, p_records_after int)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    last int := cardinality(p_first_offsets);
BEGIN
    PERFORM leat.plan_rows();
    FOR i IN 1 .. last LOOP
        IF i < last OR p_done_after = p_last_offsets[i] THEN
            DELETE FROM leat.parked AS c
             WHERE c.source = p_source AND c.partition = p_partition AND c.subpartition = p_subpartition
               AND c.first_offset = p_first_offsets[i] AND c.last_offset = p_last_offsets[i] AND c.done = p_done[i];
        ELSE
            UPDATE leat.parked AS c SET done = p_done_after, records = p_records_after
             WHERE c.source = p_source AND c.partition = p_partition AND c.subpartition = p_subpartition
               AND c.first_offset = p_first_offsets[i] AND c.last_offset = p_last_offsets[i] AND c.done = p_done[i];
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'partition % of source %: the chunk of subpartition % at offset % is not as it was read',
                p_partition, p_source, p_subpartition, p_first_offsets[i]
                USING ERRCODE = 'LT009', DETAIL = p_partition::text;
        END IF;
    END LOOP;
END
$$;

-- ---- idempotency keys ----

-- Notes the keys of records, one element each, none twice; in the transaction that writes their rows, and before. LT010 if some
-- are noted already: DETAIL has for each of them, up to 200, its element of `p_records`, and `=`, or `!` where what was noted
-- says something else. Then their records are sent without being written, in a batch that is put together anew: others may have
-- come to it, of which the same is told. That batch asks leat.check_repeats whether what was told still holds.
CREATE OR REPLACE FUNCTION leat.note_keys(p_records bigint[], p_a bigint[], p_b bigint[], p_fingerprints bigint[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    known text;
BEGIN
    PERFORM leat.plan_rows();
    -- From before the look-up: what others have noted in an older slot is over, so it is found.
    PERFORM pg_advisory_xact_lock_shared(1818583412, -3);
    -- LIMIT makes it a look-up for each, whatever the planner believes about the table.
    SELECT string_agg(concat(f.record, f.mark), ' ') INTO known
      FROM (SELECT k.record, CASE WHEN i.fingerprint = k.fingerprint THEN '=' ELSE '!' END AS mark
              FROM unnest(p_records, p_a, p_b, p_fingerprints) AS k (record, a, b, fingerprint)
              CROSS JOIN LATERAL (SELECT n.fingerprint FROM leat.idempotency AS n WHERE n.a = k.a AND n.b = k.b LIMIT 1) AS i
             LIMIT 200) AS f;
    IF known IS NOT NULL THEN
        RAISE EXCEPTION 'writes with these idempotency keys are applied' USING ERRCODE = 'LT010', DETAIL = known;
    END IF;
    INSERT INTO leat.idempotency (a, b, fingerprint, slot)
    SELECT k.a, k.b, k.fingerprint, (SELECT s.slot FROM leat.idempotency_slots AS s ORDER BY s.opened_ms DESC LIMIT 1)
      FROM unnest(p_a, p_b, p_fingerprints) AS k (a, b, fingerprint);
END
$$;

-- Fails unless each record that the batch leaves out as a repeat is one: its key must be noted, by a write that says the same or,
-- where `p_conflicts` says so, something else. Keys of this batch count too, so it comes after leat.note_keys. LT012 names those
-- that are none: DETAIL has for each of them, up to 200, its element of `p_records`, and `-`. A failover has taken back the write
-- that noted the key, or the key is forgotten. Then the record is written, in a batch that is put together anew.
--
-- leat.advance does not see to it: a write that is not in the log is neither among the batches that it asks for, nor older than
-- the claim. What is read here was committed before, so a failover that takes it back takes this transaction back, too.
CREATE OR REPLACE FUNCTION leat.check_repeats(p_records bigint[], p_a bigint[], p_b bigint[], p_fingerprints bigint[],
                                              p_conflicts boolean[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    lost text;
BEGIN
    PERFORM leat.plan_rows();
    -- LIMIT as in leat.note_keys.
    SELECT string_agg(concat(f.record, '-'), ' ') INTO lost
      FROM (SELECT k.record
              FROM unnest(p_records, p_a, p_b, p_fingerprints, p_conflicts) AS k (record, a, b, fingerprint, is_conflict)
              LEFT JOIN LATERAL (SELECT n.fingerprint FROM leat.idempotency AS n WHERE n.a = k.a AND n.b = k.b LIMIT 1) AS i ON true
             WHERE (i.fingerprint <> k.fingerprint) IS DISTINCT FROM k.is_conflict
             LIMIT 200) AS f;
    IF lost IS NOT NULL THEN
        RAISE EXCEPTION 'writes with these idempotency keys are not applied any more' USING ERRCODE = 'LT012', DETAIL = lost;
    END IF;
END
$$;

-- leat.note_keys for a write that is not in the log. Nothing else orders two of them that have one key, as they come through any
-- edges; so the second waits until the first is over, and looks then: each statement of leat.note_keys has a snapshot of its own.
CREATE OR REPLACE FUNCTION leat.note_keys_now(p_records bigint[], p_a bigint[], p_b bigint[], p_fingerprints bigint[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1818583412, (k.a & 2147483647)::int) FROM unnest(p_a) AS k (a);
    PERFORM leat.note_keys(p_records, p_a, p_b, p_fingerprints);
END
$$;

-- Empties a slot that is not open, nor was since it was emptied last: whoever may take it out of leat.idempotency_slots may have
-- that done. For everybody else there is nothing to empty, and so no lock to wait for. So it needs no privilege of its own.
CREATE OR REPLACE FUNCTION leat.empty_slot(p_slot smallint)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '40ms'
AS $$
DECLARE
    is_used boolean;
BEGIN
    IF NOT pg_try_advisory_xact_lock(1818583412, -2) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM leat.idempotency_slots AS s WHERE s.slot = p_slot) THEN
        RAISE EXCEPTION 'the idempotency keys of slot % may be needed', p_slot USING ERRCODE = 'object_in_use';
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM leat.idempotency_%s)', p_slot) INTO is_used;
    IF is_used THEN
        EXECUTE format('TRUNCATE leat.idempotency_%s', p_slot);
    END IF;
END
$$;

-- Opens the next slot once the last one has been open for a quarter of the lifetime; otherwise empties the first of those that
-- nobody needs any more. So what emptying may have to wait for never keeps a slot from being opened. Time is that of what was
-- applied: the newest record's accept time, and never later than this server's clock. So an outage of everything that is applied
-- shortens nothing. Of writes with keys that are not in the log only their edge knows: `p_newest_ms`, the newest one's time, for which
-- it sees to the same. The slots are those of all sources, so the longest lifetime of any counts.
--
-- A slot was open until the next one was opened. It is emptied a lifetime and a quarter after that, by the time of the
-- partition that is furthest behind (of those that have applied anything within two lifetimes), and not while anything older
-- than its end and a lifetime is parked or held: its repeats may be among that. There are eight slots, so the first is emptied
-- in any case when another one is due, 1 3/4 lifetimes after its end or later: then `early` says so. `bytes`: what all of
-- them take up.
--
-- Emptying waits for batches that use the slot, opening one for all that note keys, and new ones wait for it: so not for long
-- (55P03, to be tried again in a while).
DROP FUNCTION IF EXISTS leat.rotate_keys(int, bigint); -- an earlier form
CREATE OR REPLACE FUNCTION leat.rotate_keys(p_source int, p_lifetime_ms bigint, p_newest_ms bigint DEFAULT 0,
                                            OUT early boolean, OUT bytes bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog SET lock_timeout = '40ms'
AS $$
DECLARE
    lifetime_ms bigint;
    newest_ms   bigint;
    behind_ms   bigint;
    waiting_ms  bigint;
    last_ms     bigint;
    next        smallint;
    old         record;
    is_due      boolean;
    is_old      boolean;
BEGIN
    early := false;
    bytes := (SELECT sum(pg_total_relation_size(t.relid)) FROM pg_partition_tree('leat.idempotency') AS t);
    IF NOT pg_try_advisory_xact_lock(1818583412, -2) THEN
        RETURN;
    END IF;
    UPDATE leat.sources AS s SET idempotency_ms = p_lifetime_ms WHERE s.id = p_source AND s.idempotency_ms <> p_lifetime_ms;
    lifetime_ms := greatest(p_lifetime_ms, (SELECT max(s.idempotency_ms) FROM leat.sources AS s));
    newest_ms := least(greatest((SELECT max(p.newest_at_ms) FROM leat.partitions AS p), p_newest_ms),
                    (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
    IF newest_ms <= 0 THEN
        RETURN;
    END IF;
    last_ms := (SELECT max(s.opened_ms) FROM leat.idempotency_slots AS s);
    IF last_ms = 0 THEN
        UPDATE leat.idempotency_slots SET opened_ms = newest_ms;
        RETURN;
    END IF;
    is_due := newest_ms - last_ms >= lifetime_ms / 4;
    next := (SELECT n.slot FROM generate_series(0, 7) AS n (slot)
              WHERE NOT EXISTS (SELECT FROM leat.idempotency_slots AS s WHERE s.slot = n.slot) LIMIT 1);
    IF is_due AND next IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(1818583412, -3);
        INSERT INTO leat.idempotency_slots (slot, opened_ms) VALUES (next, newest_ms);
        RETURN;
    END IF;
    behind_ms := least(newest_ms, (SELECT min(p.newest_at_ms) FROM leat.partitions AS p
                                    WHERE p.newest_at_ms > newest_ms - 2 * lifetime_ms));
    SELECT e.slot, e.end_ms INTO old
      FROM (SELECT s.slot, lead(s.opened_ms) OVER (ORDER BY s.opened_ms) AS end_ms FROM leat.idempotency_slots AS s) AS e
     WHERE e.end_ms IS NOT NULL ORDER BY e.end_ms LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    is_old := old.end_ms + lifetime_ms + lifetime_ms / 4 <= behind_ms;
    IF is_old THEN
        waiting_ms := least((SELECT min(c.oldest_ms) FROM leat.parked AS c), (SELECT min(k.accepted_ms) FROM leat.parked_keys AS k));
        is_old := coalesce(waiting_ms > old.end_ms + lifetime_ms, true);
    END IF;
    early := is_due AND NOT is_old;
    IF is_old OR early THEN
        DELETE FROM leat.idempotency_slots AS s WHERE s.slot = old.slot;
        PERFORM leat.empty_slot(old.slot);
    END IF;
END
$$;

-- ---- held keys ----
--
-- The owner's part of a batch comes after leat.advance and chunks and before the rows, as the last step of a retry locks the
-- key's row first and writes rows afterwards.

-- Makes a key held, with the record that was refused. LT007 if it is held.
CREATE OR REPLACE FUNCTION leat.hold(p_source int, p_partition int, p_hash bigint, p_table text, p_key bytea, p_sqlstate text,
                                     p_message text, p_offset bigint, p_accepted_ms bigint, p_codec int, p_record bytea)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.plan_rows();
    INSERT INTO leat.held (source, partition, hash, "table", key, sqlstate, message)
    VALUES (p_source, p_partition, p_hash, p_table, p_key, p_sqlstate, p_message) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of source %: the key of offset % is held', p_partition, p_source, p_offset
            USING ERRCODE = 'LT007', DETAIL = concat(p_partition, ' ', p_hash);
    END IF;
    INSERT INTO leat.parked_keys (source, partition, hash, "offset", accepted_ms, codec, record)
    VALUES (p_source, p_partition, p_hash, p_offset, p_accepted_ms, p_codec, p_record);
END
$$;

-- Keeps records of held keys, one element each. LT007 unless all of their keys are held; it names one that is not. The lock keeps
-- those held until this commits: a retry's last step waits, and sees what was added.
CREATE OR REPLACE FUNCTION leat.keep_held(p_source int, p_partition int, p_hashes bigint[], p_offsets bigint[],
                                          p_accepted_ms bigint[], p_codec int, p_records bytea[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    kept bigint[];
BEGIN
    PERFORM leat.plan_rows();
    WITH added AS (
        INSERT INTO leat.parked_keys (source, partition, hash, "offset", accepted_ms, codec, record)
        SELECT p_source, p_partition, r.hash, r."offset", r.accepted_ms, p_codec, r.record
          FROM unnest(p_hashes, p_offsets, p_accepted_ms, p_records) AS r (hash, "offset", accepted_ms, record)
         WHERE EXISTS (SELECT FROM leat.held AS h
                        WHERE h.source = p_source AND h.partition = p_partition AND h.hash = r.hash FOR KEY SHARE)
        RETURNING hash
    )
    SELECT coalesce(array_agg(hash), '{}') INTO kept FROM added;
    IF cardinality(kept) < cardinality(p_hashes) THEN
        RAISE EXCEPTION 'partition % of source %: a key is not held any more', p_partition, p_source
            USING ERRCODE = 'LT007',
                  DETAIL = concat(p_partition, ' ', (SELECT w.hash FROM unnest(p_hashes) WITH ORDINALITY AS w (hash, at)
                                                      WHERE w.hash <> ALL (kept) ORDER BY w.at LIMIT 1));
    END IF;
END
$$;

-- The held keys of a partition, at most `p_limit`, each with its last refusal, for the transaction that has claimed it; VOLATILE
-- as leat.rows is.
CREATE OR REPLACE FUNCTION leat.held_keys(p_source int, p_partition int, p_limit int)
RETURNS TABLE (hash bigint, since_ms bigint, sqlstate text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
AS $$
    SELECT h.hash, (extract(epoch FROM clock_timestamp() - h.since) * 1000)::bigint, h.sqlstate FROM leat.held AS h
     WHERE h.source = p_source AND h.partition = p_partition ORDER BY h.hash LIMIT p_limit
$$;

-- Begins a retry: one session at a time has the key. `p_last`: nobody adds records until the transaction ends, so that the key
-- may be let go. False: the key is not held.
CREATE OR REPLACE FUNCTION leat.retry(p_source int, p_partition int, p_hash bigint, p_last boolean, p_lock_timeout_ms int)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.plan_rows();
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'leat.retry needs READ COMMITTED' USING ERRCODE = 'LT003';
    END IF;
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
    IF p_last THEN
        PERFORM FROM leat.held AS h WHERE h.source = p_source AND h.partition = p_partition AND h.hash = p_hash FOR UPDATE;
    ELSE
        PERFORM FROM leat.held AS h WHERE h.source = p_source AND h.partition = p_partition AND h.hash = p_hash
            FOR NO KEY UPDATE;
    END IF;
    RETURN FOUND;
END
$$;

-- The first records of a held key: at most `p_limit`, and, but for the first, `p_bytes` as they are stored. After leat.retry and
-- not in one statement with it: a record that the lock has waited for is seen only by a snapshot that is taken afterwards.
CREATE OR REPLACE FUNCTION leat.held_records(p_source int, p_partition int, p_hash bigint, p_limit int, p_bytes bigint)
RETURNS TABLE ("offset" bigint, accepted_ms bigint, codec int, record bytea)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
AS $$
    SELECT s."offset", s.accepted_ms, s.codec, s.record
      FROM (SELECT k.*, sum(octet_length(k.record)) OVER (ORDER BY k."offset") AS bytes, row_number() OVER (ORDER BY k."offset") AS n
              FROM (SELECT * FROM leat.parked_keys AS p
                     WHERE p.source = p_source AND p.partition = p_partition AND p.hash = p_hash
                     ORDER BY p."offset" LIMIT p_limit) AS k) AS s
     WHERE s.n = 1 OR s.bytes <= p_bytes
     ORDER BY s."offset"
$$;

-- Ends a retry: these records are written, or dead letters. Each must have been there, and none before the last of them is left:
-- an owner has read them in another transaction, perhaps from an older copy of the database. With `p_last`, and if there is none
-- left, the key is no longer held. Returns whether it is. A key that stays forgets what it was last refused with.
CREATE OR REPLACE FUNCTION leat.retried(p_source int, p_partition int, p_hash bigint, p_offsets bigint[], p_last boolean)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM leat.plan_rows();
    DELETE FROM leat.parked_keys AS p
     WHERE p.source = p_source AND p.partition = p_partition AND p.hash = p_hash AND p."offset" = ANY (p_offsets);
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone <> cardinality(p_offsets)
       OR EXISTS (SELECT FROM leat.parked_keys AS p WHERE p.source = p_source AND p.partition = p_partition AND p.hash = p_hash
                  AND p."offset" < (SELECT max(o) FROM unnest(p_offsets) AS o)) THEN
        RAISE EXCEPTION 'partition % of source %: a kept record is gone, or is not the first', p_partition, p_source
            USING ERRCODE = 'LT007', DETAIL = concat(p_partition, ' ', p_hash);
    END IF;
    IF p_last AND NOT EXISTS (SELECT FROM leat.parked_keys AS p
                               WHERE p.source = p_source AND p.partition = p_partition AND p.hash = p_hash) THEN
        DELETE FROM leat.held AS h WHERE h.source = p_source AND h.partition = p_partition AND h.hash = p_hash;
        RETURN false;
    END IF;
    -- What was said was said of a record that is gone.
    UPDATE leat.held AS h SET sqlstate = '', message = ''
     WHERE h.source = p_source AND h.partition = p_partition AND h.hash = p_hash AND h.message <> '' AND gone > 0;
    RETURN true;
END
$$;

-- Begins a write that is not in the log, in place of leat.advance. Fails with LT007 while its key is held: the records that are
-- kept of it were accepted before; and while a control leaves out its row or its tenant (NULL: none).
--
-- Of a live route (`p_route`, else NULL) it fails with LT011 unless the route's version lets the point through. Each step is a
-- statement with a snapshot of its own: the version is read again once its lock is there, and so a change of it either waits for
-- this transaction or is seen by it.
CREATE OR REPLACE FUNCTION leat.write_now(p_source int, p_partition int, p_hash bigint, p_route text, p_point int,
                                          p_lock_timeout_ms int, p_table text, p_key text, p_tenant text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    found_version int;
    found_control leat.controls;
BEGIN
    PERFORM leat.plan_rows();
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'leat.write_now needs READ COMMITTED' USING ERRCODE = 'LT003';
    END IF;
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
    IF p_route IS NOT NULL THEN
        found_version := (SELECT m.version FROM leat.modes AS m WHERE m.source = p_source AND m.route = p_route);
        PERFORM pg_advisory_xact_lock_shared(1818583412 # p_source, -1 - found_version);
        PERFORM FROM leat.modes AS m
          WHERE m.source = p_source AND m.route = p_route AND m.version = found_version
            AND p_point >= m.async AND p_point >= m.async_before;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the writes of this key go another way now, or are about to' USING ERRCODE = 'LT011';
        END IF;
    END IF;
    IF EXISTS (SELECT FROM leat.held AS h WHERE h.source = p_source AND h.partition = p_partition AND h.hash = p_hash) THEN
        RAISE EXCEPTION 'earlier writes of this key are kept until they can be applied (leat dead list --held)'
            USING ERRCODE = 'LT007', DETAIL = concat(p_partition, ' ', p_hash);
    END IF;
    SELECT * INTO found_control FROM leat.controls AS c
     WHERE c.source = p_source AND c.until > clock_timestamp()
       AND ((c."table" = p_table AND c.what = p_key) OR (c."table" IS NULL AND c.what = p_tenant))
     ORDER BY c."table" NULLS LAST LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'control % leaves out the writes of this % until %: %', found_control.id,
            CASE WHEN found_control."table" IS NULL THEN 'tenant' ELSE 'row' END,
            to_char(found_control.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            coalesce(nullif(found_control.reason, ''), 'no reason is given')
            USING ERRCODE = 'LT007', DETAIL = concat(p_partition, ' ', p_hash);
    END IF;
END
$$;

-- Begins a change of a live route's shares, and returns its row. While a change to other shares is under way nothing happens, and
-- is_wanted is false; but that change may be turned round, because the keys that it has closed were not let through anywhere since.
-- It keeps its version then, and so what it has to wait for. So does a change of `shadow` alone, which moves no key. The
-- first shares of a route are a change, too: nobody knows what is in the log of it.
CREATE OR REPLACE FUNCTION leat.begin_mode(p_source int, p_route text, p_async int, p_shadow int)
RETURNS TABLE (route text, version int, before int, async int, async_before int, shadow int, since timestamptz,
               is_wanted boolean)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
#variable_conflict use_column
DECLARE
    next_version int := (SELECT coalesce(max(m.version), 0) + 1 FROM leat.modes AS m);
    found_row leat.modes;
    moves boolean;
    is_new boolean;
BEGIN
    INSERT INTO leat.modes (source, route, version, before, async, async_before, shadow)
    VALUES (p_source, p_route, next_version, 0, p_async, 10000, p_shadow) ON CONFLICT DO NOTHING;
    SELECT * INTO found_row FROM leat.modes AS m WHERE m.source = p_source AND m.route = p_route FOR UPDATE;
    moves := found_row.async <> p_async;
    is_new := moves AND found_row.async = found_row.async_before;
    IF is_new OR (moves AND found_row.async_before = p_async) OR (NOT moves AND found_row.shadow <> p_shadow) THEN
        UPDATE leat.modes AS m
           SET version = CASE WHEN is_new THEN greatest(next_version, m.version + 1) ELSE m.version END,
               before = CASE WHEN is_new THEN m.version ELSE m.before END,
               async = p_async, async_before = CASE WHEN moves THEN m.async ELSE m.async_before END,
               shadow = p_shadow, since = clock_timestamp(), by_role = session_user
         WHERE m.source = p_source AND m.route = p_route
        RETURNING * INTO found_row;
    END IF;
    RETURN QUERY SELECT found_row.route, found_row.version, found_row.before, found_row.async, found_row.async_before,
                        found_row.shadow, found_row.since,
                        (found_row.async, found_row.shadow) = (p_async, p_shadow);
END
$$;

-- What a retry was refused with, in a transaction after it.
CREATE OR REPLACE FUNCTION leat.retry_failed(p_source int, p_partition int, p_hash bigint, p_sqlstate text, p_message text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM leat.plan_rows();
    UPDATE leat.held AS h SET at = clock_timestamp(), tries = h.tries + 1, sqlstate = p_sqlstate, message = p_message
     WHERE h.source = p_source AND h.partition = p_partition AND h.hash = p_hash;
END
$$;

-- Keeps a record that a control has skipped as a dead letter, and of all that it has skipped in this partition the newest
-- `p_keep`. For people, as a sample: whatever goes wrong here is given up, because a record that a person has taken out of
-- the way must not be held up by it. Two batches of a partition do not wait for each other. Users may have triggers on the
-- table, so the settings of leat.advance are restored first, and names are written out.
CREATE OR REPLACE FUNCTION leat.keep_skipped(p_source int, p_partition int, p_offset bigint, p_route text, p_key bytea,
                                             p_op text, p_headers jsonb, p_body bytea, p_sqlstate text, p_message text,
                                             p_accepted_at timestamptz, p_control bigint, p_keep int)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    last bigint;
BEGIN
    PERFORM leat.give_back();
    BEGIN
        INSERT INTO leat.dead_letters (source, partition, "offset", route, key, op, headers, body, sqlstate, message,
                                       accepted_at, control)
        VALUES (p_source, p_partition, p_offset, p_route, p_key, p_op, p_headers, p_body, p_sqlstate, p_message,
                p_accepted_at, p_control)
        ON CONFLICT DO NOTHING;
        last := (SELECT d."offset" FROM leat.dead_letters AS d
                  WHERE d.source OPERATOR(pg_catalog.=) p_source AND d.partition OPERATOR(pg_catalog.=) p_partition
                    AND d.control OPERATOR(pg_catalog.=) p_control
                  ORDER BY d."offset" DESC OFFSET p_keep LIMIT 1);
        IF last IS NOT NULL THEN
            DELETE FROM leat.dead_letters AS d
             WHERE d.source OPERATOR(pg_catalog.=) p_source AND d.partition OPERATOR(pg_catalog.=) p_partition
               AND d."offset" OPERATOR(pg_catalog.=) ANY (ARRAY(
                       SELECT e."offset" FROM leat.dead_letters AS e
                        WHERE e.source OPERATOR(pg_catalog.=) p_source
                          AND e.partition OPERATOR(pg_catalog.=) p_partition
                          AND e.control OPERATOR(pg_catalog.=) p_control AND e."offset" OPERATOR(pg_catalog.<=) last
                        LIMIT 1000 FOR UPDATE SKIP LOCKED));
        END IF;
    EXCEPTION
        WHEN OTHERS THEN
            NULL;
    END;
END
$$;

-- Ends the sessions that keep a claim of this partition waiting, when they are ours: application_name begins with
-- 'leat'. For a claim that has just failed with 55P03, in a transaction of its own: a pipeline that stopped before its
-- Sync holds the lock indefinitely, and no timeout of the server's ends it. Never a session whose commit waits for a
-- synchronous standby: ending it would make the commit visible without replication. It releases the lock when the standby
-- has answered, and until then the partition waits. Returns how many sessions it ended; -1: none, because one waits for a
-- standby.
CREATE OR REPLACE FUNCTION leat.terminate_holders(p_source int, p_partition int)
RETURNS int
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog
AS $$
    WITH holders AS MATERIALIZED (
        SELECT DISTINCT l.pid, a.wait_event IS NOT DISTINCT FROM 'SyncRep' AS is_committing
          FROM pg_locks AS l
          JOIN pg_stat_activity AS a USING (pid)
         WHERE l.locktype = 'advisory' AND l.granted
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND l.classid::bigint = (1818583412 # p_source)::bigint & 4294967295
           AND l.objid::bigint = p_partition AND l.objsubid = 2
           AND l.pid <> pg_backend_pid()
           AND starts_with(a.application_name, 'leat')
    ), ended AS MATERIALIZED (
        SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))::int AS count FROM holders WHERE NOT is_committing
    )
    SELECT CASE WHEN count = 0 AND EXISTS (SELECT FROM holders WHERE is_committing) THEN -1 ELSE count END FROM ended
$$;

-- RFC 7396: the result of `p_patch` on `p_target`. A target that is NULL or not an object counts as {}. Runs under the path
-- of the role, row by row.
CREATE OR REPLACE FUNCTION leat.merge(p_target jsonb, p_patch jsonb)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    base jsonb := CASE WHEN pg_catalog.jsonb_typeof(p_target) OPERATOR(pg_catalog.=) 'object' THEN p_target ELSE '{}' END;
BEGIN
    IF coalesce(pg_catalog.jsonb_typeof(p_patch) OPERATOR(pg_catalog.<>) 'object', true) THEN
        RETURN p_patch;
    END IF;
    RETURN (SELECT base OPERATOR(pg_catalog.-) coalesce(
                       pg_catalog.array_agg(e.key) FILTER (WHERE pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.=) 'null'),
                       '{}')
                   OPERATOR(pg_catalog.||) coalesce(
                       pg_catalog.jsonb_object_agg(
                           e.key, CASE WHEN pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.=) 'object'
                                       THEN leat.merge(base OPERATOR(pg_catalog.->) e.key, e.value)
                                       ELSE e.value END)
                       FILTER (WHERE pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.<>) 'null'), '{}')
              FROM pg_catalog.jsonb_each(p_patch) AS e);
END
$$;

-- Are the type modifiers of these columns still those that a row statement was written with? Fails with 42804 when not,
-- so that a statement never rounds to a column's old type: a new value would look like the stored one and be dropped.
-- STABLE, and so read with the statement's own snapshot, which is taken once the table is locked.
CREATE OR REPLACE FUNCTION leat.check_modifiers(p_schema text, p_table text, p_columns text[], p_modifiers int[])
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog
AS $$
DECLARE
    changed text;
BEGIN
    SELECT c.name INTO changed
      FROM unnest(p_columns, p_modifiers) AS c (name, modifier)
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                        WHERE a.attrelid = to_regclass(format('%I.%I', p_schema, p_table))
                          AND a.attname = c.name::name AND a.atttypmod = c.modifier)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column % of %.% has another type than leat knows', changed, p_schema, p_table
            USING ERRCODE = 'datatype_mismatch';
    END IF;
    RETURN true;
END
$$;
