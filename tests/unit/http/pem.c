#include "pem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { LASTS_S = 3600 };

static X509 *sign(EVP_PKEY *key, const char *name, long lasts_s)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), lasts_s);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    return certificate;
}

void pem_add(const test_pem *pem, const char *name, long lasts_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    ck_assert_ptr_nonnull(key);
    X509 *certificate = sign(key, name, lasts_s);
    FILE *file = fopen(pem->certificate, "ae");
    ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void pem_write(const test_pem *pem, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    ck_assert_ptr_nonnull(key);
    X509 *certificate = sign(key, name, LASTS_S);
    FILE *file = fopen(pem->certificate, "we");
    ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
    fclose(file);
    file = fopen(pem->key, "we");
    ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void pem_make(test_pem *ret, const char *name)
{
    snprintf(ret->folder, sizeof ret->folder, "/tmp/leat-test-pem-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(ret->folder));
    snprintf(ret->certificate, sizeof ret->certificate, "%s/cert.pem", ret->folder);
    snprintf(ret->key, sizeof ret->key, "%s/key.pem", ret->folder);
    pem_write(ret, name);
}

void pem_remove(const test_pem *pem)
{
    unlink(pem->certificate);
    unlink(pem->key);
    rmdir(pem->folder);
}
