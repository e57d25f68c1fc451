/*
 * openapi.h - the description of the API as an OpenAPI 3.1 document, made of the routes and their
 * tables: what a client may send, and what it may be answered. Pure.
 *
 * It is part of the contract with clients: operationId is "put_NAME", "patch_NAME" or "delete_NAME"
 * by the route's name, and x-leat-operation of a column is what PATCH does to it. Every example in
 * it is one that its own schema takes.
 */
#ifndef LEAT_EDGE_OPENAPI_H
#define LEAT_EDGE_OPENAPI_H

#include <yyjson.h>

#include "record/route.h"

/* What the edge's settings change in it. */
typedef struct edge_openapi_options {
    bool needs_token; /* requests show a bearer token */
    bool has_waits;   /* a write may be waited for and asked about: else there is no token of it, no
                         path to ask at, and no Prefer */
} edge_openapi_options;

/* Appends the document. Returns -1 when out of memory, or when a name is not UTF-8; then nothing is
 * appended. */
int edge_openapi_write(const leat_routes *routes, const edge_openapi_options *options,
                       leat_buf *out) LEAT_MUST_CHECK;

/* ---- for openapi.c and openapi_schema.c ---- */

/* What is the same for all routes and tables: openapi_fixed.json, a JSON object. */
extern const char edge_openapi_fixed[];

/* A document that is being built. */
typedef struct edge_openapi {
    yyjson_mut_doc *doc;
    edge_openapi_options options;
    bool failed; /* out of memory */
} edge_openapi;

/* Each adds a member to `object` and returns it. What they are given must live until the document
 * is written, except `text` of the last. */
yyjson_mut_val *edge_openapi_object(edge_openapi *api, yyjson_mut_val *object, const char *name);
yyjson_mut_val *edge_openapi_array(edge_openapi *api, yyjson_mut_val *object, const char *name);
void edge_openapi_member(edge_openapi *api, yyjson_mut_val *object, const char *name,
                         yyjson_mut_val *value);
void edge_openapi_text(edge_openapi *api, yyjson_mut_val *object, const char *name,
                       const char *text);
void edge_openapi_copy(edge_openapi *api, yyjson_mut_val *object, const char *name,
                       const char *format, ...) LEAT_PRINTF(4, 5);

/* The schema of a key column where it is a parameter of the path, and a value that it takes. */
void edge_openapi_parameter_schema(edge_openapi *api, yyjson_mut_val *schema,
                                   const leat_column *column);
yyjson_mut_val *edge_openapi_example(edge_openapi *api, const leat_column *column);
/* The same of a tenant that is not in the path. */
void edge_openapi_tenant_schema(edge_openapi *api, yyjson_mut_val *schema, const leat_route *route);
yyjson_mut_val *edge_openapi_tenant_example(edge_openapi *api, const leat_route *route);
/* The schema of a body, and an example of one. */
void edge_openapi_body_schema(edge_openapi *api, yyjson_mut_val *schema, const leat_route *route,
                              leat_route_op op);
void edge_openapi_body_example(edge_openapi *api, yyjson_mut_val *example, const leat_route *route,
                               leat_route_op op);

#endif
