#include "log/log_ops.h"

const leat_log_ops leat_local_ops = {0};
