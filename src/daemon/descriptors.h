/*
 * descriptors.h - how many files the process may have open, and how many of them clients of the
 * edge may take. limits.connections bounds the connections of clients; were it higher than what the
 * process may open, clients would leave none for the admin listener, Kafka and the shards.
 */
#ifndef LEAT_DAEMON_DESCRIPTORS_H
#define LEAT_DAEMON_DESCRIPTORS_H

#include "config/config.h"

/* The process's own need: its own files, the connections of the admin listener, Kafka and the
 * shards. */
uint64_t leat_descriptors_kept(const leat_config *config);
/* How many of `limit` clients may have: as many as are wanted, but at most those that the process
 * does not need itself. 0: too few are left. */
uint64_t leat_descriptors_for_clients(uint64_t limit, uint64_t kept, uint64_t wanted);

/* Raises the soft limit of this process to the hard one. Returns the new limit; UINT64_MAX: there
 * is none, or it is not known. */
uint64_t leat_descriptors_raise_limit(void);

/*
 * Raises the soft limit to the hard one. With an edge, config->edge_connections is lowered to what
 * fits, with a warning; -1 when almost none are left. Without an edge, a limit that is too low is
 * only a warning.
 */
int leat_descriptors_prepare(leat_config *config, bool with_edge,
                             leat_error *error) LEAT_MUST_CHECK;

#endif
