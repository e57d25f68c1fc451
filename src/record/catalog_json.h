/*
 * catalog_json.h - the catalog as a JSON text: the format of the file, without its reading and
 * writing.
 */
#ifndef LEAT_RECORD_CATALOG_JSON_H
#define LEAT_RECORD_CATALOG_JSON_H

#include "record/catalog.h"

enum { LEAT_CATALOG_VERSION = 4 };

/* The caller frees the text. NULL: out of memory. */
char *leat_catalog_to_json(const leat_catalog *catalog, size_t *ret_size);
/* Checks everything that other code relies on: sizes, types, keys, a shard for each partition and
 * slot. `ret` is the caller's to leat_catalog_fini; untouched unless 0 is returned. 1: an older
 * version, which lacks members that this one needs. */
int leat_catalog_from_json(leat_slice json, leat_catalog *ret, leat_error *error) LEAT_MUST_CHECK;

#endif
