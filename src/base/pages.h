/*
 * pages.h - memory for large tables of which only a part may ever be used: zeroed, and the kernel
 * gives a page when it is first touched. An allocator's calloc does not promise that: mimalloc
 * writes the zeros itself, and the table is resident from the start.
 */
#ifndef LEAT_BASE_PAGES_H
#define LEAT_BASE_PAGES_H

#include "base/base.h"

/* NULL: out of memory, or nothing was asked for. Any thread. */
void *leat_pages_new(size_t bytes);
/* `count` above 0 elements of `size`; out of memory, the process ends with a message: as
 * leat_must_calloc. To be given back as `count` times `size` bytes. */
void *leat_must_pages(size_t count, size_t size);
/* `pages` may be NULL; `bytes` is what was asked for. */
void leat_pages_free(void *pages, size_t bytes);

#endif
