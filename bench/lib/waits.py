"""Where the time of a write went, on average, between two readings of the metrics of `leat run`."""

TO_LOG, TO_WORKER, TO_TABLE = "leat_accept_to_durable_seconds", "leat_fetch_latency_seconds", "leat_apply_lag_seconds"


def total(metrics, name):
    """Over all labels; `metrics` as World.metrics has them."""
    return sum(value for sample, value in metrics.items() if sample.partition("{")[0] == name)


def mean_ms(before, after, histogram):
    """Of what it has observed in between."""
    seconds, count = (total(after, f"{histogram}_{part}") - total(before, f"{histogram}_{part}") for part in ("sum", "count"))
    return 1000 * seconds / max(count, 1)


def waits(before, after):
    """Each part follows the one before: what a later histogram has beyond an earlier one. A worker may read a record before the edge
    hears that it is durable, so a part may be below 0."""
    durable, read, applied = (mean_ms(before, after, histogram) for histogram in (TO_LOG, TO_WORKER, TO_TABLE))
    return {"to_log_ms": durable, "to_worker_ms": read - durable, "to_table_ms": applied - read,
            "batch_ms": 1000 * total(after, "leat_shard_batch_seconds")}
