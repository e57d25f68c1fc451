"""Plants one fault: writes the source file that a .plant file names, with the fault in it.

A .plant file has lines of "name: value" (what, checker, file, seeds, set), then "---", the text in the file now,
"--- becomes", and the text that takes its place. The old text must be there exactly once: a plant that no longer fits
fails the build, so that it is repaired and not forgotten. The depfile names the source file, so a change of it is planted again.
"""
import sys

plant_path, root, output, depfile = sys.argv[1:5]
with open(plant_path) as file:
    head, rest = file.read().split("---\n", 1)
old, new = rest.split("--- becomes\n", 1)
settings = dict(line.split(": ", 1) for line in head.splitlines())
with open(f"{root}/{settings['file']}") as file:
    text = file.read()
if text.count(old) != 1:
    sys.exit(f"{plant_path}: its text stands {text.count(old)} times in {settings['file']}, not once")
with open(output, "w") as file:
    file.write(f"#line 1 \"{settings['file']}\"\n" + text.replace(old, new))
with open(depfile, "w") as file:
    file.write(f"{output}: {root}/{settings['file']}\n")
