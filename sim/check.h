/*
 * check.h - the checkers of the promises, at every step and at the end. Each has a file and a name
 * of its own, which a violation reports:
 *
 *   effects       no record's effect is missing when a later one of its subpartition is there, and
 *                 none is there twice
 *   order         the records of a key are applied in the order of the log, and parked in it
 *   keys          what is kept of held keys is there, with its key, and nothing of the key goes
 *                 before it
 *   progress      schema leat shows as applied exactly what is applied or parked, after each commit
 *   parked        each parked record is in one chunk, and the chunks hold nothing else
 *   commits       nothing is committed to the group above a record that no database has applied,
 *                 with that on its disk
 *   flight        one batch in flight per subpartition, under one claim
 *   breaker       a shard that answers everything with an outage is asked by one job at a time,
 *                 after pauses that differ
 *   fairness      a batch has only tenants whose records cost about the same, slow batches leave
 *                 half of the connections to others, and nobody is served while another one waits
 *                 that was served less
 *   turns         batches that must be alone take turns with those that several share; parks have a
 *                 quarter of a shard's connections, or of their time; what a claim has found parked
 *                 is not tried all at once; and a compaction that is not late goes after batches
 *   limits        how many batches a shard is given follows from those that say what it can do, and
 *                 is never less than two; and of the connections that all processes together may
 *                 have, each has its part
 *   locks         a subpartition whose row may be locked shares no batch, those that wait for
 *                 locked rows leave a connection to the others, or most of its time if there are
 *                 few, and a batch that several share does not wait for long
 *   ownership     no work for a partition that was given back, or in another shard's database
 *   scope         no shard is halted for records alone; nothing is parked where nothing gets
 *                 through, nor record by record, nor what is deep where it holds nobody up, or
 *                 does not fill the partition
 *   memory        records and bytes held stay below their bounds, and are released
 *   acknowledged  a write answered with 202 is in the log, one answered with 4xx or 503 is not
 *   dead_letters  only a record that the database refuses for good is kept as a dead letter, and
 *                 only when nothing newer was heard of the record or the shard; none is where its
 *                 route holds keys, or stops
 *   repeats       of the writes with one idempotency key one has an effect, whichever way they go,
 *                 and none counts as its repeat without it, or is told so of what a crash may take
 *                 back
 *   patience      a record that may be accepted later is not a dead letter before a process has
 *                 tried it for as long as it must, not counting the time in which it stood still
 *   room          nothing is parked beyond a partition's and a subpartition's share of parked_max;
 *                 and only what stalls, then nothing, while what was parked takes up the disk
 *   admission     a tenant is refused only into the log, while its shard is late, or full of what
 *                 is parked, and most of that is its own; and then it is
 *   tables        the tables equal those of a sequential oracle over the log
 *   others        once only records that end their session go wrong, every record is applied that
 *                 is not after one of those
 *   controls      a batch leaves out the records of tenants and rows that are blocked when it is
 *                 sent, and no others; those that are to be held it keeps
 *   retries       a shard has one retry of a held key at a time, these have a quarter of its time,
 *                 and a key that has ended two sessions is left to people
 *   looks         after the loss of a connection to a shard whose batches do not wait for the disk,
 *                 each partition there is looked at before it runs a batch, unless a compaction of
 *                 it runs already; and behind a pooler regularly
 *   told          nobody who waits for a write hears what no database has on its disk
 *   modes         a key that changes its way never has writes under way on both sides: what goes to
 *                 the database finds nothing of its row in the log that was accepted and is not
 *                 applied, and nothing is accepted for the log while the database writes its row
 *   liveness      once nothing goes wrong any longer, all is applied, committed and given back
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "client.h"
#include "engine/concurrency.h"
#include "process.h"
#include "state.h"

/* A database is about to commit, and has. */
void sim_check_before_commit(sim_world *world, const sim_state *state, const sim_commit *commit);
void sim_check_after_commit(sim_world *world, const sim_state *state, const sim_commit *commit);
/* A worker commits to the group that all is applied up to `offset`. */
void sim_check_commit(sim_world *world, uint32_t partition, int64_t offset);
/* A worker gives a job to the sink of the shard. */
void sim_check_job(sim_world *world, const sim_process *process, uint32_t shard,
                   const leat_engine_job *job);
/* It sends a batch there, which has `connections`; the batch, or a claim, was answered. */
void sim_check_batch_sent(sim_world *world, sim_process *process, uint32_t shard,
                          const leat_engine_batch_part *parts, uint32_t part_count,
                          uint32_t connections);
void sim_check_batch_done(sim_process *process, uint32_t shard, const leat_engine_batch_part *parts,
                          uint32_t part_count, int64_t sent_us,
                          const leat_engine_job_result *result);
/* How long may a batch wait that several share? */
void sim_check_wait(sim_world *world, const sim_process *process, uint32_t shard,
                    const leat_engine_batch *batch);
void sim_check_claim_done(sim_process *process, uint32_t partition,
                          const leat_engine_progress *progress);
/* It gives any job there, beside so many; it was given an answer, of any job; it has so many
 * connections. */
void sim_check_asked(sim_world *world, sim_process *process, uint32_t shard, uint32_t in_flight);
void sim_check_answered(sim_process *process, uint32_t shard, leat_engine_outcome outcome);
void sim_check_slots(sim_process *process, uint32_t shard, uint32_t slots);
/* A connection to the shard is lost, others are not; a pooler is before it. Then a job is given to
 * it, and one is answered. */
void sim_check_doubted(const sim_world *world, sim_process *process, uint32_t shard);
void sim_check_pooled(sim_process *process, uint32_t shard);
void sim_check_look(sim_world *world, sim_process *process, uint32_t shard,
                    const leat_engine_job *job);
void sim_check_looked(sim_process *process, uint32_t job_id, leat_engine_outcome outcome);
/* The same for what is in it; `ret` is for the answer. */
void sim_check_fair_sent(sim_world *world, sim_process *process, uint32_t shard,
                         const leat_engine_job *job, sim_served *ret);
void sim_check_fair_done(sim_world *world, sim_process *process, uint32_t shard,
                         const sim_served *served);
/* Could its time, if it is applied, say how much the shard can do? And the engine has taken note of
 * an answer: it went by `before` until then. */
bool sim_check_is_sample(const leat_engine_job *job);
void sim_check_sampled(sim_world *world, const sim_process *process, uint32_t shard,
                       const leat_concurrency *before, bool may_be);
/* A worker's step is over; it has drained. */
void sim_check_process(sim_world *world, sim_process *process);
/* A worker gives a dead letter of the record, or a batch that holds its key, to a shard whose last
 * trouble was reported to it at `trouble` (world.serial). */
void sim_check_verdict(sim_world *world, const sim_process *process, const sim_record *record,
                       const leat_engine_batch *batch, uint64_t trouble);
/* A worker gives the record to a sink, to be written, left out, or kept. */
void sim_check_left_out(sim_world *world, const sim_record *record, bool is_skipped, bool is_kept);
/* A batch is about to be sent, or is held back by the worker: whose turn was it? */
void sim_check_turn(sim_world *world, sim_process *process, const leat_engine_job *job);
/* A job of a held key's retry is given to the shard, beside so many; it is answered; a claim has
 * found these keys held; the partition is assigned anew. */
void sim_check_retry(sim_world *world, sim_process *process, uint32_t shard, const sim_retry *retry,
                     uint32_t in_flight);
void sim_check_retry_done(sim_process *process, uint32_t shard, const sim_retry *retry,
                          int64_t sent_us, leat_engine_outcome outcome);
void sim_check_retries_claimed(sim_process *process, uint32_t partition,
                               const leat_engine_held *held, uint32_t count);
void sim_check_assigned(sim_process *process, uint32_t partition);
/* A worker has the sink of the shard use at most so many connections. */
void sim_check_allowed(sim_world *world, const sim_process *process, uint32_t shard,
                       uint32_t connections);
void sim_check_drained(sim_world *world, const sim_process *process);
/* A worker counts a record that it has read for its tenant; it has measured how late its shards
 * are, and halved what it has counted; it says who is loud. */
void sim_check_read(const sim_world *world, sim_process *process, const sim_record *record);
void sim_check_measured(const sim_world *world, sim_process *process, bool is_measured,
                        bool is_faded);
void sim_check_said(sim_world *world, sim_process *process, uint32_t shard, const sim_said *said);
/* The edge has taken a request or answered it; NULL: it has been told nothing of its tenant, or
 * the request goes into the database. */
void sim_check_admitted(sim_world *world, const sim_request *request, const sim_refusal *told);
/* A worker gives a park to the sink of the shard; the next one beside so many; one is answered. */
void sim_check_room(sim_world *world, const sim_process *process, uint32_t shard,
                    const leat_engine_job *job);
/* The same of a batch, of which some records may be kept of held keys. */
void sim_check_kept_room(sim_world *world, const sim_process *process, uint32_t shard,
                         const leat_engine_batch *batch);
void sim_check_park(sim_world *world, const sim_process *process, uint32_t shard,
                    const leat_engine_job *job, uint32_t in_flight);
void sim_check_park_done(sim_process *process, uint32_t shard, int64_t sent_us);
/* A worker's step is over: what it has claimed in it, and who is held up now. */
void sim_check_parking(sim_world *world, sim_process *process);
/* The result of a claim is about to be used: it may be less than what was acknowledged. */
void sim_check_claim(sim_world *world, uint32_t partition, const leat_engine_progress *progress);
/* A client got its answer. */
void sim_check_answer(sim_world *world, const sim_request *request, leat_slice body);

/* What a worker tells of writes goes here. */
leat_write_waits *sim_told(sim_world *world);

/* Is all work done? */
bool sim_check_is_quiet(sim_world *world);
/* Reports the remaining work, as a violation of `liveness`. */
_Noreturn void sim_check_not_quiet(sim_world *world);
/* At the end: the tables, and the acknowledged writes. */
void sim_check_end(sim_world *world);

/* check_*.c */
void sim_check_effects(sim_world *world, const sim_state *state, const sim_commit *commit);
void sim_check_order(sim_world *world, const sim_state *state, const sim_commit *commit);
void sim_check_dead_letters(sim_world *world, const sim_state *state, const sim_commit *commit);
void sim_check_progress(sim_world *world, const sim_state *state, uint32_t partition);
void sim_check_memory(sim_world *world, const sim_process *process);
void sim_check_tables(sim_world *world, uint32_t shard);
void sim_check_acknowledged(sim_world *world);

#endif
