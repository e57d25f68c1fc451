/*
 * viewer.h - the files of the page /docs, which shows the API's description: Swagger UI, and two of
 * leat's own that start it. They are compressed when the program is built (embed_viewer.py). A
 * program that was built without Swagger UI has none.
 */
#ifndef LEAT_EDGE_VIEWER_H
#define LEAT_EDGE_VIEWER_H

#include "base/base.h"

typedef struct edge_viewer_file {
    const char *path; /* "/docs/start.js"; NULL: after the last */
    const char *content_type;
    const char *etag; /* with its quotes */
    leat_slice gzip;
    size_t size; /* bytes, not compressed */
} edge_viewer_file;

extern const edge_viewer_file edge_viewer_files[];

#endif
