/*
 * version.c - leat version, leat config and leat metrics: they need no configuration, so they also
 * work where nothing is set up yet. Where a library reports its version, the running library's is
 * printed, not that of the headers.
 */
#include <stdio.h>

#include <curl/curl.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <llhttp.h>
#ifdef LEAT_MIMALLOC
#include <mimalloc.h>
#endif
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <uv.h>
#include <xxhash.h>
#include <yaml.h>
#include <yyjson.h>
#include <zstd.h>

#include "cli/commands.h"
#include "config/config.h"
#include "ops/metric_table.h"

/* malloc of the whole program. */
static void print_allocator(void)
{
#ifdef LEAT_MIMALLOC
    int version = mi_version();
    printf("mimalloc %d.%d.%d\n", version / 100, version / 10 % 10, version % 10);
#else
    printf("malloc: the system's\n");
#endif
}

int leat_command_version(const leat_options *options)
{
    (void)options;
    int major, minor, patch;
    yaml_get_version(&major, &minor, &patch);
    int pq = PQlibVersion();
    printf("leat %s\n", LEAT_VERSION);
    printf("librdkafka %s\n", rd_kafka_version_str());
    printf("libpq %d.%d\n", pq / 10000, pq % 10000);
    printf("SQLite %s\n", sqlite3_libversion());
    printf("libuv %s\n", uv_version_string());
    printf("llhttp %d.%d.%d\n", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
    printf("nghttp2 %s\n", nghttp2_version(0)->version_str);
    printf("yyjson %s\n", YYJSON_VERSION_STRING);
    printf("libyaml %d.%d.%d\n", major, minor, patch);
    /* Not XXH_versionNumber: librdkafka may bring an old one of its own. */
    printf("xxhash %d.%d.%d\n", XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE);
    printf("zstd %s\n", ZSTD_versionString());
    printf("libcurl %s\n", curl_version_info(CURLVERSION_NOW)->version);
    printf("OpenSSL %s\n", OpenSSL_version(OPENSSL_VERSION_STRING));
    print_allocator();
    return LEAT_EXIT_OK;
}

int leat_command_config(const leat_options *options)
{
    (void)options;
    leat_config_print_reference(stdout);
    return LEAT_EXIT_OK;
}

int leat_command_metrics(const leat_options *options)
{
    (void)options;
    leat_metrics_print_reference(stdout);
    return LEAT_EXIT_OK;
}
