/*
 * log_identity.h - which log the process uses, and whether it is the one the shards were set up
 * for. Blocking. Every function returns 0, or -1 with a message.
 */
#ifndef LEAT_DAEMON_LOG_IDENTITY_H
#define LEAT_DAEMON_LOG_IDENTITY_H

#include "daemon/assemble.h"

/* Fills assembly->identity. Waits for the broker indefinitely and logs that, when `wait`; else it
 * tries once (1: the broker does not answer). A topic that does not exist is an error that names
 * `leat init`, and the built-in log's file one that names `leat run`. */
int leat_assembly_identify(leat_assembly *assembly, bool wait, leat_error *error) LEAT_MUST_CHECK;

/* Call it after leat_log_identify: a topic that has more partitions than the catalog file, or else
 * a shard, has recorded keeps as many as it was set up with; the others are neither written nor
 * read. leat_assembly_identify does it itself. */
void leat_assembly_limit_partitions(leat_assembly *assembly);

/* Of a topic that does not exist: -1 when a shard that answers was set up for one of that name,
 * which therefore was deleted. */
int leat_assembly_check_not_deleted(const leat_assembly *assembly,
                                    leat_error *error) LEAT_MUST_CHECK;
/* -1: the log has another number of partitions than the configuration says (when it does). */
int leat_assembly_check_partitions(const leat_assembly *assembly,
                                   leat_error *error) LEAT_MUST_CHECK;
/* -1: the topic's old records may be compacted away, so it cannot carry PATCH. 1: the brokers do
 * not say, `error` has why. */
int leat_assembly_check_compaction(const leat_assembly *assembly,
                                   leat_error *error) LEAT_MUST_CHECK;

/* The source as this configuration and log describe it, and an even layout. The placement is not
 * theirs to say: as stored (all 0). */
int leat_assembly_running_source(const leat_assembly *assembly, leat_source *ret_source,
                                 leat_layout *ret_layout, leat_error *error) LEAT_MUST_CHECK;
/* The log that was set up, as the catalog has it. */
leat_log_identity leat_assembly_stored_identity(const leat_assembly *assembly);

#endif
