/*
 * powercut.c - a SQLite VFS that makes kill -9 as bad as a power cut. Linking it into a program is
 * enough: it becomes the default VFS, in front of "unix", before main. For tests.
 *
 * A kernel keeps what a killed process has written, a power cut does not. So here the writes to
 * databases, write-ahead logs and rollback journals are held in memory until xSync of that file
 * writes them through, in order, and then really syncs. SIGKILL loses held writes. Every connection
 * of the process sees them, as it would in the page cache.
 *
 * Effects that the disk may have by chance, as a real one may:
 *   - a write that is not synced gets to the disk at once, whole or its first half (torn), before
 *     earlier writes;
 *   - a truncation likewise, whole;
 *   - a sync takes up to 2 ms, with some first part of the writes on the disk and the others not.
 *
 * Environment, read as a file is first opened: LEAT_POWERCUT_SEED, a number, draws these chances
 * (default: the process id). LEAT_POWERCUT_LIE=1 makes xSync do nothing and return SQLITE_OK: a
 * disk that lies. With it an acknowledged commit must get lost, or the test that uses this could
 * not notice a loss.
 *
 * Where it is harder than reality: a sync covers its file only, never what another file had written
 * before; a sync that is cut may put a block back to an older write that was not synced either.
 * SQLite is promised no more than that bytes beside a write stay as they are
 * (SQLITE_IOCAP_POWERSAFE_OVERWRITE). Where it is milder: creating and deleting a file lasts at
 * once, where a disk may lose it until the folder is synced. SQLite syncs the folder with a new
 * log's first sync; a deleted log that comes back has only data that the database has too. Held
 * writes are written through when the last handle of a file closes. Writes are torn only in half.
 *
 * Shared memory is the kernel's; SQLite recreates it when the first process opens the database. So
 * another process may read the database meanwhile, but must not have it open when this one is
 * killed, nor at all while the disk lies.
 *
 * Thread safe: one mutex per file, held while it is read, written or synced; one for the list of
 * files.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

enum {
    HELD_FILES = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL,
    SYNC_US_MAX = 2000,
    CHANCES = 8, /* of these, WHOLE are written at once, then HALF torn */
    WHOLE = 2,
    HALF = 1,
};

typedef struct held_change {
    sqlite3_int64 offset; /* of a truncation: the size from then on */
    int size;
    char *bytes; /* NULL: a truncation */
} held_change;

/* A file as the process sees it: the content on the disk, then the changes in order. Any of them
 * may be on the disk already: that makes no difference, since all are applied again. */
typedef struct held_file {
    struct held_file *next;
    char *path;
    uint32_t handles; /* under the list's mutex, as are next and listed */
    bool listed;
    bool lies;
    pthread_mutex_t mutex; /* of what follows */
    leat_prng prng;
    held_change *changes;
    size_t count, capacity;
} held_file;

typedef struct held_handle {
    sqlite3_file base;
    held_file *overlay;
    sqlite3_file *real; /* in the same memory, behind this */
} held_handle;

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static held_file *list;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs powercut_vfs;

static held_handle *handle_of(sqlite3_file *file)
{
    return (held_handle *)(void *)file;
}

/* Overlays. */

static held_file *overlay_new(const char *path)
{
    held_file *overlay = leat_must_calloc(1, sizeof *overlay);
    const char *seed = getenv("LEAT_POWERCUT_SEED"), *lie = getenv("LEAT_POWERCUT_LIE");
    overlay->path = leat_must_strdup(path);
    uint64_t chosen = seed ? (uint64_t)strtoull(seed, NULL, 10) : (uint64_t)getpid();
    overlay->prng.state = chosen ^ leat_hash(leat_slice_of(path));
    overlay->lies = lie && strcmp(lie, "1") == 0;
    LEAT_ASSERT(pthread_mutex_init(&overlay->mutex, NULL) == 0);
    return overlay;
}

static void forget_changes(held_file *overlay)
{
    for (size_t i = 0; i < overlay->count; i++)
        free(overlay->changes[i].bytes);
    overlay->count = 0;
}

static void overlay_free(held_file *overlay)
{
    forget_changes(overlay);
    pthread_mutex_destroy(&overlay->mutex);
    free(overlay->changes);
    free(overlay->path);
    free(overlay);
}

static held_file **find(const char *path)
{
    held_file **at = &list;
    while (*at && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

static held_file *overlay_acquire(const char *path)
{
    pthread_mutex_lock(&list_mutex);
    held_file **at = find(path), *overlay = *at;
    if (!overlay) {
        overlay = *at = overlay_new(path);
        overlay->listed = true;
    }
    overlay->handles++;
    pthread_mutex_unlock(&list_mutex);
    return overlay;
}

/* That name is a new file from now on. Under the list's mutex. */
static void unlist(held_file *overlay)
{
    *find(overlay->path) = overlay->next;
    overlay->listed = false;
}

/* Changes. Under the overlay's mutex. */

static void hold(held_file *overlay, held_change change)
{
    if (overlay->count == overlay->capacity) {
        overlay->capacity = overlay->capacity ? 2 * overlay->capacity : 64;
        overlay->changes = realloc(overlay->changes, overlay->capacity * sizeof *overlay->changes);
        LEAT_ASSERT(overlay->changes);
    }
    overlay->changes[overlay->count++] = change;
}

static int carry_out(sqlite3_file *real, const held_change *change)
{
    if (!change->bytes)
        return real->pMethods->xTruncate(real, change->offset);
    return real->pMethods->xWrite(real, change->bytes, change->size, change->offset);
}

/* Writes that a disk does before it is asked to. */
static int by_chance(held_handle *handle, held_change change)
{
    uint64_t drawn = leat_prng_below(&handle->overlay->prng, CHANCES);
    if (drawn >= WHOLE + HALF)
        return SQLITE_OK;
    if (drawn >= WHOLE && change.bytes)
        change.size /= 2;
    return carry_out(handle->real, &change);
}

static int write_through(held_handle *handle, size_t first, size_t end)
{
    int code = SQLITE_OK;
    for (size_t i = first; i < end && code == SQLITE_OK; i++)
        code = carry_out(handle->real, &handle->overlay->changes[i]);
    return code;
}

static int sync_held(held_handle *handle, int flags)
{
    held_file *overlay = handle->overlay;
    size_t done = leat_prng_below(&overlay->prng, overlay->count + 1);
    int code = write_through(handle, 0, done);
    usleep((useconds_t)leat_prng_below(&overlay->prng, SYNC_US_MAX));
    if (code == SQLITE_OK)
        code = write_through(handle, done, overlay->count);
    if (code == SQLITE_OK)
        code = handle->real->pMethods->xSync(handle->real, flags);
    if (code == SQLITE_OK)
        forget_changes(overlay);
    return code;
}

static sqlite3_int64 size_after(sqlite3_int64 size, const held_change *change)
{
    if (!change->bytes)
        return change->offset;
    return change->offset + change->size > size ? change->offset + change->size : size;
}

/* A window on a file: `size` bytes from `offset`. */
typedef struct file_window {
    char *bytes;
    sqlite3_int64 offset, size;
} file_window;

static void zero_from(const file_window *window, sqlite3_int64 from)
{
    sqlite3_int64 start = from > window->offset ? from - window->offset : 0;
    if (start < window->size)
        memset(window->bytes + start, 0, (size_t)(window->size - start));
}

static void overwrite(const file_window *window, const held_change *change)
{
    sqlite3_int64 from = change->offset > window->offset ? change->offset : window->offset;
    sqlite3_int64 change_end = change->offset + change->size,
                  window_end = window->offset + window->size;
    sqlite3_int64 end = change_end < window_end ? change_end : window_end;
    if (from < end)
        memcpy(window->bytes + (from - window->offset), change->bytes + (from - change->offset),
               (size_t)(end - from));
}

static int read_held(held_handle *handle, const file_window *window)
{
    sqlite3_int64 size;
    int code = handle->real->pMethods->xRead(handle->real, window->bytes, (int)window->size,
                                             window->offset);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
        return code;
    code = handle->real->pMethods->xFileSize(handle->real, &size);
    if (code != SQLITE_OK)
        return code;
    for (size_t i = 0; i < handle->overlay->count; i++) {
        const held_change *change = &handle->overlay->changes[i];
        if (change->bytes)
            overwrite(window, change);
        else
            zero_from(window, change->offset);
        size = size_after(size, change);
    }
    return window->offset + window->size > size ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

/* The methods of a file. */

static int powercut_close(sqlite3_file *file)
{
    held_handle *handle = handle_of(file);
    held_file *overlay = handle->overlay;
    pthread_mutex_lock(&list_mutex);
    bool last = --overlay->handles == 0;
    if (last && overlay->listed) {
        write_through(handle, 0, overlay->count);
        unlist(overlay);
    }
    pthread_mutex_unlock(&list_mutex);
    if (last)
        overlay_free(overlay);
    return handle->real->pMethods->xClose(handle->real);
}

static int powercut_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    held_handle *handle = handle_of(file);
    pthread_mutex_lock(&handle->overlay->mutex);
    int code = read_held(handle, &(file_window){bytes, offset, size});
    pthread_mutex_unlock(&handle->overlay->mutex);
    return code;
}

static int change_file(held_handle *handle, held_change change)
{
    pthread_mutex_lock(&handle->overlay->mutex);
    hold(handle->overlay, change);
    int code = by_chance(handle, change);
    pthread_mutex_unlock(&handle->overlay->mutex);
    return code;
}

static int powercut_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    char *copy = malloc((size_t)size);
    LEAT_ASSERT(copy);
    memcpy(copy, bytes, (size_t)size);
    return change_file(handle_of(file), (held_change){offset, size, copy});
}

static int powercut_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return change_file(handle_of(file), (held_change){size, 0, NULL});
}

static int powercut_sync(sqlite3_file *file, int flags)
{
    held_handle *handle = handle_of(file);
    if (handle->overlay->lies)
        return SQLITE_OK;
    pthread_mutex_lock(&handle->overlay->mutex);
    int code = sync_held(handle, flags);
    pthread_mutex_unlock(&handle->overlay->mutex);
    return code;
}

static int powercut_file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    held_handle *handle = handle_of(file);
    pthread_mutex_lock(&handle->overlay->mutex);
    int code = handle->real->pMethods->xFileSize(handle->real, ret);
    for (size_t i = 0; i < handle->overlay->count && code == SQLITE_OK; i++)
        *ret = size_after(*ret, &handle->overlay->changes[i]);
    pthread_mutex_unlock(&handle->overlay->mutex);
    return code;
}

static int powercut_lock(sqlite3_file *file, int level)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xLock(real, level);
}

static int powercut_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xUnlock(real, level);
}

static int powercut_check_reserved_lock(sqlite3_file *file, int *ret)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xCheckReservedLock(real, ret);
}

/* A hint about size could make the file longer behind our back. */
static int powercut_control(sqlite3_file *file, int op, void *argument)
{
    sqlite3_file *real = handle_of(file)->real;
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE ||
        op == SQLITE_FCNTL_MMAP_SIZE)
        return SQLITE_NOTFOUND;
    return real->pMethods->xFileControl(real, op, argument);
}

static int powercut_sector_size(sqlite3_file *file)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xSectorSize(real);
}

static int powercut_characteristics(sqlite3_file *file)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xDeviceCharacteristics(real) & SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int powercut_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xShmMap(real, page, size, extend, ret);
}

static int powercut_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xShmLock(real, offset, count, flags);
}

static void powercut_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = handle_of(file)->real;
    real->pMethods->xShmBarrier(real);
}

static int powercut_shm_unmap(sqlite3_file *file, int delete_it)
{
    sqlite3_file *real = handle_of(file)->real;
    return real->pMethods->xShmUnmap(real, delete_it);
}

/* Version 2: no file is mapped into memory, where writes could not be held. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = powercut_close,
    .xRead = powercut_read,
    .xWrite = powercut_write,
    .xTruncate = powercut_truncate,
    .xSync = powercut_sync,
    .xFileSize = powercut_file_size,
    .xLock = powercut_lock,
    .xUnlock = powercut_unlock,
    .xCheckReservedLock = powercut_check_reserved_lock,
    .xFileControl = powercut_control,
    .xSectorSize = powercut_sector_size,
    .xDeviceCharacteristics = powercut_characteristics,
    .xShmMap = powercut_shm_map,
    .xShmLock = powercut_shm_lock,
    .xShmBarrier = powercut_shm_barrier,
    .xShmUnmap = powercut_shm_unmap,
};

/* The methods of the VFS. The others are those of "unix". */

static int powercut_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                         int *ret_flags)
{
    (void)vfs;
    if (!path || !(flags & HELD_FILES))
        return real_vfs->xOpen(real_vfs, path, file, flags, ret_flags);
    held_handle *handle = handle_of(file);
    *handle = (held_handle){.real = (sqlite3_file *)(void *)(handle + 1)};
    int code = real_vfs->xOpen(real_vfs, path, handle->real, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    handle->overlay = overlay_acquire(path);
    handle->base.pMethods = &methods;
    return SQLITE_OK;
}

/* At once and with all held writes: a handle that still has the file open goes on with it alone. */
static int powercut_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    (void)vfs;
    pthread_mutex_lock(&list_mutex);
    held_file *overlay = *find(path);
    if (overlay)
        unlist(overlay);
    int code = real_vfs->xDelete(real_vfs, path, sync_folder);
    pthread_mutex_unlock(&list_mutex);
    return code;
}

static bool holds_something(const char *path)
{
    pthread_mutex_lock(&list_mutex);
    held_file *overlay = *find(path);
    bool holds = false;
    if (overlay) {
        pthread_mutex_lock(&overlay->mutex);
        holds = overlay->count > 0;
        pthread_mutex_unlock(&overlay->mutex);
    }
    pthread_mutex_unlock(&list_mutex);
    return holds;
}

/* For "unix" an empty file does not exist; one whose writes are all held is empty on the disk. */
static int powercut_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
    (void)vfs;
    int code = real_vfs->xAccess(real_vfs, path, flags, ret);
    if (code == SQLITE_OK && flags == SQLITE_ACCESS_EXISTS && !*ret)
        *ret = holds_something(path);
    return code;
}

__attribute__((constructor)) static void become_the_default(void)
{
    real_vfs = sqlite3_vfs_find("unix");
    LEAT_ASSERT(real_vfs);
    powercut_vfs = *real_vfs;
    powercut_vfs.zName = "powercut";
    powercut_vfs.pNext = NULL;
    powercut_vfs.szOsFile = (int)sizeof(held_handle) + real_vfs->szOsFile;
    powercut_vfs.xOpen = powercut_open;
    powercut_vfs.xDelete = powercut_delete;
    powercut_vfs.xAccess = powercut_access;
    LEAT_ASSERT(sqlite3_vfs_register(&powercut_vfs, 1) == SQLITE_OK);
}
