/* config.c - a configuration file: it is taken, or refused with words that name the place. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    char path[64];
    if (file < 0)
        file = memfd_create("config", 0);
    LEAT_ASSERT(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    leat_config config = {0};
    leat_error error = {""};
    if (leat_config_load(path, &config, &error) == 0) {
        LEAT_ASSERT(leat_config_topic(&config) && leat_config_partitions(&config) > 0);
        leat_config_fini(&config);
    } else {
        LEAT_ASSERT(strncmp(error.text, path, strlen(path)) == 0 &&
                    error.text[strlen(path)] == ':');
    }
    return 0;
}
