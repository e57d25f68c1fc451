/*
 * pages.c - an anonymous mapping. AddressSanitizer watches the ends of what it has allocated
 * itself, so under it the memory comes from there.
 */
#include "base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
enum { FROM_HEAP = true };
#else
enum { FROM_HEAP = false };
#endif

void *leat_pages_new(size_t bytes)
{
    if (FROM_HEAP)
        return calloc(1, bytes);
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void leat_pages_free(void *pages, size_t bytes)
{
    if (FROM_HEAP)
        free(pages);
    else if (pages)
        munmap(pages, bytes);
}
