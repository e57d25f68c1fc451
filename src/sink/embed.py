#!/usr/bin/env python3
"""Turns a text file into a C file that defines it as a NUL-terminated array.

usage: embed.py INPUT OUTPUT SYMBOL HEADER     (HEADER declares the symbol)
"""
import sys


def main():
    source, output, symbol, header = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read() + b"\0"
    if b"\0" in data[:-1]:
        sys.exit(f"{source}: holds a NUL")
    lines = [", ".join(f"0x{byte:02x}" for byte in data[i:i + 16]) for i in range(0, len(data), 16)]
    with open(output, "w", encoding="ascii") as file:
        file.write(f'#include "{header}"\n\nconst char {symbol}[] = {{\n')
        # A char may be signed: the text is ASCII, which is checked here rather than cast there.
        if max(data) > 127:
            sys.exit(f"{source}: is not ASCII")
        file.writelines(f"    {line},\n" for line in lines)
        file.write("};\n")


main()
