/*
 * commit.c - commits. The database knows what is applied; a commit is for displays, and the group's
 * answer to it shows whether we are a member. Nothing depends on its success. The answer counts
 * only if we were in one generation of the group from the commit to its answer: an empty group
 * accepts the commit of a stranger, too.
 */
#include "log/kafka/reader.h"

#include <stdlib.h>

static void add_note(leat_kafka_reader *reader, leat_commit_note *note)
{
    note->next = reader->commits;
    if (note->next)
        note->next->back = &note->next;
    note->back = &reader->commits;
    reader->commits = note;
}

static void free_note(leat_commit_note *note)
{
    LEAT_ASSERT(*note->back == note);
    *note->back = note->next;
    if (note->next)
        note->next->back = note->back;
    free(note);
}

/* A commit without a generation is that of a stranger, and an empty group accepts it. */
int32_t leat_reader_generation(const leat_kafka_reader *reader)
{
    rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(reader->rk);
    if (!metadata)
        return -1;
    int32_t generation = rd_kafka_consumer_group_metadata_generation_id(metadata);
    rd_kafka_consumer_group_metadata_destroy(metadata);
    return generation;
}

static void begin_commit(leat_kafka_reader *reader, const rd_kafka_topic_partition_list_t *list)
{
    LEAT_ASSERT(list->cnt > 0);
    leat_commit_note *note = leat_must_calloc(1, sizeof *note);
    note->since_us = leat_mono_us();
    note->group_generation = leat_reader_generation(reader);
    add_note(reader, note);
    rd_kafka_resp_err_t code = rd_kafka_commit_queue(reader->rk, list, reader->answers, NULL, note);
    if (!code)
        return;
    free_note(note);
    reader->commit_failures++;
    leat_kafka_log_error(reader->client, code, "a commit could not be begun");
}

void leat_kafka_reader_commit(leat_log_reader *base, uint32_t partition, int64_t offset)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    LEAT_ASSERT(partition < reader->identity.partition_count);
    leat_part *part = &reader->parts[partition];
    if (!leat_part_is_mine(part))
        return;
    part->committed = offset + 1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reader->topic, (int32_t)partition)->offset = offset + 1;
    begin_commit(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void leat_kafka_reader_confirm(leat_log_reader *base)
{
    leat_kafka_reader *reader = (leat_kafka_reader *)base;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    for (uint32_t p = 0; p < reader->identity.partition_count; p++) {
        const leat_part *part = &reader->parts[p];
        if (!leat_part_is_mine(part))
            continue;
        int64_t offset = part->committed >= 0 ? part->committed : part->low + 1;
        rd_kafka_topic_partition_list_add(list, reader->topic, (int32_t)p)->offset = offset;
    }
    if (list->cnt > 0)
        begin_commit(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static rd_kafka_resp_err_t result_of(rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    for (int i = 0; !code && list && i < list->cnt; i++)
        code = list->elems[i].err;
    return code;
}

void leat_reader_on_commit(leat_kafka_reader *reader, rd_kafka_event_t *event)
{
    leat_commit_note *note = rd_kafka_event_opaque(event);
    if (!note)
        return;
    rd_kafka_resp_err_t code = result_of(event);
    if (code) {
        reader->commit_failures++;
        leat_kafka_log_error(reader->client, code, "a commit failed");
    }
    bool member = !code && note->group_generation >= 0 &&
                  note->group_generation == leat_reader_generation(reader) &&
                  !rd_kafka_assignment_lost(reader->rk);
    int64_t since_us = note->since_us;
    free_note(note);
    if (!reader->leaving)
        reader->events.committed(reader->events.context, since_us, member);
}

void leat_reader_await_commits(leat_kafka_reader *reader, int64_t until_us)
{
    while (reader->commits) {
        int64_t left_ms = (until_us - leat_mono_us()) / 1000;
        rd_kafka_event_t *event =
            rd_kafka_queue_poll(reader->answers, left_ms > 0 ? (int)left_ms : 0);
        if (!event)
            return;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT)
            leat_reader_on_commit(reader, event);
        rd_kafka_event_destroy(event);
    }
}

void leat_reader_forget_commits(leat_kafka_reader *reader)
{
    while (reader->commits)
        free_note(reader->commits);
}

uint64_t leat_kafka_reader_commit_failures(const leat_log_reader *base)
{
    const leat_kafka_reader *reader = (const leat_kafka_reader *)base;
    return reader->commit_failures;
}
