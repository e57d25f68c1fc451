/*
 * help.h - the text of --help.
 */
#ifndef LOAD_HELP_H
#define LOAD_HELP_H

extern const char load_help[];

#endif
