"""Random steps of several sessions against schema leat and, beside it, against a model of a few lines.

LEAT_SEED runs one seed of your choice, LEAT_STEPS that many steps.
"""
import collections
import copy
import os
import random

import psycopg
import pytest

SEEDS = [int(os.environ["LEAT_SEED"])] if "LEAT_SEED" in os.environ else range(1, 5)
STEPS = int(os.environ.get("LEAT_STEPS", 700))
PARTITIONS = (0, 1)
SESSIONS = 4
SUBPARTITIONS = (0, 7)  # that park
SHORT_MS = 15  # a wait that does not end by the model


class Token:
    """Stands for a claim's uuid; a partition's first one belongs to nobody."""

    def __init__(self, token=None):
        self.token = token


class State:
    """The committed state."""

    def __init__(self):
        self.partitions = {p: Partition() for p in PARTITIONS}
        self.hits = collections.Counter()


class Partition:
    def __init__(self):
        self.claim, self.epoch, self.base_seq, self.base_offset, self.low = Token(), 0, 0, -1, -1
        self.rows = {}
        self.chunks = {}  # (subpartition, first offset) -> (last offset, done)

    def parked(self, subpartition):
        """(first, last, done) of its chunks, ascending."""
        return sorted((first, *chunk) for (s, first), chunk in self.chunks.items() if s == subpartition)

    def missing(self, needs, own=()):
        return any(n > self.base_seq and n not in self.rows and n not in own for n in needs)


class Open:
    """A transaction under way: a batch, or a compaction."""

    def __init__(self):
        self.inserted = {}   # partition -> (seq, row)
        self.compacted = {}  # partition -> (base_seq, offset, low, the seqs it deletes)
        self.chunks = {}     # (partition, subpartition, first offset) -> (last offset, done), or None: deleted

    def partitions(self):
        return self.inserted.keys() | self.compacted.keys()


class Run:
    def __init__(self, shard, seed):
        self.shard, self.random = shard, random.Random(seed)
        self.state = State()
        self.history = []
        self.sessions = [shard.session() for _ in range(SESSIONS)]
        self.open = {}
        self.claims = {p: [] for p in PARTITIONS}
        self.next_seq = 1
        self.seen = collections.Counter()

    def step(self):
        idle = [i for i in range(SESSIONS) if i not in self.open]
        steps = [(self.finish, 50)] if self.open else [(self.fail_over, 12)]
        if self.open and idle:
            steps.append((self.terminate, 2))
        if idle:
            steps += [(self.claim, 8), (self.batch, 30), (self.park, 15), (self.unpark, 25), (self.load, 5), (self.compact, 15)]
        step = self.random.choices([s for s, _ in steps], [w for _, w in steps])[0]
        step(self.random.choice(idle) if idle else None)

    def expect(self, sqlstate, call):
        """The server must give exactly the error the model gives, or none."""
        self.seen[sqlstate] += 1
        if sqlstate is None:
            return call()
        with pytest.raises(psycopg.Error) as caught:
            call()
        assert caught.value.sqlstate == sqlstate, str(caught.value)
        return None

    # ---- steps ----

    def claim(self, i):
        p = self.random.choice(PARTITIONS)
        busy = any(p in transaction.partitions() for transaction in self.open.values())
        wanted = "55P03" if busy else None
        claim = self.expect(wanted, lambda: self.sessions[i].claim(partition=p, lock_timeout_ms=SHORT_MS))
        if not claim:
            return
        partition = self.state.partitions[p]
        partition.claim, partition.epoch = Token(claim.token), partition.epoch + 1
        self.claims[p].append(partition.claim)
        assert (claim.epoch, claim.base_seq, claim.low) == (partition.epoch, partition.base_seq, partition.low)
        assert claim.base_offsets[0] == partition.base_offset
        assert [(s, list(zip(subs, offsets))) for s, subs, offsets in claim.rows] == sorted(partition.rows.items())
        # Here a subpartition may have two batches in flight, which cut as they like.
        parked = {s: list(zip(*partition.parked(s))) for s in SUBPARTITIONS}
        assert [row[:5] for row in claim.parked] == [(s, min(columns[0]), min(columns[2]), max(columns[1]), len(columns[0]))
                                                     for s, columns in parked.items() if columns]
        self.committed()

    def batch(self, i):
        parts = [self.batch_part(p) for p in sorted(self.random.sample(PARTITIONS, self.random.choice((1, 1, 2))))]
        transaction = Open()
        wanted = None
        for p, claim, seq, moved, needs in parts:
            wanted = wanted or self.advance_error(p, claim, seq, needs)
            transaction.inserted[p] = (seq, sorted(moved.items()))
        session = self.sessions[i]
        session.begin()

        def run():
            for p, claim, seq, moved, needs in parts:
                session.advance(claim, seq, moved=dict(sorted(moved.items())), needs=needs, partition=p,
                                lock_timeout_ms=SHORT_MS)
            session.hit(i)
        self.expect(wanted, run)
        if wanted:
            session.rollback()
        else:
            self.open[i] = transaction

    def park(self, i):
        p, s = self.random.choice(PARTITIONS), self.random.choice(SUBPARTITIONS)
        chunks = self.state.partitions[p].parked(s)
        first = chunks[-1][1] + self.random.randrange(-1, 4) if chunks else self.random.randrange(5)
        last = first + self.random.randrange(3)
        _, claim, seq, _, needs = self.batch_part(p)
        wanted = self.advance_error(p, claim, seq, needs)
        if not wanted and any(chunk[0] >= first for chunk in chunks):
            wanted = "LT009"
        elif not wanted and any(transaction.chunks.get((p, s, first)) for transaction in self.open.values()):
            wanted = "55P03"
        self.change_chunks(i, p, claim, seq, {s: last}, needs, {(p, s, first): (last, first - 1)}, wanted,
                           lambda session: session.put_chunk(first, last, s, partition=p))

    def unpark(self, i):
        """Of one chunk or two, as they are or nearly so."""
        p, s = self.random.choice(PARTITIONS), self.random.choice(SUBPARTITIONS)
        steps = self.state.partitions[p].parked(s)[:self.random.choice((1, 1, 2))]
        if not steps:
            return
        if self.random.random() < 0.1:
            first, last, done = steps[-1]
            steps[-1] = self.random.choice(((first + 1, last + 1, done + 1), (first, last + 1, done), (first, last, done - 1)))
        first, last, done = steps[-1]
        after = self.random.randrange(done + 1, last + 1)
        _, claim, seq, _, needs = self.batch_part(p)
        wanted = self.advance_error(p, claim, seq, needs) or self.chunk_error(p, s, steps)
        changed = {(p, s, step[0]): None for step in steps}
        if after < last:
            changed[p, s, first] = (last, after)
        self.change_chunks(i, p, claim, seq, {}, needs, changed, wanted,
                           lambda session: session.empty_chunks(steps, s, after, 1, partition=p))

    def chunk_error(self, p, s, steps):
        for first, last, done in steps:
            if self.state.partitions[p].chunks.get((s, first)) != (last, done):
                return "LT009"
            if any((p, s, first) in transaction.chunks for transaction in self.open.values()):
                return "55P03"
        return None

    def change_chunks(self, i, p, claim, seq, moved, needs, changed, wanted, call):
        session = self.sessions[i]
        session.begin()

        def run():
            session.advance(claim, seq, moved=moved, needs=needs, partition=p, lock_timeout_ms=SHORT_MS)
            call(session)
            session.hit(i)
        self.expect(wanted, run)
        if wanted:
            session.rollback()
            return
        self.open[i] = Open()
        self.open[i].inserted[p] = (seq, sorted(moved.items()))
        self.open[i].chunks = changed
        self.seen["unparked" if None in changed.values() else "marked" if not moved else "parked"] += 1

    def load(self, i):
        p, s, above = self.random.choice(PARTITIONS), self.random.choice(SUBPARTITIONS), self.random.randrange(-1, 20)
        claim = self.some_claim(p)
        fenced = claim.token is None or claim.token != self.state.partitions[p].claim.token
        found = self.expect("LT001" if fenced else None, lambda: self.sessions[i].load(claim, above, s, p))
        if not fenced:
            chunks = [chunk for chunk in self.state.partitions[p].parked(s) if chunk[0] > above]
            assert (found and found[:3]) == (chunks[0] if chunks else None)

    def batch_part(self, p):
        seq = self.some_seq(p) if self.random.random() < 0.1 else self.next_seq
        self.next_seq += 1
        moved = {self.random.randrange(64): self.random.randrange(1000) for _ in range(self.random.randrange(4))}
        return p, self.some_claim(p), seq, moved, self.some_needs(p)

    def advance_error(self, p, claim, seq, needs):
        partition = self.state.partitions[p]
        if claim.token is None or claim is not partition.claim and claim.token != partition.claim.token:
            return "LT001"
        for transaction in self.open.values():
            if transaction.inserted.get(p, (None,))[0] == seq and seq not in partition.rows:
                return "55P03"
            if p in transaction.compacted and seq in transaction.compacted[p][3]:
                return "55P03"
        if seq in partition.rows:
            return "23505"
        return "LT002" if partition.missing(needs, own=[seq]) else None

    def compact(self, i):
        p = self.random.choice(PARTITIONS)
        partition = self.state.partitions[p]
        claim, needs = self.some_claim(p), self.some_needs(p)
        base_seq = partition.base_seq + self.random.randrange(-2, 8)
        offset, low = self.random.randrange(1000), self.random.randrange(1000)
        fenced = claim.token is None or claim.token != partition.claim.token
        overtaken = base_seq <= partition.base_seq
        wanted = "LT001" if fenced else "LT002" if partition.missing(needs) else None
        if not wanted and not overtaken and any(p in t.compacted for t in self.open.values()):
            wanted = "55P03"
        session = self.sessions[i]
        session.begin()
        self.expect(wanted, lambda: session.compact(claim, base_seq, offset, needs=needs, partition=p, low=low,
                                                    lock_timeout_ms=SHORT_MS))
        if wanted:
            session.rollback()
            return
        if overtaken:
            self.seen["overtaken"] += 1
            session.commit()
            return
        # It deletes only rows that it sees: a row below the base that is committed later stays.
        self.open[i] = Open()
        self.open[i].compacted[p] = (base_seq, offset, low, [seq for seq in partition.rows if seq <= base_seq])

    def finish(self, _):
        i = self.random.choice(list(self.open))
        transaction = self.open.pop(i)
        if self.random.random() < 0.15:
            self.sessions[i].rollback()
            return
        self.sessions[i].commit()
        for p, (seq, row) in transaction.inserted.items():
            self.state.partitions[p].rows[seq] = row
        for (p, *key), chunk in transaction.chunks.items():
            if chunk:
                self.state.partitions[p].chunks[tuple(key)] = chunk
            else:
                del self.state.partitions[p].chunks[tuple(key)]
        if transaction.inserted:
            self.state.hits[i] += 1
        for p, values in transaction.compacted.items():
            partition = self.state.partitions[p]
            partition.base_seq, partition.base_offset, partition.low, gone = values
            for seq in gone:
                del partition.rows[seq]
        self.committed()

    def terminate(self, i):
        p = self.random.choice(PARTITIONS)
        holders = [j for j, transaction in self.open.items() if p in transaction.partitions()]
        assert self.sessions[i].terminate_holders(partition=p) == len(holders)
        self.seen["terminated"] += len(holders)
        for j in holders:
            self.shard.until_gone(self.sessions[j])
            self.sessions[j] = self.shard.session()
            del self.open[j]

    def fail_over(self, _):
        if not self.history:
            return
        del self.history[max(1, len(self.history) - self.random.randrange(5)):]
        state, saved = self.history[-1]
        self.state = copy.deepcopy(state)
        self.shard.fail_over(saved)
        self.seen["failover"] += 1

    # ---- choices ----

    def some_claim(self, p):
        known = self.claims[p]
        if not known:
            return Token("00000000-0000-0000-0000-000000000000")
        if self.random.random() < 0.9 and self.state.partitions[p].claim.token:
            return self.state.partitions[p].claim
        return self.random.choice(known)

    def some_seq(self, p):
        return self.random.randrange(1, self.next_seq + 1)

    def some_needs(self, p):
        partition = self.state.partitions[p]
        good = list(partition.rows) + [partition.base_seq, partition.base_seq - 3]
        needs = [self.random.choice(good) for _ in range(self.random.randrange(5))]
        return needs + [self.some_seq(p)] if self.random.random() < 0.1 else needs

    # ---- comparing ----

    def committed(self):
        self.history.append((copy.deepcopy(self.state), self.shard.save()))
        del self.history[:-10]

    def compare(self):
        for p, partition in self.state.partitions.items():
            claim, epoch, base_seq, base_offset, low, _ = self.shard.partition(p)
            assert (epoch, base_seq, base_offset, low) == (partition.epoch, partition.base_seq, partition.base_offset,
                                                           partition.low)
            assert partition.claim.token in (None, claim)
            rows = self.shard.observer.run("SELECT seq, subpartitions, offsets FROM leat.rows(1, %s)", p)
            assert {s: list(zip(subs, offsets)) for s, subs, offsets in rows} == partition.rows
            for s in SUBPARTITIONS:
                assert [chunk[:3] for chunk in self.shard.chunks(p, s)] == partition.parked(s)
        for i in range(SESSIONS):
            assert self.shard.hits(i) == self.state.hits[i]


@pytest.mark.parametrize("seed", SEEDS)
def test_model(shard, seed):
    """Whatever several sessions do in whatever order, failovers and frozen sessions included: each call ends as the
    model says, and tables and model agree after every step."""
    run = Run(shard, seed)
    for step in range(STEPS):
        try:
            run.step()
            run.compare()
        except BaseException:
            print(f"LEAT_SEED={seed} LEAT_STEPS={step + 1}")
            raise
    missed = {None, "LT001", "LT002", "LT009", "55P03", "23505", "parked", "unparked", "marked", "overtaken", "terminated", "failover"} - run.seen.keys()
    assert not missed or STEPS < 700, f"this run proves nothing about {missed}: {run.seen}"
