/*
 * metric_table.c - the metrics, one row each, and what the kinds of them are. A label has few
 * values, known when the process starts: codes, causes, shards, partitions; never a tenant or a
 * key.
 */
#include "ops/metric_table.h"

#include <string.h>

#define US INT64_C(1)
#define MS (1000 * US)
#define S  (1000 * MS)

/* Every bound prints as a short decimal that all versions of Prometheus spell alike (with one below
 * 0.0001 they differ). */
static const int64_t latency_us[] = {100 * US, 250 * US,  500 * US, 1 * MS,   2500 * US, 5 * MS,
                                     10 * MS,  25 * MS,   50 * MS,  100 * MS, 250 * MS,  500 * MS,
                                     1 * S,    2500 * MS, 5 * S,    10 * S,   30 * S,    60 * S};
static const int64_t lag_ms[] = {5,      10,     25,     50,      100,    250,   500,
                                 1000,   2500,   5000,   10000,   15000,  30000, 60000,
                                 120000, 300000, 600000, 1800000, 3600000};
static const int64_t sizes[] = {1,   2,   4,    8,    16,   32,   64,   128,
                                256, 512, 1024, 2048, 4096, 8192, 16384};

#define BOUNDS(of) .bounds = (of), .bound_count = sizeof(of) / sizeof *(of)

static const leat_metric_shape shapes[LEAT_METRIC_KIND_COUNT] = {
    [LEAT_METRIC_COUNTER] = {.type = "counter", .scale = 1},
    [LEAT_METRIC_COUNTER_US] = {.type = "counter", .scale = 1000000},
    [LEAT_METRIC_GAUGE] = {.type = "gauge", .scale = 1},
    [LEAT_METRIC_GAUGE_MS] = {.type = "gauge", .scale = 1000},
    [LEAT_METRIC_GAUGE_US] = {.type = "gauge", .scale = 1000000},
    [LEAT_METRIC_LATENCY] = {.type = "histogram", .scale = 1000000, BOUNDS(latency_us)},
    [LEAT_METRIC_LAG] = {.type = "histogram", .scale = 1000, BOUNDS(lag_ms)},
    [LEAT_METRIC_SIZE] = {.type = "histogram", .scale = 1, BOUNDS(sizes)},
};

_Static_assert(sizeof latency_us / sizeof *latency_us <= LEAT_HISTOGRAM_BUCKETS, "room");
_Static_assert(sizeof lag_ms / sizeof *lag_ms <= LEAT_HISTOGRAM_BUCKETS, "room");
_Static_assert(sizeof sizes / sizeof *sizes <= LEAT_HISTOGRAM_BUCKETS, "room");

#define PROCESS(of) LEAT_METRIC_OF_PROCESS, LEAT_METRIC_##of
#define EDGE(of)    LEAT_METRIC_OF_EDGE, LEAT_METRIC_##of
#define SHARD(of)   LEAT_METRIC_OF_SHARD, LEAT_METRIC_##of, "worker,shard"
#define WORKER(of)  LEAT_METRIC_OF_WORKER, LEAT_METRIC_##of, "worker"

static const leat_metric metrics[] = {
    {"leat_build_info", LEAT_METRIC_OF_PROCESS, LEAT_METRIC_GAUGE, "version",
     "1, and the version of leat as a label.", NULL},
    {"leat_start_time_seconds", PROCESS(GAUGE_MS), "", "When the process began, as Unix time.",
     "It changes with each start: `changes(leat_start_time_seconds[30m])`."},
    {"leat_trace_spans_exported_total", PROCESS(COUNTER), "",
     "Spans that the receiver of traces has taken.", NULL},
    {"leat_trace_spans_dropped_total", PROCESS(COUNTER), "reason",
     "Spans that the receiver of traces has not taken.",
     "`queue_full`: more than `tracing.queue` waited. `unreachable`: it took nothing for a minute. `refused`: its answer to them was "
     "final; the log has it. `rejected`: it took others of the request. `ended`: the process ended first."},
    {"leat_trace_forced_cut_total", PROCESS(COUNTER), "",
     "Requests that were not sampled although their caller wanted it.",
     "Beyond `tracing.forced_per_second`."},

    {"leat_requests_total", EDGE(COUNTER), "code",
     "Writes by the status code of their answer: requests, and items of batches.", NULL},
    {"leat_accept_to_durable_seconds", EDGE(LATENCY), "route",
     "From a request's last byte to its record being durable in the log.",
     "By the name of the route; only what the log has taken."},
    {"leat_edge_in_flight", EDGE(GAUGE), "", "Requests that wait for the log.", NULL},
    {"leat_edge_oldest_in_flight_seconds", EDGE(GAUGE_MS), "",
     "How long the oldest of them has waited, or a little longer; 0: none waits.",
     "A log that answers keeps it small, however many there are."},
    {"leat_edge_limited_total", EDGE(COUNTER), "by", "Writes answered 429, by what was too much.",
     "`tenant`, `key` (row), `token`: one of them writes more often than `limits.tenant`, `limits.key` or `limits.token` "
     "allows. Of writes that go into the log: `parked`: a tenant fills its shard with parked records; `lag`: much of what waits "
     "for a shard beyond `limits.lag` is a tenant's. Once a minute a log line names the one that was refused most often."},
    {"leat_edge_tokens_verified_total", EDGE(COUNTER), "",
     "JSON Web Tokens whose signature was checked.",
     "A good one is remembered until it expires, at most 2048 at a time."},
    {"leat_edge_waiting", EDGE(GAUGE), "", "Requests that wait for a write to be applied.",
     "`Prefer: wait` and `GET /writes/TOKEN`; at most `limits.waiting`."},
    {"leat_edge_waits_total", EDGE(COUNTER), "outcome",
     "Requests that waited for a write, by what they were told of it.",
     "`applied`, `dead_letter`, `held`, `skipped`, `pending` (their time passed first, or their client left), and `refused`: "
     "writes that could not wait because there were too many, or the edge drained."},
    {"leat_edge_wait_seconds", EDGE(LATENCY), "",
     "How long requests have waited for their write, after the log had it.", NULL},
    {"leat_edge_write_questions_total", EDGE(COUNTER), "",
     "Questions to shards about writes, each about all that wait there.", NULL},
    {"leat_sync_writes_total", EDGE(COUNTER), "outcome",
     "Writes to routes whose writes go to the database, by what became of them.",
     "`applied`, `repeated` (by its idempotency key; nothing was written), `conflict` (422: its key is another write's), `refused` "
     "(422), `not_now` (503), `unknown` (504)."},
    {"leat_shadow_writes_total", EDGE(COUNTER), "outcome",
     "Writes that were applied to a table that has a shadow, by whether the log has them for it.",
     "`appended`, `lost`: the log did not take them, or their tenant is refused there for now (429 on a route that goes into it), or "
     "the database's answer was lost (504); and the shadow table differs from now on, in the last case if they were applied."},
    {"leat_sync_seconds", EDGE(LATENCY), "",
     "From the last byte of such a write to the database's answer.", NULL},
    {"leat_sync_waiting", EDGE(GAUGE), "", "Such writes that are not answered yet.", NULL},
    {"leat_edge_batches_total", EDGE(COUNTER), "", "Batches begun; their items are requests, too.",
     NULL},
    {"leat_edge_batches_open", EDGE(GAUGE), "", "Batches being received and answered.", NULL},
    {"leat_edge_limit", EDGE(GAUGE), "of",
     "The most that there may be at once of what the edge holds in memory.",
     "`in_flight`, `batches`, `connections`: beside `leat_edge_in_flight`, `leat_edge_batches_open`, "
     "`leat_edge_connections`."},
    {"leat_edge_connections", EDGE(GAUGE), "", "Open client connections.", NULL},
    {"leat_edge_connections_accepted_total", EDGE(COUNTER), "", "Client connections accepted.",
     NULL},
    {"leat_edge_connections_refused_total", EDGE(COUNTER), "",
     "Client connections answered 503 because there were too many.",
     "Already `limits.connections`."},
    {"leat_edge_malformed_total", EDGE(COUNTER), "",
     "Requests refused for breaking HTTP or its limits.",
     "400, 408, 413, 414, 431, ...; not in `leat_requests_total`."},
    {"leat_edge_timeouts_total", EDGE(COUNTER), "", "Clients cut off because they were too slow.",
     "Of HTTP/2 also requests."},
    {"leat_edge_protocol_connections_total", EDGE(COUNTER), "protocol",
     "Client connections by the protocol that they began with.", "`http/1.1`, `h2`."},
    {"leat_edge_streams_total", EDGE(COUNTER), "", "Requests that came over HTTP/2.", NULL},
    {"leat_edge_tls_handshakes_total", EDGE(COUNTER), "", "TLS handshakes that were completed.",
     NULL},
    {"leat_edge_tls_resumed_total", EDGE(COUNTER), "",
     "Of these handshakes, those that resumed a session.",
     "By a ticket of an earlier one, which costs less."},
    {"leat_edge_tls_failures_total", EDGE(COUNTER), "",
     "Connections that ended by a fault of TLS, most in the handshake.",
     "The client speaks no TLS, does not trust the certificate, has none of its own."},
    {"leat_edge_tls_certificate_expires_seconds", EDGE(GAUGE_MS), "",
     "When the edge's certificate ends, as Unix time; where `http.tls` is set.",
     "With those between it and a root, the first that ends. More than two weeks ahead: "
     "`leat_edge_tls_certificate_expires_seconds - time()`."},
    {"leat_edge_log_silent_seconds", EDGE(GAUGE_MS), "",
     "How long no broker has answered the edge; 0: they answer.", "0 below 6 s."},
    {"leat_edge_log_clients_renewed_total", EDGE(COUNTER), "",
     "Clients of the log that another one took the place of.", NULL},
    {"leat_log_refusals_total", EDGE(COUNTER), "cause",
     "Records that the log did not take, by cause.",
     "504s are among them. `authorization` (WRITE on the topic is missing), `timestamp` (the edge's clock), `policy` (the "
     "brokers' rules for records), `too_large`, `too_few_replicas`, `no_leader`, `timeout` (cause unknown), `other`. A log "
     "line reports each cause with its count, at most once a minute."},

    {"leat_time_lag_seconds", SHARD(GAUGE_MS),
     "Now minus the accept time of the oldest record known not to be applied.",
     "It keeps growing while the shard is down; after a start during the outage it counts from that start. Absent, as the "
     "message lag is, if the worker holds no partition of the shard."},
    {"leat_apply_lag_seconds", SHARD(LAG), "From a record's acceptance to its being applied.",
     "By the clock that stamped it and the worker's. Records that become dead letters, are kept or left out do not count."},
    {"leat_message_lag", SHARD(GAUGE),
     "Records above the low water, of which some may be applied already, and parked ones below it.",
     "Summed over the partitions held: the log's end minus (low water + 1); everything up to the low water is applied or "
     "parked. Records above it may be applied, too, because subpartitions overtake each other; parked ones above it count "
     "once. Before a partition's first claim its low water is unknown, and its whole log counts. Offsets without a record "
     "(transaction markers, aborted records) count until they are read past; it reaches 0 whatever is at the end. The end "
     "is queried every 5 s."},
    {"leat_subpartitions_stalled", SHARD(GAUGE),
     "Subpartitions whose first record was tried in vain: waiting, or being tried again.",
     "Up to `log.subpartitions` in a partition. The log and `leat status` show which record and why."},
    {"leat_stalled_seconds", LEAT_METRIC_OF_SHARD, LEAT_METRIC_GAUGE_MS, "worker,shard,partition",
     "Of a partition where something is tried in vain: for how long.",
     "Absent for partitions where nothing is."},
    {"leat_lag_estimate_seconds", SHARD(GAUGE_MS),
     "How long what waits will take, at the rate of late.",
     "Records that are read and not applied, parked, or not read yet, divided by what was applied a second lately, while "
     "there was something to apply all the time; without those of stalled subpartitions and stopped partitions. Absent "
     "while that rate is not known."},
    {"leat_catch_up_seconds", SHARD(GAUGE_MS),
     "When the shard will have caught up, at the rates of late: nothing waits then but what has just come.",
     "What waits, divided by what `leat_drain_records_per_second` is above `leat_arrival_records_per_second`; without "
     "stalled subpartitions while others get on. A year (31536000): never, because as much comes as is applied, nothing has "
     "been applied for 6 s, or a partition is stopped. Absent while a rate is not known."},
    {"leat_drain_records_per_second", SHARD(GAUGE),
     "Records that the shard gets applied in a second while there is something to apply all the time.",
     "The mean of the last times in which that was so; absent before the first. 0: nothing has been applied for 6 s, "
     "although something waits. Records that become dead letters, are kept or "
     "left out are among them."},
    {"leat_arrival_records_per_second", SHARD(GAUGE),
     "Records that have come into the log in a second, for the partitions held; the mean of about ten seconds.",
     "Absent for some seconds after the partitions held have changed."},
    {"leat_fetch_latency_seconds", SHARD(LAG),
     "From a record's acceptance to its being read from the log.",
     "What brokers, network and the wait for room in memory have of `leat_apply_lag_seconds`; the rest is the wait for the shard "
     "and the database. Without their share only while `leat_partitions_paused` is 0: a full memory waits for them. By the clock that stamped it and the worker's."},
    {"leat_incident_signature", SHARD(GAUGE),
     "1: the lag has grown for 30 s while the shard was kept from working; else 0.",
     "By a lock, a record, the shard: `/culprits` and a line of the log say by whom, as far as is known. A shard is at work, "
     "however slow, while records get applied and all its connections (or the worker) are busy; here that was so for less "
     "than a fifth of the time."},
    {"leat_parked_records", SHARD(GAUGE),
     "Records that wait in the shard because they could not be applied.",
     "What is [parked](contention.md), of the partitions held."},
    {"leat_parked_bytes", SHARD(GAUGE), "Bytes of parked records, as stored.", NULL},
    {"leat_parked_limit_bytes", SHARD(GAUGE), "The most that these may be.",
     "`shards[].parked_max`, of which each partition held has an equal share."},
    {"leat_parked_chunks", SHARD(GAUGE), "Rows that parked records are in.", "Of `leat.parked`."},
    {"leat_parked_subpartitions", SHARD(GAUGE), "Subpartitions with parked records.", NULL},
    {"leat_parked_oldest_seconds", SHARD(GAUGE_MS),
     "Now minus the accept time of the oldest parked record, or a little more.",
     "Absent while nothing is parked."},
    {"leat_parked_full_in_seconds", SHARD(GAUGE_MS),
     "When the first partition will have used up its share of parked_max, at the rate of the last minute.",
     "Or a subpartition its part of that. Absent while that cannot be foreseen."},
    {"leat_parked_relation_bytes", SHARD(GAUGE),
     "What the table of parked records takes up, with what was deleted and cannot be given back yet.",
     "`leat.parked` on the server's disk, with indexes; absent for SQLite."},
    {"leat_partitions_parked_full", SHARD(GAUGE),
     "Partitions that are not read on because their share of parked_max is used up.", NULL},
    {"leat_held_keys", SHARD(GAUGE),
     "Keys whose records are kept in the shard, counted there every 2 s.",
     "Because one was refused (`on_refused: hold`). Kept writes count in neither lag."},
    {"leat_held_keys_limit", SHARD(GAUGE), "The most that these may be.",
     "4,096 in each partition held, 256 of them in one subpartition."},
    {"leat_held_full_subpartitions", SHARD(GAUGE),
     "Subpartitions with a record that waits because there is no room for more of held rows.",
     "Neither for another row nor for what follows of one: `leat_held_keys_limit`, `leat_kept_limit_bytes`."},
    {"leat_kept_records", SHARD(GAUGE),
     "Records that are kept of held keys, of the partitions held, counted in the shard every 2 s.",
     "Less often where counting takes longer than a tenth of a second."},
    {"leat_kept_bytes", SHARD(GAUGE), "Bytes of these records, as stored.", NULL},
    {"leat_kept_limit_bytes", SHARD(GAUGE), "The most that these may be.",
     "`shards[].held_max`, of which each partition held has an equal share."},
    {"leat_idempotency_bytes", SHARD(GAUGE),
     "What the idempotency keys that are noted take up, of all sources.",
     "On the server's disk, with indexes. See `apply.idempotency_lifetime`; absent for SQLite."},
    {"leat_controls_active", SHARD(GAUGE),
     "Controls of tenants and keys (`leat control`) in effect in the shard.",
     "See [leaving out a tenant or a row](operations.md#leaving-out-a-tenant-or-a-row)."},
    {"leat_partitions_paused", SHARD(GAUGE),
     "Partitions that are not read on because what they may hold in memory is full.",
     "Normal for moments while a backlog is read."},
    {"leat_shard_connections", SHARD(GAUGE), "Usable connections to the shard.", NULL},
    {"leat_shard_limit", SHARD(GAUGE),
     "Most batches of several subpartitions that the shard is given at once.",
     "At most `leat_shard_connections`, fewer while batches take more than twice as long as they did "
     "([fairness.md](design/fairness.md#how-much-a-shard-is-asked-to-do))."},
    {"leat_shard_batch_seconds", SHARD(GAUGE_US), "How long the last batches took, the median.",
     NULL},
    {"leat_batch_records", SHARD(SIZE), "Records in the batches that were committed.",
     "`rate(leat_batch_records_sum) / rate(leat_rows_total)` is the fold ratio: records for each row write."},
    {"leat_shard_database_seconds_total", SHARD(COUNTER_US),
     "Time from giving jobs to the shard until they were answered, all together.",
     "Its rate is the number of connections that are busy on average."},
    {"leat_shard_errors_total", LEAT_METRIC_OF_SHARD, LEAT_METRIC_COUNTER, "worker,shard,class",
     "Jobs that the shard has refused, or that were lost, by the class of the SQLSTATE.",
     "The first two characters: `08`, `22`, `23`, `25`, `40`, `42`, `53`, `54`, `55`, `57`, `58`, `XX`, `LT` (leat's own), or "
     "`other`; `none`: there is no SQLSTATE, as of a connection that was lost."},
    {"leat_shard_held_records", SHARD(GAUGE), "Records of the shard that are held in memory.",
     NULL},
    {"leat_shard_held_bytes", SHARD(GAUGE), "Bytes of these records.",
     "With several shards each may have half of `apply.memory`."},
    {"leat_shard_held_limit_bytes", SHARD(GAUGE), "The most that these may be.",
     "A partition may hold as much as it leaves free."},
    {"leat_shard_breaker_open", SHARD(GAUGE),
     "1: the shard answers with outages, and one job is tried at a time; else 0.", NULL},
    {"leat_shard_connections_busy", SHARD(GAUGE),
     "Connections to the shard with a job that is not answered yet.",
     "If all are busy for long, the shard is slow or something is locked."},
    {"leat_shard_connections_idle", SHARD(GAUGE), "Usable connections to the shard without a job.",
     NULL},
    {"leat_shard_silent_seconds", SHARD(GAUGE_MS),
     "How long the shard has answered nothing though it should; 0: it answers.",
     "A question on another connection included."},
    {"leat_rows_total", SHARD(COUNTER), "Row writes committed.", NULL},
    {"leat_patches_dropped_total", SHARD(COUNTER),
     "PATCHes of missing rows, of routes with patch: existing: dropped.", NULL},
    {"leat_shard_connects_total", SHARD(COUNTER), "Connections made to the shard.", NULL},
    {"leat_shard_connect_failures_total", SHARD(COUNTER), "Connection attempts that failed.", NULL},
    {"leat_holders_terminated_total", SHARD(COUNTER),
     "Sessions of leat's own that were ended because they kept a partition from being claimed.",
     NULL},

    {"leat_records_unaccounted", WORKER(GAUGE),
     "Records that the worker took from the log and cannot account for: 0, or there is a fault in leat.",
     "Taken = in memory + applied + left out by a control + parked + kept of held keys + dead letters + dropped to be read "
     "again. Any other value than 0 is a reason to run `leat verify` and to report it."},
    {"leat_memory_bytes", LEAT_METRIC_OF_WORKER, LEAT_METRIC_GAUGE, "worker,budget",
     "Bytes of what is held in memory, by budget.",
     "`records`: read from the log and not applied. `parked`: records that were parked, read back to be applied."},
    {"leat_memory_limit_bytes", LEAT_METRIC_OF_WORKER, LEAT_METRIC_GAUGE, "worker,budget",
     "The most that these may be; a record that is larger passes alone.",
     "`apply.memory`, and a quarter of it beside that for what was parked."},
    {"leat_memory_records", LEAT_METRIC_OF_WORKER, LEAT_METRIC_GAUGE, "worker,budget",
     "Records that are held in memory, by budget.", NULL},
    {"leat_memory_limit_records", LEAT_METRIC_OF_WORKER, LEAT_METRIC_GAUGE, "worker,budget",
     "The most that these may be.", "`apply.records`, and a quarter of it likewise."},
    {"leat_partitions_held", WORKER(GAUGE), "Partitions assigned to this worker.", NULL},
    {"leat_partitions_stopped", WORKER(GAUGE),
     "Partitions stopped by an error that needs a person.",
     "All partitions of the topic, held or not, if the topic is gone. Meanwhile `/readyz` on the admin port is 503 and names "
     "them with the reason."},
    {"leat_tables_stopped", WORKER(GAUGE),
     "Tables with too many dead letters: what they refuse waits for a person.",
     "Counted in each shard, where a larger share than `apply.dead_letters_percent` is refused. `/readyz` does not count "
     "it."},
    {"leat_shards_halted", WORKER(GAUGE),
     "Shards with an error that is not understood: one batch is tried there.",
     "Until it gets another answer. `/readyz` does not count it."},
    {"leat_log_silent_seconds", WORKER(GAUGE_MS),
     "How long no broker has answered; 0: they answer.", "0 below 10 s."},
    {"leat_log_fetched_records", WORKER(GAUGE),
     "Records fetched from Kafka that the worker has not taken yet, about.",
     "0 while there is a lag: the brokers or the network do not deliver more. Many: the worker does not take them, because "
     "its memory is full or it is busy. Always 0 with the built-in log."},
    {"leat_log_clients_renewed_total", WORKER(COUNTER),
     "Clients of the log that another one took the place of.", NULL},
    {"leat_clock_ahead_seconds", WORKER(GAUGE_MS),
     "How far records that were read in the last minute come from the future; 0: they do not.",
     "A clock is ahead of this machine's: an edge's or, where the topic has the brokers' time, a broker's. Time lags are too "
     "small by as much. From 1 s on it is logged. Of a clock that is behind nothing can be told."},
    {"leat_worker_busy_seconds_total", WORKER(COUNTER_US),
     "Time that the worker's loop had something to do.", "Of one processor, at most."},
    {"leat_worker_idle_seconds_total", WORKER(COUNTER_US),
     "Time that the worker's loop has waited for something to do.", NULL},
    {"leat_records_applied_total", WORKER(COUNTER),
     "Records whose effect is committed in their shard.", NULL},
    {"leat_records_taken_total", WORKER(COUNTER), "Records taken into memory from the log.",
     "Those that are read again after a restart, a rebalance or a lost connection are counted again, unless they are "
     "skipped."},
    {"leat_records_dropped_total", WORKER(COUNTER),
     "Records dropped from memory to be read again, because their partition was given back or claimed anew.",
     NULL},
    {"leat_records_skipped_total", WORKER(COUNTER), "Records read again that were applied before.",
     "After a restart, a rebalance or a lost connection."},
    {"leat_records_skipped_by_control_total", WORKER(COUNTER),
     "Records that `leat control` has had left out; their progress is committed.",
     "Not among those applied."},
    {"leat_records_repeated_total", WORKER(COUNTER),
     "Records that were not written because a write with their idempotency key is.",
     "Not among those applied."},
    {"leat_records_conflicting_total", WORKER(COUNTER),
     "Of these, records that say something else than that write.", "They are dead letters."},
    {"leat_batches_repeated_total", WORKER(COUNTER),
     "Batches taken back and sent again because records of them turned out to be repeats, or none any more.",
     NULL},
    {"leat_batches_total", WORKER(COUNTER), "Batches committed.", NULL},
    {"leat_batches_fenced_total", WORKER(COUNTER),
     "Batches refused because somebody else had claimed the partition.", NULL},
    {"leat_batches_unknown_total", WORKER(COUNTER),
     "Batches whose outcome was unknown; their partitions were claimed again.", NULL},
    {"leat_batches_failed_total", WORKER(COUNTER), "Batches the database refused with an error.",
     "They are tried again."},
    {"leat_batches_stale_total", WORKER(COUNTER),
     "Batch results that came for a partition dropped meanwhile.",
     "It was given away or claimed again; they are ignored."},
    {"leat_database_went_back_total", WORKER(COUNTER),
     "Times a shard had lost a commit that it had acknowledged.",
     "By a failover, or with `shards[].commit: async` by a crash of PostgreSQL; the records were read again. Not counted: what "
     "was lost when all connections to the shard ended."},
    {"leat_dead_letters_total", WORKER(COUNTER),
     "Records refused for good, kept in leat.dead_letters.", "`leat dead list` shows them."},
    {"leat_keys_held_total", WORKER(COUNTER), "Times that a refused record has made its key held.",
     NULL},
    {"leat_records_kept_total", WORKER(COUNTER),
     "Records of held keys that were kept in leat.parked_keys.", "The refused ones among them."},
    {"leat_records_retried_total", WORKER(COUNTER),
     "Kept records that the worker has applied, or left out for a control.",
     "While there was patience. What `leat dead retry` applies is not among them."},
    {"leat_keys_let_go_total", WORKER(COUNTER), "Held keys of which the worker has applied all.",
     "Without those of `leat dead retry`."},
    {"leat_records_parked_total", WORKER(COUNTER), "Records that were parked in their shard.",
     NULL},
    {"leat_records_unparked_total", WORKER(COUNTER),
     "Records applied, or kept as dead letters, that had been parked.", NULL},
    {"leat_parks_total", WORKER(COUNTER), "Transactions that parked records.", NULL},
    {"leat_unparks_total", WORKER(COUNTER), "Transactions that applied parked records.", NULL},
    {"leat_parked_loads_total", WORKER(COUNTER), "Chunks of parked records that were read.", NULL},
    {"leat_park_failures_total", WORKER(COUNTER),
     "Transactions that parked records, and reads of them, that failed with an error.", NULL},
    {"leat_claims_total", WORKER(COUNTER), "Claims of partitions.",
     "On arrival, when the shard is back, after each fenced or unknown batch. A steady rise means trouble."},
    {"leat_compactions_total", WORKER(COUNTER), "Compactions of the progress journal.",
     "The progress rows of a partition are merged into one."},
    {"leat_commit_failures_total", WORKER(COUNTER), "Offset commits that the group refused.",
     "Only Kafka's own displays use them."},
};

const leat_metric *leat_metric_table(size_t *ret_count)
{
    *ret_count = sizeof metrics / sizeof *metrics;
    return metrics;
}

const leat_metric_shape *leat_metric_shape_of(leat_metric_kind kind)
{
    LEAT_ASSERT(kind < LEAT_METRIC_KIND_COUNT);
    return &shapes[kind];
}

/* ---- rules ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* In base units, and named after them. */
static bool has_its_unit(const leat_metric *metric, const leat_metric_shape *shape)
{
    static const char *const others[] = {"_ms",       "_us",       "_milliseconds",
                                         "_ms_total", "_us_total", "_percent"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ends_with(metric->name, others[i]))
            return false;
    bool is_time = ends_with(metric->name, "_seconds") || ends_with(metric->name, "_seconds_total");
    return is_time == (shape->scale > 1);
}

bool leat_metric_is_valid(const leat_metric *metric)
{
    const char *name = metric->name;
    const leat_metric_shape *shape = leat_metric_shape_of(metric->kind);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) || *name == '_' ||
        (*name >= '0' && *name <= '9'))
        return false;
    if (ends_with(name, "_total") != (strcmp(shape->type, "counter") == 0))
        return false;
    return has_its_unit(metric, shape) && !ends_with(name, "_count") && !ends_with(name, "_sum") &&
           !ends_with(name, "_bucket") && !ends_with(name, "_created") && metric->help &&
           !strpbrk(metric->help, "\\\"\n");
}
