/* replay.c - runs a target over every file of a folder, and over the beginning of each. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"

enum { FILE_MAX = 1 << 20 };

static size_t read_file(const char *folder, const char *name, uint8_t *ret)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    LEAT_ASSERT(file);
    size_t size = fread(ret, 1, FILE_MAX, file);
    fclose(file);
    return size;
}

/* A copy that ends where the input ends, so that a sanitizer sees who reads further. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = leat_must_calloc(1, size ? size : 1);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: replay FOLDER\n");
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    uint8_t *data = leat_must_calloc(1, FILE_MAX);
    uint32_t count = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        size_t size = read_file(argv[1], entry->d_name, data);
        run(data, size);
        run(data, size / 2);
        count++;
    }
    if (folder)
        closedir(folder);
    free(data);
    printf("1..1\n%s 1 - %u inputs of %s\n", count > 0 ? "ok" : "not ok", count, argv[1]);
    return 0;
}
