"""A world that fails is made smaller, and still fails for the same reason.

    smaller.py PROGRAM
"""
import re
import subprocess
import sys

program = sys.argv[1]


def run(*arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True).stdout


def failure(text):
    return re.search(r"^seed \d+ breaks (\w+)", text, re.M)


def events(text):
    return int(re.search(r"records, (\d+) events", text)[1])


seed = next(str(s) for s in range(1, 200) if failure(run("--seed", str(s))))
before = run("--seed", seed)
settings = run("--seed", seed, "--shrink").split("smaller (")[1].splitlines()[0].split("--trace", 1)[1].split()
after = run("--seed", seed, *settings)
same = failure(after) and failure(after)[1] == failure(before)[1]
print("1..1")
print(f"# seed {seed}: {events(before)} events, then {events(after)}")
print(f"{'ok' if same and settings else 'not ok'} 1 - {' '.join(settings)[:300]}")
