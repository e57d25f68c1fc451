/*
 * send_kept.c - written at once and without a buffer: refused items are few, and what is in a
 * buffer when the disk is full would be lost, or come later as half a line.
 */
#include "cli/send_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/diag.h"

enum { SHOWN_MAX = 10 };

struct leat_send_kept {
    const char *path;
    int fd; /* -1: standard error gets a few */
    uint32_t shown;
    leat_buf line;
};

static bool is_source(const char *path, int source_fd)
{
    struct stat kept, source;
    return stat(path, &kept) == 0 && fstat(source_fd, &source) == 0 && S_ISREG(kept.st_mode) &&
           kept.st_dev == source.st_dev && kept.st_ino == source.st_ino;
}

leat_send_kept *leat_send_kept_open(const char *path, bool goes_on, int source_fd,
                                    leat_error *error)
{
    int fd = -1;
    if (path && is_source(path, source_fd)) {
        leat_fail(error, "--refused: %s is the file that is to be sent", path);
        return NULL;
    }
    if (path)
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (goes_on ? 0 : O_TRUNC), 0666);
    if (path && fd < 0) {
        leat_fail(error, "cannot write %s: %s", path, strerror(errno));
        return NULL;
    }
    leat_send_kept *kept = leat_must_calloc(1, sizeof *kept);
    kept->path = path;
    kept->fd = fd;
    return kept;
}

/* The line, or nothing. */
static int write_line(leat_send_kept *kept, leat_error *error)
{
    size_t done = 0;
    while (done < kept->line.size) {
        ssize_t count = write(kept->fd, kept->line.data + done, kept->line.size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    if (done == kept->line.size)
        return 0;
    leat_fail(error, "cannot write %s: %s", kept->path, strerror(errno));
    off_t end = lseek(kept->fd, 0, SEEK_CUR);
    if (done > 0 && end >= (off_t)done && ftruncate(kept->fd, end - (off_t)done) != 0)
        leat_fail_prefix(error, "its last line is cut off");
    return -1;
}

static void append_item(leat_buf *out, const leat_send_item *item)
{
    yyjson_doc *doc = yyjson_read(item->text, item->size, YYJSON_READ_NUMBER_AS_RAW);
    leat_buf_text(out, doc ? "\"item\":" : "\"item_text\":");
    if (doc)
        leat_buf_append(out, item->text, item->size);
    else
        leat_buf_json_string(out, (leat_slice){item->text, item->size});
    yyjson_doc_free(doc);
}

int leat_send_kept_add(leat_send_kept *kept, const leat_send_item *item, leat_slice answer,
                       leat_error *error)
{
    unsigned long long line = item->line;
    while (answer.size > 0 && answer.data[answer.size - 1] != '}')
        answer.size--;
    LEAT_ASSERT(answer.size > 0);
    if (kept->fd < 0) {
        if (kept->shown++ < SHOWN_MAX)
            leat_print_error("line %llu: %.*s", line, (int)answer.size, answer.data);
        return 0;
    }
    leat_buf_clear(&kept->line);
    leat_buf_append(&kept->line, answer.data, answer.size - 1);
    leat_buf_printf(&kept->line, ",\"line\":%llu,", line);
    append_item(&kept->line, item);
    leat_buf_text(&kept->line, "}\n");
    return kept->line.failed ? leat_fail(error, "out of memory") : write_line(kept, error);
}

int leat_send_kept_close(leat_send_kept *kept, leat_error *error)
{
    if (!kept)
        return 0;
    int status = 0;
    if (kept->fd >= 0 && close(kept->fd) != 0)
        status = leat_fail(error, "cannot write %s: %s", kept->path, strerror(errno));
    leat_buf_free(&kept->line);
    free(kept);
    return status;
}
