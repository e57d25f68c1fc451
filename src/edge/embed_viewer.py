#!/usr/bin/env python3
"""Packs the files of the page /docs, each compressed, into a C file that defines edge_viewer_files.

usage: embed_viewer.py OUTPUT FILE...     (no files: the program has no such page)
"""
import gzip
import hashlib
import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def literal(data):
    """As C strings: three octal digits for all that is not plain, so that no digit after them is taken for theirs."""
    plain = {byte: chr(byte) for byte in range(32, 127) if chr(byte) not in '"\\?'}
    for at in range(0, len(data), 64):
        yield '    "' + "".join(plain.get(byte, f"\\{byte:03o}") for byte in data[at:at + 64]) + '"\n'


def main():
    output, *paths = sys.argv[1:]
    rows, texts = [], []
    for number, path in enumerate(paths):
        name = os.path.basename(path)
        with open(path, "rb") as file:
            data = file.read()
        packed = gzip.compress(data, 9, mtime=0)
        texts += [f"static const char file_{number}[] =\n", *literal(packed)]
        texts[-1] = texts[-1].rstrip("\n") + ";\n\n"
        address = "/docs" if name == "index.html" else "/docs/" + name
        etag = '\\"' + hashlib.sha256(data).hexdigest()[:16] + '\\"'
        rows.append(f'    {{"{address}", "{TYPES[os.path.splitext(name)[1]]}", "{etag}", {{file_{number}, {len(packed)}}}, {len(data)}}},\n')
    with open(output, "w", encoding="ascii") as file:
        file.write('#include "edge/viewer.h"\n\n')
        file.writelines(texts)
        file.write("const edge_viewer_file edge_viewer_files[] = {\n")
        file.writelines(rows)
        file.write("    {0},\n};\n")


main()
