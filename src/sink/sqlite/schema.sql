-- leat's own tables in a SQLite file, beside those it writes: the progress of applying the log, and records that could
-- not be applied. The same protocol as in PostgreSQL (sink/pg/schema.sql, docs/design/progress.md), but shorter: a file
-- has one writer at a time, so every transaction is BEGIN IMMEDIATE and nothing runs beside it.
--
-- Idempotent; run in one transaction. A file of a newer version is left alone.

CREATE TABLE IF NOT EXISTS leat_schema_version (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO leat_schema_version (one, version) VALUES (1, 7) ON CONFLICT DO NOTHING;

-- The meaning of offsets: the log they belong to and the placement of its records. One row per topic.
CREATE TABLE IF NOT EXISTS leat_sources (
    id            INTEGER PRIMARY KEY,
    log_identity  TEXT NOT NULL,
    topic         TEXT NOT NULL UNIQUE,
    topic_id      TEXT NOT NULL,
    layout        TEXT NOT NULL,    -- {"partitions": 4, "shards": [{"name": "a", "first": 0, "count": 2}, ...]}
    tenant_slots  BLOB NOT NULL,    -- one byte per slot: its shard
    subpartitions INTEGER NOT NULL,
    hash          TEXT NOT NULL,
    placement       INTEGER NOT NULL DEFAULT 1, -- the rule by which a record has its subpartition
    tenant_window   INTEGER NOT NULL DEFAULT 0, -- subpartitions of a tenant; 0: as many as there are
    tenant_position INTEGER NOT NULL DEFAULT -1, -- of the tenant among the parts of the key; -1: none
    idempotency_ms  INTEGER NOT NULL DEFAULT 0  -- lifetime of idempotency keys, as of the last claim; the longest of any source counts
) STRICT;

-- Tenants that have their shard by an entry of their own, and not by their slot. The layout has their number and a digest.
CREATE TABLE IF NOT EXISTS leat_tenants (
    source INTEGER NOT NULL,
    tenant TEXT NOT NULL,           -- as it stands in a key: canonical, percent-encoded
    shard  INTEGER NOT NULL,        -- index into the layout's shards
    PRIMARY KEY (source, tenant)
) STRICT, WITHOUT ROWID;

-- One row per partition of this shard; changed by claims and compactions only.
CREATE TABLE IF NOT EXISTS leat_partitions (
    source       INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    claim        BLOB NOT NULL,     -- 16 random bytes: the token of the last claim
    claims       INTEGER NOT NULL,  -- their number, for people; its name was another one before records could be parked
    base_seq     INTEGER NOT NULL,  -- every batch up to here is in base_offsets
                                    -- "Applied" means here and below: in the tables, kept as a dead letter, or parked
    base_offsets BLOB NOT NULL,     -- one per subpartition, 8 bytes each, big-endian; -1: nothing yet
    low          INTEGER NOT NULL,  -- everything up to this offset is applied, whether or not it has a record
    newest       INTEGER NOT NULL DEFAULT -1, -- offset of the highest record that is applied, as of base_seq; -1: none was ever applied
    newest_at_ms INTEGER NOT NULL DEFAULT 0,  -- its timestamp, to recognise another log; 0: unknown
    newest_epoch INTEGER NOT NULL DEFAULT -1, -- its leader epoch, to recognise a log that was cut off and continued; -1: unknown
    PRIMARY KEY (source, partition)
) STRICT, WITHOUT ROWID;

-- One row per batch and partition, kept until a compaction moves base_seq past it.
CREATE TABLE IF NOT EXISTS leat_progress (
    source        INTEGER NOT NULL,
    partition     INTEGER NOT NULL,
    seq           INTEGER NOT NULL,
    subpartitions BLOB NOT NULL,    -- 2 bytes each, big-endian
    offsets       BLOB NOT NULL,    -- 8 bytes each, big-endian: where each of those subpartitions is after the batch
    newest_at_ms  INTEGER NOT NULL DEFAULT 0, -- timestamp of the record at the greatest of these
    newest_epoch  INTEGER NOT NULL DEFAULT -1, -- its leader epoch
    PRIMARY KEY (source, partition, seq)
) STRICT, WITHOUT ROWID;

-- Records that could not be applied for the time being, in the order of the log: progress has passed them, and what
-- follows in their subpartition waits behind them. One row is a chunk. Chunks of a subpartition do not overlap and are
-- emptied from the lowest on; only the lowest may be emptied in part, which moves `done` and leaves the bytes as they
-- are. Changed under the partition's claim only, by batches.
CREATE TABLE IF NOT EXISTS leat_parked (
    source       INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    subpartition INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    last_offset  INTEGER NOT NULL,
    done         INTEGER NOT NULL,  -- its records up to this offset are in the tables, or dead letters
    records      INTEGER NOT NULL CHECK (records > 0), -- the others
    oldest_ms    INTEGER NOT NULL,  -- the smallest timestamp when it was parked
    codec        INTEGER NOT NULL,  -- the form of its bytes
    chunk        BLOB NOT NULL,
    PRIMARY KEY (source, partition, subpartition, first_offset),
    CHECK (done >= first_offset - 1 AND done < last_offset)
) STRICT;

-- A partition is not forgotten while it has parked records: they are nowhere else.
CREATE TRIGGER IF NOT EXISTS leat_keep_parked BEFORE DELETE ON leat_partitions
WHEN EXISTS (SELECT 1 FROM leat_parked WHERE source = OLD.source AND partition = OLD.partition)
BEGIN
    SELECT RAISE(ABORT, 'the partition has parked records, which are nowhere else');
END;

-- Keys whose records are kept until the first of them can be applied, or a person decides. What follows a refused record
-- of such a key is kept behind it, in the order of the log. A key is known by its `hash`, of table and key. Only the
-- partition's owner adds, in batches; only retries take away. Times are milliseconds since 1970.
CREATE TABLE IF NOT EXISTS leat_held (
    source    INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    hash      INTEGER NOT NULL,
    "table"   TEXT NOT NULL,        -- with its schema
    key       BLOB NOT NULL,        -- in the form of the log's keys
    since_ms  INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,     -- of the last refusal, as are the last two
    tries     INTEGER NOT NULL DEFAULT 0, -- since then, as of at_ms
    sqlstate  TEXT,                 -- NULL: leat itself could not make sense of the record
    message   TEXT NOT NULL,        -- '', and then sqlstate too: its first record has not been refused yet
    PRIMARY KEY (source, partition, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS leat_parked_keys (
    source      INTEGER NOT NULL,
    partition   INTEGER NOT NULL,
    hash        INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,   -- its timestamp, any number
    codec       INTEGER NOT NULL,   -- as in leat_parked: a chunk with one record
    record      BLOB NOT NULL,
    PRIMARY KEY (source, partition, hash, "offset"),
    FOREIGN KEY (source, partition, hash) REFERENCES leat_held
) STRICT;

CREATE TRIGGER IF NOT EXISTS leat_keep_held BEFORE DELETE ON leat_partitions
WHEN EXISTS (SELECT 1 FROM leat_held WHERE source = OLD.source AND partition = OLD.partition)
BEGIN
    SELECT RAISE(ABORT, 'the partition has held keys, whose records are nowhere else');
END;

-- Records that were refused for good, written in the transaction that moves their progress. Key and body are bytes,
-- because the record may not be valid text. Times are RFC 3339, UTC, with milliseconds.
CREATE TABLE IF NOT EXISTS leat_dead_letters (
    source      INTEGER NOT NULL,
    partition   INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    route       TEXT,
    key         BLOB,
    op          TEXT,
    headers     TEXT,               -- JSON
    body        BLOB,
    sqlstate    TEXT,               -- NULL: leat itself could not make sense of it
    message     TEXT NOT NULL,
    accepted_at TEXT NOT NULL,
    at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    control     INTEGER,            -- the control that skipped it; NULL: it was refused
    PRIMARY KEY (source, partition, "offset")
) STRICT, WITHOUT ROWID;

-- The newest first, however many there are.
CREATE INDEX IF NOT EXISTS leat_dead_letters_at ON leat_dead_letters (source, at);

CREATE INDEX IF NOT EXISTS leat_dead_letters_control ON leat_dead_letters (source, partition, control, "offset")
    WHERE control IS NOT NULL;

-- Dead letters that people have deleted: without its dead letter a record looks as if it had been applied. Those that a
-- control's newest ones replace are no deletions.
CREATE TABLE IF NOT EXISTS leat_removed_letters (
    source    INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    "offset"  INTEGER NOT NULL,
    at        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (source, partition, "offset")
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS leat_note_removed AFTER DELETE ON leat_dead_letters WHEN OLD.control IS NULL
BEGIN
    INSERT INTO leat_removed_letters (source, partition, "offset") VALUES (OLD.source, OLD.partition, OLD."offset")
        ON CONFLICT DO NOTHING;
END;

-- What operators have told leat to do with the records of a tenant, or of one row: to skip them, or to hold their keys, until a time. Changed by
-- `leat control`, read at each claim, and whenever the tables are looked at. Times are milliseconds since 1970.
CREATE TABLE IF NOT EXISTS leat_controls (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    source   INTEGER NOT NULL,
    "table"  TEXT NOT NULL,         -- as the configuration names it; '': a tenant's control
    what     TEXT NOT NULL,         -- tenant or key in the form of the log's keys: canonical, percent-encoded
    action   TEXT NOT NULL DEFAULT 'skip' CHECK (action IN ('skip', 'hold')),
    keep     INTEGER NOT NULL,      -- dead letters kept of what it skips in a partition: the newest
    since_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    reason   TEXT NOT NULL,         -- the operator's; '': none
    UNIQUE (source, "table", what)
) STRICT;

-- Controls that skipped records and have ended: what they skipped without keeping it looks as if it had been applied. One row for a
-- tenant or row, with its latest end; forgotten 90 days after that.
CREATE TABLE IF NOT EXISTS leat_ended_controls (
    source   INTEGER NOT NULL,
    "table"  TEXT NOT NULL,
    what     TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    UNIQUE (source, "table", what)
) STRICT;

CREATE TRIGGER IF NOT EXISTS leat_note_removed_control AFTER DELETE ON leat_controls WHEN OLD.action = 'skip'
BEGIN
    INSERT INTO leat_ended_controls (source, "table", what, until_ms)
        VALUES (OLD.source, OLD."table", OLD.what,
                min(OLD.until_ms, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)))
        ON CONFLICT DO UPDATE SET until_ms = max(until_ms, excluded.until_ms);
    DELETE FROM leat_ended_controls
        WHERE until_ms < CAST((julianday('now') - 2440587.5 - 90) * 86400000 AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS leat_note_changed_control AFTER UPDATE ON leat_controls WHEN OLD.action = 'skip'
BEGIN
    INSERT INTO leat_ended_controls (source, "table", what, until_ms)
        VALUES (OLD.source, OLD."table", OLD.what,
                min(OLD.until_ms, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)))
        ON CONFLICT DO UPDATE SET until_ms = max(until_ms, excluded.until_ms);
END;

-- The idempotency keys of writes that are applied, each by a hash of 128 bits (`a`, `b`) that its source and row are part of.
-- Those noted first are forgotten first, a few with each one that is noted.
CREATE TABLE IF NOT EXISTS leat_idempotency (
    id          INTEGER PRIMARY KEY,
    a           INTEGER NOT NULL,
    b           INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,   -- of what the write says
    noted_ms    INTEGER NOT NULL,   -- when the write was accepted, and never later than this process's clock
    UNIQUE (a, b)
) STRICT;

-- Reports of the processes that apply to this file, for `leat status`. One row per process; nothing depends on
-- it. `at` and clock_ms are milliseconds since 1970.
CREATE TABLE IF NOT EXISTS leat_workers (
    source     INTEGER NOT NULL,
    instance   TEXT NOT NULL,       -- made by each process when it starts
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    at         INTEGER NOT NULL,    -- the last report
    clock_ms   INTEGER NOT NULL,    -- the same by the process's clock
    said       TEXT NOT NULL CHECK (length(said) <= 65536), -- JSON, as in PostgreSQL
    PRIMARY KEY (source, instance)
) STRICT, WITHOUT ROWID;
