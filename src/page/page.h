/* page.h - the dashboard: one page, with its scripts and styles in it, made of the files of this
 * folder when the program is built. It draws what GET /state and GET /culprits of the admin
 * listener say. */
#ifndef LEAT_PAGE_H
#define LEAT_PAGE_H

#include "http/file.h"

/* The page, at "/". */
extern const leat_http_file leat_page_files[];

#endif
