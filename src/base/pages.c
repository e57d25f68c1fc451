/*
 * pages.c - an anonymous mapping. AddressSanitizer watches the ends of what it has allocated
 * itself, so under it the memory comes from there. A huge page would be resident as a whole for the
 * first byte of it, so none are wanted, however the kernel is set up.
 */
#include "base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifndef __has_feature /* it is clang's; GCC defines the name */
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { FROM_HEAP = true };
#else
enum { FROM_HEAP = false };
#endif

void *leat_pages_new(size_t bytes)
{
    if (FROM_HEAP)
        return calloc(1, bytes);
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    (void)madvise(pages, bytes, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses it */
    return pages;
}

void *leat_must_pages(size_t count, size_t size)
{
    size_t bytes;
    LEAT_ASSERT(count > 0 && size > 0);
    void *pages = __builtin_mul_overflow(count, size, &bytes) ? NULL : leat_pages_new(bytes);
    if (!pages)
        leat_out_of_memory();
    return pages;
}

void leat_pages_free(void *pages, size_t bytes)
{
    if (FROM_HEAP)
        free(pages);
    else if (pages)
        munmap(pages, bytes);
}
