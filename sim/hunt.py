"""Runs a simulator with a planted fault until the checker that the plant names finds it; fails when it does not.

    hunt.py PROGRAM PLANT

A plant whose worlds are rare names the `first` seed to try: not far before the world that it was found in.
"""
import subprocess
import sys

program, plant_path = sys.argv[1:3]
with open(plant_path) as file:
    settings = dict(line.split(": ", 1) for line in file.read().split("---\n", 1)[0].splitlines())
command = [program, "--first", settings.get("first", "1"), "--seeds", settings["seeds"]]
for setting in settings.get("set", "").split():
    command += ["--set", setting]
checkers = settings["checker"].split()
run = subprocess.run(command, capture_output=True, text=True)
found = [line for line in run.stdout.splitlines() if line.startswith("seed ")]
print(f"# {settings['what']}")
for line in found or run.stdout.splitlines()[-2:] + run.stderr.splitlines()[-20:]:
    print("#", line[:300])
caught = bool(found) and found[0].split("breaks ")[1].split(":")[0] in checkers
print("1..1")
print(f"{'ok' if caught else 'not ok'} 1 - {settings['checker']} finds it")
sys.exit(0)
