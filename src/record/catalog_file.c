/*
 * The catalog as a file. It is written to a temporary file of its own, synced and renamed, so that
 * a reader never sees half of it and a crash leaves the old one or the new one; two processes that
 * write at once do not share a temporary file, and the later rename wins. A file of another version
 * counts as none: the next process that reads a shard writes it again.
 */
#include "record/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/catalog_json.h"

enum { FILE_BYTES_MAX = 256 * 1024 * 1024 };

/* ---- writing ---- */

static int system_fault(leat_error *error, const char *what)
{
    return leat_fail(error, "%s: %s", what, strerror(errno));
}

static int write_all(int fd, const char *data, size_t size, leat_error *error)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return system_fault(error, "write");
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Readable by other users, unlike a file of mkstemp: an edge may run as another one, and nothing
 * here is secret. */
static int fill_file(int fd, const char *data, size_t size, leat_error *error)
{
    if (fchmod(fd, 0644) != 0)
        return system_fault(error, "fchmod");
    if (write_all(fd, data, size, error) != 0)
        return -1;
    return fsync(fd) == 0 ? 0 : system_fault(error, "fsync");
}

/* Makes the rename itself durable. */
static int sync_directory(const char *path, leat_error *error)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path))
                            : strdup(".");
    if (!directory)
        return leat_fail(error, "out of memory");
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(directory);
    if (fd < 0)
        return system_fault(error, "open the directory");
    int status = fsync(fd) == 0 ? 0 : system_fault(error, "fsync the directory");
    close(fd);
    return status;
}

/* A temporary name of its own, so that two writers never share a file. */
static int replace_file(const char *path, const char *temporary, int fd, const char *data,
                        size_t size, leat_error *error)
{
    int status = fill_file(fd, data, size, error);
    if (close(fd) != 0 && status == 0)
        status = system_fault(error, "close");
    if (status == 0 && rename(temporary, path) != 0)
        status = system_fault(error, "rename");
    if (status != 0) {
        unlink(temporary);
        return -1;
    }
    return sync_directory(path, error);
}

static int write_file(const char *path, const char *data, size_t size, leat_error *error)
{
    leat_buf name = {0};
    leat_buf_printf(&name, "%s.XXXXXX", path);
    int status = -1;
    int fd = name.failed ? -1 : mkstemp(name.data);
    if (name.failed)
        leat_fail(error, "out of memory");
    else if (fd < 0)
        system_fault(error, "create a temporary file");
    else
        status = replace_file(path, name.data, fd, data, size, error);
    leat_buf_free(&name);
    return status;
}

int leat_catalog_save(const leat_catalog *catalog, const char *path, leat_error *error)
{
    size_t size;
    char *json = leat_catalog_to_json(catalog, &size);
    int status = json ? write_file(path, json, size, error) : leat_fail(error, "out of memory");
    free(json);
    return status == 0 ? 0 : leat_fail_prefix(error, "catalog file %s", path);
}

/* ---- reading ---- */

static int read_all(int fd, char *data, size_t size, leat_error *error)
{
    while (size > 0) {
        ssize_t got = read(fd, data, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_fault(error, "read");
        if (got == 0)
            return leat_fail(error, "the file ended while it was read");
        data += got;
        size -= (size_t)got;
    }
    return 0;
}

static int read_open_file(int fd, char **ret_data, size_t *ret_size, leat_error *error)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        return system_fault(error, "fstat");
    if (!S_ISREG(facts.st_mode) || facts.st_size > FILE_BYTES_MAX)
        return leat_fail(error, "not a file of at most %d bytes", FILE_BYTES_MAX);
    size_t size = (size_t)facts.st_size;
    char *data = malloc(size + 1);
    if (!data)
        return leat_fail(error, "out of memory");
    if (read_all(fd, data, size, error) != 0) {
        free(data);
        return -1;
    }
    *ret_data = data;
    *ret_size = size;
    return 0;
}

static int load(leat_catalog *ret, const char *path, leat_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bool is_missing = errno == ENOENT;
        system_fault(error, "open");
        return is_missing ? 1 : -1;
    }
    char *data = NULL;
    size_t size = 0;
    int status = read_open_file(fd, &data, &size, error);
    close(fd);
    if (status == 0)
        status = leat_catalog_from_json((leat_slice){data, size}, ret, error);
    free(data);
    return status;
}

int leat_catalog_load(leat_catalog *ret, const char *path, leat_error *error)
{
    int status = load(ret, path, error);
    if (status != 0)
        leat_fail_prefix(error, "catalog file %s", path);
    return status;
}
