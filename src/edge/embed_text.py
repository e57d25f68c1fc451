#!/usr/bin/env python3
"""Writes a JSON file, without its blanks, as the C string NAME.

usage: embed_text.py OUTPUT NAME FILE
"""
import json
import sys


def main():
    output, name, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = json.dumps(json.load(file), separators=(",", ":"))
    pieces = [json.dumps(text[at:at + 96]).replace("?", "\\?") for at in range(0, len(text), 96)]
    with open(output, "w", encoding="ascii") as file:
        file.write(f'#include "edge/openapi.h"\n\nconst char {name}[] =\n    ' + "\n    ".join(pieces) + ";\n")


main()
