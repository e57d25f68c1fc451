/*
 * shard.h - the blocking side of the sink seam, for start-up and commands: schema, source, catalog,
 * progress, dead letters. Behind it a PostgreSQL database (pg/: libpq, one connection a call, each
 * call bounded by the DSN's connect_timeout, 10 s when it has none; always the primary: a standby
 * alone counts as no answer) or a SQLite file (sqlite/). Any thread; messages never show a DSN.
 */
#ifndef LEAT_SINK_SHARD_H
#define LEAT_SINK_SHARD_H

#include "base/buf.h"
#include "record/catalog.h"
#include "record/controls.h"
#include "record/write_waits.h"

/* Where a shard is: one of the two. */
typedef struct leat_shard_address {
    const char *dsn;    /* PostgreSQL; may contain a password: never printed */
    const char *sqlite; /* a file */
} leat_shard_address;

/* Can the address be used at all? Without connecting. -1: a DSN that cannot be read, or that asks
 * for another server than the primary. */
int leat_shard_check_address(leat_shard_address at, leat_error *error) LEAT_MUST_CHECK;

/* Reads the named tables ("name" by search_path without schema leat, or "schema.name") with their
 * columns, types, defaults and primary key. A table that does not exist, has no primary key, or is
 * not a table (partitioned ones are) is an error that names it; then ret[0].label is its label, or
 * "" where no table is at fault. 1: the same for a table that is UNLOGGED, or has a partition that
 * is: it would lose writes. */
int leat_shard_read_tables(leat_shard_address at, const char *const *labels, uint32_t count,
                           leat_table *ret, leat_error *error) LEAT_MUST_CHECK;

/* The content of leat.sources. 0 found, 1 schema leat or the source does not exist, 2 the database
 * does not answer now (with a message), -1 error: no permission, a schema leat of another version,
 * ... `ret_layout` and `ret_source` are filled by the topic's name. */
int leat_shard_read_source(leat_shard_address at, const char *topic, leat_source *ret_source,
                           leat_layout *ret_layout, leat_error *error) LEAT_MUST_CHECK;

/* The tenants that have an entry of their own, for a layout that leat_shard_read_source has given:
 * its layout->tenant_count of them. `ret`: the caller's to free, and the layout's to borrow; NULL:
 * there are none. 0, 2 the database does not answer now, -1 error: also when they are not those
 * that the source was set up with. */
int leat_shard_read_tenants(leat_shard_address at, const char *topic, leat_layout *layout,
                            leat_tenant_map **ret, leat_error *error) LEAT_MUST_CHECK;

/* The placement of the topic's source alone, also from a schema of an older version, which
 * leat_shard_read_source refuses. Returns as that does. */
int leat_shard_read_placement(leat_shard_address at, const char *topic, leat_placement *ret,
                              leat_error *error) LEAT_MUST_CHECK;

/* A database as it describes itself. */
typedef struct leat_shard_self {
    char database[64]; /* which one it is: the same text where two addresses lead to one, until its
                          server is started again; never that of a copy */
    char where[256];   /* the same for people: its name and host, or its file */
    char shard[LEAT_NAME_MAX + 1]; /* of the stored layout, the one whose partitions it holds; "":
                                      none yet */
} leat_shard_self;
/* 0, 2 the database does not answer now (with a message), -1 error: also when it holds partitions
 * of several shards. */
int leat_shard_read_self(leat_shard_address at, const char *topic, leat_shard_self *ret,
                         leat_error *error) LEAT_MUST_CHECK;
/* Is the database of `shard` used by no other shard, and was it set up for this one? `selves`: one
 * for each of the `count` names; an unknown one is all zero. -1: the message names both shards and
 * the remedy. */
int leat_shard_check_self(const char *const *names, const leat_shard_self *selves, uint32_t count,
                          uint32_t shard, leat_error *error) LEAT_MUST_CHECK;

/* Makes or updates schema `leat` and stores source, layout, tenant slots and the partitions of this
 * shard; idempotent. An existing source with another log identity, topic id, layout, hash or
 * subpartition count is an error with the difference and the remedy. Fills source->id. `source`
 * has the placement that a new one gets, which a stored one must have. `starts`:
 * the first offset each partition of the topic has now; progress begins there, so that whatever the
 * log loses later is noticed from the first start on. */
int leat_shard_init(leat_shard_address at, leat_source *source, const leat_layout *layout,
                    uint32_t shard, const int64_t *starts, leat_error *error) LEAT_MUST_CHECK;

/* The same up to its last step: everything is rolled back. Fails where the real one would. */
int leat_shard_rehearse_init(leat_shard_address at, leat_source *source, const leat_layout *layout,
                             uint32_t shard, const int64_t *starts,
                             leat_error *error) LEAT_MUST_CHECK;

/* Names the sessions of one consumer group on one source, in pg_stat_activity: source id and a hash
 * of the group. */
enum { LEAT_OWNER_SIZE = 32, LEAT_SESSION_NAME_SIZE = 64, LEAT_SESSION_HOST_MAX = 23 };
void leat_shard_owner(const leat_source *source, const char *group, char ret[LEAT_OWNER_SIZE]);
/* The application_name of this process's sessions: "leat OWNER HOST PID", of the host's name
 * LEAT_SESSION_HOST_MAX bytes at most. */
void leat_shard_session_name(const char *owner, char ret[LEAT_SESSION_NAME_SIZE]);
/* Two live groups on one source would fence each other indefinitely: 1 and a message that names a
 * session of another group, when there is one; 0 none (of a SQLite file always); -1 the database
 * does not answer. Progress is safe in any case. */
int leat_shard_refuse_others(leat_shard_address at, const leat_source *source, const char *group,
                             leat_error *error) LEAT_MUST_CHECK;

/* Compares the stored source with the running one, and the placement unless that is all 0: 0 equal,
 * -1 the message names the difference and what to do. */
int leat_shard_check_source(const leat_source *stored, const leat_layout *stored_layout,
                            const leat_source *running, const leat_layout *running_layout,
                            leat_error *error) LEAT_MUST_CHECK;

/* The state of a server as a session finds it: settings are those of its role and database. Of a
 * SQLite file, version and read_only. */
typedef struct leat_shard_server {
    char version[64]; /* of PostgreSQL or SQLite */
    char role[64];
    bool is_replica; /* session_replication_role: triggers and foreign keys are not fired */
    bool fsync;
    bool read_only; /* the server that answered does not take writes, or
                       default_transaction_read_only is on */
    bool is_standby;
    char time_limits[256];   /* settings that end leat's statements or sessions early, with their
                                values; "": none */
    char publications[256];  /* that leat.parked is in; "": none */
    int64_t connections_max; /* the most that the role may have: the least of the server's, the
                                database's and its own limit */
} leat_shard_server;
int leat_shard_read_server(leat_shard_address at, leat_shard_server *ret,
                           leat_error *error) LEAT_MUST_CHECK;
/* Appends the privileges that the role lacks on these tables and schema leat, and for answers about
 * commits that do not wait for the disk (`commits_async`): "INSERT, UPDATE on public.t; ...", and
 * the GRANT statements for them, one a line; nothing when it has all. SQLite has no privileges. */
int leat_shard_missing_privileges(leat_shard_address at, const leat_table *tables, uint32_t count,
                                  bool commits_async, leat_buf *ret_missing, leat_buf *ret_grants,
                                  leat_error *error) LEAT_MUST_CHECK;

/* A shard's record of one partition. */
typedef struct leat_shard_partition {
    uint32_t partition;
    int64_t epoch; /* claims so far */
    int64_t low;   /* everything up to this offset is applied or parked; moved by compactions, so a
                      few   seconds old */
    int64_t applied; /* the highest offset that is applied or parked; not everything below it need
                        be */
    int64_t parked;  /* records; as is the next, exact */
    int64_t parked_bytes;
    int64_t parked_below;     /* at most so many of the parked records are below `low` */
    int64_t parked_oldest_ms; /* none of them has a smaller timestamp; 0: there are none */
} leat_shard_partition;
/* Those of the topic in this shard, in order; owned by the caller (free). */
int leat_shard_read_progress(leat_shard_address at, const char *topic, leat_shard_partition **ret,
                             uint32_t *ret_count, leat_error *error) LEAT_MUST_CHECK;

/* A process of leat with sessions here, by pg_stat_activity; none for SQLite. */
typedef struct leat_shard_process {
    char name[64]; /* host and process id */
    uint32_t sessions;
    uint32_t busy; /* of them, in a statement now */
} leat_shard_process;

/* A row of leat.workers: the last report of a process that applies. */
typedef struct leat_shard_worker {
    char host[64];
    int64_t pid;
    int64_t heard_ms; /* that long ago, by the database's clock */
    /* the process's clock at the report: times in `report` are relative to it */
    int64_t clock_ms;
    char *report; /* JSON; owned */
} leat_shard_worker;

/* A process reports every LEAT_REPORT_EVERY_MS. One that was heard LEAT_REPORT_LATE_MS ago has
 * missed a report: it is gone, or hangs, and nothing is shown of what it said. Edges go by that for
 * LEAT_REPORT_STALE_MS, so that a shard that is late itself does not let in whom they keep out. The
 * row is swept after LEAT_REPORT_KEPT_MS, which is a macro because SQL quotes it. */
enum {
    LEAT_REPORT_EVERY_MS = 5000,
    LEAT_REPORT_LATE_MS = 2 * LEAT_REPORT_EVERY_MS,
    LEAT_REPORT_STALE_MS = 20000,
    LEAT_REPORT_BYTES_MAX = 65536,
};
#define LEAT_REPORT_KEPT_MS 600000

/* Of what a report says of catching up: what takes no longer than the first is on its way, not
 * behind; the second, a year, means that more comes than is applied, or hardly less. */
enum { LEAT_CATCH_UP_LEAST_MS = 2000 };
#define LEAT_CATCH_UP_NEVER_MS (INT64_C(365) * 24 * 3600 * 1000)

/* Sessions of leat's that wait for the same thing. */
typedef struct leat_shard_wait {
    bool is_commit; /* they wait for a synchronous standby, else for a lock that one session has */
    bool is_file;   /* for the lock of a SQLite file; then only the holder's pid and program
                       (application) are known */
    uint32_t count;
    int64_t pid; /* of the one that has waited for longest, as are the next two */
    int64_t waited_ms;
    char relation[136]; /* "": not known */
    /* The session that has the lock; fields that the server hides from this role are "". */
    int64_t holder_pid; /* 0: none: a prepared transaction has it, or it has gone meanwhile */
    char holder_application[64];
    char holder_user[64];
    char holder_state[40];
    char holder_since[24]; /* its transaction began then: RFC 3339, UTC */
    char holder_query[24]; /* its query began then */
    char standbys[256];    /* a commit: the setting, and the standbys that are connected */
} leat_shard_wait;

enum { LEAT_SHARD_WAITS_MAX = 8, LEAT_WAIT_TEXT_SIZE = 640 };
typedef struct leat_shard_waits {
    uint32_t count;
    leat_shard_wait waits[LEAT_SHARD_WAITS_MAX]; /* the longest first */
} leat_shard_waits;
/* "a session of leat (pid 5) has waited 3 s for a lock on t, which ... has". Returns `ret`. */
const char *leat_shard_describe_wait(const leat_shard_wait *wait, char ret[LEAT_WAIT_TEXT_SIZE]);

/* All held keys (held.h). */
typedef struct leat_shard_held {
    int64_t keys;
    int64_t records;  /* kept of them */
    int64_t bytes;    /* of these, as stored */
    int64_t since_ms; /* for how long the first of them has been held */
    char reason[300]; /* of its last refusal, for people: "23503: ..."; "": of none yet */
} leat_shard_held;

typedef struct leat_shard_work {
    int64_t dead_letters;
    leat_shard_held held;
    leat_control_set *controls; /* those that have not ended; owned. NULL: the topic is not known */
    uint32_t process_count;
    leat_shard_process *processes; /* owned */
    bool is_pooled; /* behind a pooler a session has the name of its last user: some may be missing,
                       some gone */
    uint32_t worker_count;
    leat_shard_worker *workers; /* owned; those that have not been swept, the newest first, 100 at
                                   most */
    leat_shard_waits waits; /* now, for a second and more; of a SQLite file the process that keeps
                               its lock, whether leat waits or not */
    bool is_closed;         /* a SQLite file that no process had open */
} leat_shard_work;
/* The current work in this shard for the topic. */
int leat_shard_read_work(leat_shard_address at, const char *topic, leat_shard_work *ret,
                         leat_error *error) LEAT_MUST_CHECK;
void leat_shard_work_fini(leat_shard_work *work);

/*
 * Reports of this process to a shard, over a connection of its own that stays open: a row of
 * leat.workers. Blocking; each call is bounded as those above are, and connects when it has to. One
 * thread at a time.
 */
typedef struct leat_shard_reporter leat_shard_reporter;

typedef struct leat_shard_report {
    const char *instance; /* a UUID as text */
    const char *host;
    int64_t pid;
    int64_t started_ms; /* since 1970 */
    int64_t clock_ms;   /* now */
    const char *json;   /* in ASCII, at most LEAT_REPORT_BYTES_MAX bytes */
} leat_shard_report;

/* Without connecting. */
leat_shard_reporter *leat_shard_reporter_new(leat_shard_address at, int32_t source_id);
int leat_shard_reporter_send(leat_shard_reporter *reporter, const leat_shard_report *report,
                             leat_error *error) LEAT_MUST_CHECK;
/* Removes the row over the existing connection, within two seconds: at the end of the process. */
int leat_shard_reporter_remove(leat_shard_reporter *reporter, const char *instance,
                               leat_error *error) LEAT_MUST_CHECK;
/* The waits, for a second and more, of sessions of this name (application_name). It loads the
 * server's lock manager: ask only when an answer is long overdue. */
int leat_shard_reporter_read_waits(leat_shard_reporter *reporter, const char *name,
                                   leat_shard_waits *ret, leat_error *error) LEAT_MUST_CHECK;
/* What is in effect there, like leat_shard_read_controls, over the same connection: this may be
 * done every second. */
int leat_shard_reporter_read_controls(leat_shard_reporter *reporter, leat_control_set **ret,
                                      leat_error *error) LEAT_MUST_CHECK;
/* What became of these writes, all by one snapshot; `ret` has `count` elements. A write to a
 * partition that is not in this shard is PENDING, and so is one that no batch has reached. A dead
 * letter that was removed since, and a write that was skipped without being kept, count as APPLIED:
 * the shard has nothing of them any more. `durably`: whatever is not PENDING is durable in the
 * shard before it is answered, however its batch was committed. */
int leat_shard_reporter_read_writes(leat_shard_reporter *reporter, bool durably,
                                    const leat_write_question *questions, uint32_t count,
                                    leat_write_answer *ret, leat_error *error) LEAT_MUST_CHECK;
/* Gives up its connection until the next call. */
void leat_shard_reporter_rest(leat_shard_reporter *reporter);
/* What the table of parked records takes up, of all sources, with its indexes and what was deleted
 * and cannot be given back. 1: such a shard gives back at once. */
int leat_shard_reporter_read_parked_size(leat_shard_reporter *reporter, uint64_t *ret_bytes,
                                         leat_error *error) LEAT_MUST_CHECK;
/* What of a partition is held. */
typedef struct leat_shard_held_count {
    uint32_t keys;
    uint64_t records;    /* kept of them; as are the next */
    uint64_t bytes;      /* as stored */
    uint64_t most_bytes; /* of the subpartition with the most */
    uint32_t most;       /* that one; meaningful while it has some */
} leat_shard_held_count;
/* `ret` has `partition_count` elements, all 0 for those of other shards. Reads all that is kept. */
int leat_shard_reporter_count_held(leat_shard_reporter *reporter, const leat_placement *placement,
                                   uint32_t partition_count, leat_shard_held_count *ret,
                                   leat_error *error) LEAT_MUST_CHECK;
/* What the first record of a held key was refused with. */
typedef struct leat_shard_key_note {
    uint32_t partition;
    int64_t hash;
    int64_t offset;   /* of that record */
    char sqlstate[6]; /* "": leat itself could not make sense of it */
    char message[256];
} leat_shard_key_note;
/* Writes it where `leat dead list --held` shows it; not if the key has another first record by now,
 * is held no longer, or is just being tried. */
int leat_shard_reporter_note_key(leat_shard_reporter *reporter, const leat_shard_key_note *note,
                                 leat_error *error) LEAT_MUST_CHECK;
typedef struct leat_shard_rotated {
    bool early;     /* keys were forgotten that something which waits may need */
    uint64_t bytes; /* what the noted ones take up */
} leat_shard_rotated;
/* Forgets idempotency keys that are older than their lifetime; to be called a few times in each
 * minute. `newest_ms`: since 1970, of the newest write with a key that the shard has applied past
 * the log; 0: none is known. -1, too, where batches were in the way: then not again for a minute.
 * 1: such a shard does it by itself. */
int leat_shard_reporter_rotate_keys(leat_shard_reporter *reporter, int64_t lifetime_ms,
                                    int64_t newest_ms, leat_shard_rotated *ret,
                                    leat_error *error) LEAT_MUST_CHECK;
void leat_shard_reporter_free(leat_shard_reporter *reporter);

/* A control that an operator wants (leat.controls). */
typedef struct leat_control_wish {
    const char *table; /* NULL: of a tenant; likewise below */
    const char *what;  /* tenant or key, canonical and percent-encoded */
    int64_t for_ms;    /* from now on, by the database's clock */
    bool holds;
    uint32_t keep;
    const char *reason; /* "": none */
} leat_control_wish;

typedef struct leat_control_put {
    int64_t id;
    bool was_there; /* it has another end now */
    bool is_other;  /* nothing was stored */
    char until[LEAT_CONTROL_TIME_SIZE];
} leat_control_put;

/* The controls of this shard that have not ended; to be dropped. */
int leat_shard_read_controls(leat_shard_address at, int32_t source_id, leat_control_set **ret,
                             leat_error *error) LEAT_MUST_CHECK;
/* Those that skipped records and have ended, one for a tenant or row: the 1000 with the latest
 * ends. Of each only `table`, `what` and `until_us` are set, which is its end as microseconds since
 * 1970 by the shard's clock. To be dropped. */
int leat_shard_read_ended_controls(leat_shard_address at, int32_t source_id, leat_control_set **ret,
                                   leat_error *error) LEAT_MUST_CHECK;
/* The tenants that processes at work report as such, as controls: `what` is the tenant, `keep` the
 * wait in seconds, and it ends when the report would be stale (so `until` is another with each
 * read, and only tells sets apart). To be dropped. */
int leat_shard_read_floods(leat_shard_address at, int32_t source_id, leat_control_set **ret,
                           leat_error *error) LEAT_MUST_CHECK;
/* Stores it, in place of one of the same tenant or key and with the same action. One that has the
 * other action stays as it is (`is_other`): held rows would go on being skipped, or the reverse. */
int leat_shard_put_control(leat_shard_address at, int32_t source_id, const leat_control_wish *wish,
                           leat_control_put *ret, leat_error *error) LEAT_MUST_CHECK;
/* `ret_was_there`: false when there was none that had not ended. */
int leat_shard_remove_control(leat_shard_address at, int32_t source_id, const char *table,
                              const char *what, bool *ret_was_there,
                              leat_error *error) LEAT_MUST_CHECK;

/* A row of leat.dead_letters. Texts may be NULL where the table allows it; all of it is owned. */
typedef struct leat_dead_letter {
    int32_t source; /* leat.sources.id */
    uint32_t partition;
    int64_t offset;
    int64_t at_us; /* since 1970 */
    char *at;      /* RFC 3339, UTC */
    char *accepted_at;
    char *route;
    char *op;
    char *headers; /* JSON */
    char *sqlstate;
    char *message;
    char *key; /* bytes, followed by a NUL; NULL: none */
    size_t key_size;
    char *body; /* likewise; NULL too when bodies were not requested */
    size_t body_size;
} leat_dead_letter;

typedef struct leat_dead_letters {
    uint32_t count;
    leat_dead_letter *letters;
} leat_dead_letters;

/* Which of them. */
typedef struct leat_dead_query {
    const char *topic;
    const char *routes; /* a JSON array of names; NULL: any, also none */
    int64_t partition;  /* -1: any */
    int64_t offset;     /* -1: any */
    uint32_t limit;     /* the newest */
    bool with_bodies;
} leat_dead_query;

/* Newest first. */
int leat_shard_dead_letters(leat_shard_address at, const leat_dead_query *query,
                            leat_dead_letters *ret, leat_error *error) LEAT_MUST_CHECK;
void leat_dead_letters_fini(leat_dead_letters *letters);

#endif
