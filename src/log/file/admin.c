/*
 * admin.c - questions to the file, from any process, even while another one has it open. Each
 * question uses a read-only connection of its own: SQLite's write-ahead log lets it read beside the
 * process that writes. Topic settings are Kafka's; here they are errors, so that no caller believes
 * it has set one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/file/file_log.h"

static int check(const leat_log_config *config, leat_error *error)
{
    if (config->property_count > 0)
        return leat_fail(error, "property %s: the built-in log has no properties",
                         config->properties[0].name);
    return 0;
}

static int identify(const leat_log_config *config, int timeout_ms, leat_log_identity *ret,
                    leat_error *error)
{
    LEAT_ASSERT(config->file);
    if (access(config->file, F_OK) != 0)
        return 1;
    sqlite3 *db;
    leat_local_head head;
    if (leat_local_connect(config->file, LEAT_LOCAL_READ, timeout_ms, &db, error) != 0)
        return -1;
    int result = leat_local_head_read(db, &head, error);
    sqlite3_close_v2(db);
    if (result != 0)
        return result;
    *ret = (leat_log_identity){.cluster = "built-in", .partition_count = head.partition_count};
    snprintf(ret->topic_id, sizeof ret->topic_id, "%s", head.identity);
    return 0;
}

static int create_topic(const leat_log_config *config, const leat_topic_spec *spec, int timeout_ms,
                        leat_error *error)
{
    LEAT_ASSERT(config->file);
    return leat_local_make(config->file, spec->partition_count, timeout_ms, error);
}

static int topic_setting(const leat_log_config *config, const char *name, int timeout_ms, char *ret,
                         size_t size, leat_error *error)
{
    (void)config;
    (void)timeout_ms;
    (void)ret;
    (void)size;
    return leat_fail(error, "the built-in log has no setting %s", name);
}

static int set_topic_setting(const leat_log_config *config, const char *name, const char *value,
                             int timeout_ms, leat_error *error)
{
    (void)config;
    (void)value;
    (void)timeout_ms;
    return leat_fail(error, "the built-in log has no setting %s", name);
}

static int starts(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                  int64_t *ret, leat_error *error)
{
    LEAT_ASSERT(config->file && ret);
    sqlite3 *db;
    if (leat_local_connect(config->file, LEAT_LOCAL_READ, timeout_ms, &db, error) != 0)
        return -1;
    int result = leat_local_ranges(db, partition_count, ret, NULL, error);
    sqlite3_close_v2(db);
    return result;
}

/* Offsets have no holes, so the first record at or after an offset is the one at it. There are no
 * transactions either. */
static int read_first(sqlite3 *db, uint32_t partition, int64_t offset, leat_log_ahead *ret,
                      leat_error *error)
{
    ret->stable = ret->end;
    ret->first = offset >= ret->end ? ret->end : -1;
    ret->accepted_ms = 0;
    if (offset < 0 || offset >= ret->end)
        return 0;
    sqlite3_stmt *row = leat_local_prepare(
        db, error, "SELECT accepted_ms FROM leat_records_%u WHERE offset = ?", partition);
    if (!row)
        return -1;
    sqlite3_bind_int64(row, 1, offset);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        ret->first = offset;
        ret->accepted_ms = sqlite3_column_int64(row, 0);
    }
    int result = code == SQLITE_ROW || code == SQLITE_DONE
                     ? 0
                     : leat_local_fail(db, error, "it cannot be read");
    sqlite3_finalize(row);
    return result;
}

static int read_ahead(const leat_log_config *config, uint32_t partition_count,
                      const int64_t *offsets, int timeout_ms, leat_log_ahead *ret,
                      leat_error *error)
{
    LEAT_ASSERT(config->file && ret);
    sqlite3 *db;
    if (leat_local_connect(config->file, LEAT_LOCAL_READ, timeout_ms, &db, error) != 0)
        return -1;
    int64_t *next = leat_must_calloc(partition_count, sizeof *next);
    int result = leat_local_ranges(db, partition_count, NULL, next, error);
    for (uint32_t p = 0; p < partition_count && result == 0; p++) {
        ret[p].end = next[p];
        result = read_first(db, p, offsets[p], &ret[p], error);
    }
    free(next);
    sqlite3_close_v2(db);
    return result;
}

const leat_log_admin_ops leat_local_admin_ops = {
    .open = leat_local_open,
    .close = leat_local_close,
    .check = check,
    .identify = identify,
    .create_topic = create_topic,
    .topic_setting = topic_setting,
    .set_topic_setting = set_topic_setting,
    .starts = starts,
    .read_ahead = read_ahead,
};
