/*
 * reload.c - files are looked at by stat, because a watch on a file (inotify) loses one that is
 * replaced, and one on its folder does not see what a mounted secret's links lead to. A file that
 * has just changed may be half written, and half a list of tokens is a list too: so it is read
 * only when it was the same at two looks. A request is a person's word that the file is whole.
 */
#include "daemon/reload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/diag.h"

/* What of a file tells one content from another; all zero: there is no such file. */
typedef struct file_stamp {
    uint64_t device, inode, size;
    int64_t changed_ns, modified_ns;
} file_stamp;

typedef struct watched_file {
    char *name;
    file_stamp read; /* as it was when it was read, or was refused */
    file_stamp seen; /* at the last look */
} watched_file;

typedef struct reader {
    leat_reload_read read;
    void *context;
    uint32_t count;
    watched_file files[LEAT_RELOAD_FILES_MAX];
} reader;

struct leat_reload {
    uv_timer_t look;
    uv_async_t request;
    uint32_t open_handles;
    uint32_t count;
    reader readers[LEAT_RELOAD_READERS_MAX];
};

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static file_stamp stamp_of(const char *name)
{
    struct stat found;
    if (stat(name, &found) != 0)
        return (file_stamp){0};
    return (file_stamp){.device = (uint64_t)found.st_dev,
                        .inode = (uint64_t)found.st_ino,
                        .size = (uint64_t)found.st_size,
                        .changed_ns = nanoseconds(found.st_ctim),
                        .modified_ns = nanoseconds(found.st_mtim)};
}

static bool is_same(const file_stamp *a, const file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed_ns == b->changed_ns && a->modified_ns == b->modified_ns;
}

static void read_again(reader *of, const char *cause)
{
    leat_error error = {""};
    for (uint32_t i = 0; i < of->count; i++)
        of->files[i].read = of->files[i].seen = stamp_of(of->files[i].name);
    if (of->read(of->context, &error) == 0)
        leat_info("file read again file=%s cause=%s", of->files[0].name, cause);
    else
        leat_err("file is no good, and what was read before stays in effect file=%s cause=%s "
                 "reason=\"%s\" advice=\"mend it; it is read again when it changes\"",
                 of->files[0].name, cause, error.text);
}

/* One of its files is not as it was read, and each is as it was at the last look. */
static bool is_due(reader *of)
{
    bool is_changed = false, is_still = true;
    for (uint32_t i = 0; i < of->count; i++) {
        watched_file *file = &of->files[i];
        file_stamp now = stamp_of(file->name);
        is_changed = is_changed || !is_same(&now, &file->read);
        is_still = is_still && is_same(&now, &file->seen);
        file->seen = now;
    }
    return is_changed && is_still;
}

static void on_look(uv_timer_t *timer)
{
    leat_reload *reload = timer->data;
    for (uint32_t i = 0; i < reload->count; i++)
        if (is_due(&reload->readers[i]))
            read_again(&reload->readers[i], "change");
}

static void on_request(uv_async_t *async)
{
    leat_reload *reload = async->data;
    for (uint32_t i = 0; i < reload->count; i++)
        read_again(&reload->readers[i], "signal");
}

leat_reload *leat_reload_new(uv_loop_t *loop, int64_t every_ms)
{
    LEAT_ASSERT(every_ms > 0);
    leat_reload *reload = leat_must_calloc(1, sizeof *reload);
    uv_timer_init(loop, &reload->look);
    uv_async_init(loop, &reload->request, on_request);
    reload->look.data = reload->request.data = reload;
    reload->open_handles = 2;
    uv_timer_start(&reload->look, on_look, (uint64_t)every_ms, (uint64_t)every_ms);
    return reload;
}

void leat_reload_add(leat_reload *reload, const char *const *files, uint32_t count,
                     leat_reload_read read, void *context)
{
    LEAT_ASSERT(reload->count < LEAT_RELOAD_READERS_MAX);
    LEAT_ASSERT(count > 0 && count <= LEAT_RELOAD_FILES_MAX);
    reader *of = &reload->readers[reload->count++];
    *of = (reader){.read = read, .context = context, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        of->files[i].name = leat_must_strdup(files[i]);
        of->files[i].read = of->files[i].seen = stamp_of(files[i]);
    }
}

uv_async_t *leat_reload_request(leat_reload *reload)
{
    return &reload->request;
}

static void on_closed(uv_handle_t *handle)
{
    leat_reload *reload = handle->data;
    LEAT_ASSERT(reload->open_handles > 0);
    if (--reload->open_handles > 0)
        return;
    for (uint32_t i = 0; i < reload->count; i++)
        for (uint32_t k = 0; k < reload->readers[i].count; k++)
            free(reload->readers[i].files[k].name);
    free(reload);
}

void leat_reload_free(leat_reload *reload)
{
    if (!reload)
        return;
    uv_close((uv_handle_t *)&reload->look, on_closed);
    uv_close((uv_handle_t *)&reload->request, on_closed);
}
