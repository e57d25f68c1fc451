/*
 * commit_sql.h - whether a transaction waits at its end until its commit is on the disk. The
 * setting ends with the transaction: one of the session would reach other jobs, and behind a pooler
 * other programs.
 */
#ifndef LEAT_SINK_PG_COMMIT_SQL_H
#define LEAT_SINK_PG_COMMIT_SQL_H

/* Conditions, which are always met. The first one: it does not wait. */
#define LEAT_PG_COMMITS_ASYNC_SQL                                                                  \
    "pg_catalog.set_config('synchronous_commit', 'off', true) IS NOT NULL"
/* It waits, also where the role or the database says `off`, and for what they say otherwise: what
 * is applied is told, and forgotten by the log. */
#define LEAT_PG_COMMITS_SYNC_SQL                                                                   \
    "CASE pg_catalog.current_setting('synchronous_commit') WHEN 'off'"                             \
    " THEN pg_catalog.set_config('synchronous_commit', 'on', true) ELSE '' END IS NOT NULL"

/* What a transaction has read was committed before it, so it is durable once the transaction's own
 * commit is. That waits for the disk only if the transaction has written something: this is the
 * least that there is, a message that nobody listens for. */
#define LEAT_PG_WRITES_LEAST_SQL "pg_catalog.pg_logical_emit_message(true, 'leat', '')"

/* A transaction that changes something by hand. */
#define LEAT_PG_BEGIN_SYNC_SQL                                                                     \
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT " LEAT_PG_COMMITS_SYNC_SQL

#endif
