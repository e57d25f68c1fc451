/*
 * viewer.h - the files of the page /docs, which shows the API's description: Swagger UI, and two of
 * leat's own that start it. A program that was built without Swagger UI has none.
 */
#ifndef LEAT_EDGE_VIEWER_H
#define LEAT_EDGE_VIEWER_H

#include "http/file.h"

extern const leat_http_file edge_viewer_files[];

#endif
