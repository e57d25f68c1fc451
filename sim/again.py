"""A seed is a world: run twice, its trace is the same to the letter.

    again.py PROGRAM SEED...
"""
import subprocess
import sys

program, seeds = sys.argv[1], sys.argv[2:]
print(f"1..{len(seeds)}")
for number, seed in enumerate(seeds, 1):
    stories = [subprocess.run([program, "--seed", seed, "--trace"], capture_output=True).stdout for _ in range(2)]
    same = stories[0] == stories[1] and len(stories[0]) > 10000
    print(f"{'ok' if same else 'not ok'} {number} - seed {seed}, {stories[0].count(bytes([10]))} lines")
