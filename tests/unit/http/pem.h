/* pem.h - certificates for tests, made on the spot. */
#ifndef TESTS_HTTP_PEM_H
#define TESTS_HTTP_PEM_H

#include <openssl/ssl.h>

typedef struct test_pem {
    char folder[64];
    char certificate[96]; /* files */
    char key[96];
} test_pem;

/* A folder with a self-signed certificate for `name`, which is also an authority for itself. */
void pem_make(test_pem *ret, const char *name);
/* Writes another one into the same files. */
void pem_write(const test_pem *pem, const char *name);
/* One more behind it, as of an authority in between. */
void pem_add(const test_pem *pem, const char *name, long lasts_s);
void pem_remove(const test_pem *pem);

#endif
