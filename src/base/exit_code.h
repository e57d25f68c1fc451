/* exit_code.h - the exit status of leat: the same codes for every command. */
#ifndef LEAT_BASE_EXIT_CODE_H
#define LEAT_BASE_EXIT_CODE_H

enum {
    LEAT_EXIT_OK = 0,
    LEAT_EXIT_FAILED = 1, /* also: started, but it cannot go on */
    LEAT_EXIT_USAGE = 2,  /* the command line or the configuration is at fault */
    LEAT_EXIT_CHECK = 3,  /* a check was done, and its result is negative */
};

#endif
