/* test_placement.h - the placement of a source in a test that is not about placement. */
#ifndef LEAT_TESTS_TEST_PLACEMENT_H
#define LEAT_TESTS_TEST_PLACEMENT_H

#include "base/placement.h"

static const leat_placement test_placement = {
    .version = 1, .subpartitions = 64, .tenant_position = -1};

#endif
