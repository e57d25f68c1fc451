#!/usr/bin/env python3
"""Packs files into a C file that defines an array of leat_http_file (http/file.h), each compressed. The policy that goes with
each lets a browser ask nobody but this server for anything.

usage: embed_files.py --files OUTPUT ARRAY HEADER PREFIX [FILE...]    the files as they are: index.html at PREFIX, the others below it
       embed_files.py --page OUTPUT ARRAY HEADER PATH INDEX [FILE...]   one page at PATH: INDEX, with the scripts and styles that it
                                                                      names put in, of FILEs or of its own folder. The policy
                                                                      names their hashes, so nothing else runs. One with
                                                                      class="optional" that is not there is left out.
"""
import base64
import gzip
import hashlib
import os
import re
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
POLICY = ("Content-Security-Policy: default-src 'none'; script-src %s; style-src %s; img-src %s; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n")


def literal(data):
    """As C strings: three octal digits for all that is not plain, so that no digit after them is taken for theirs."""
    plain = {byte: chr(byte) for byte in range(32, 127) if chr(byte) not in '"\\?'}
    for at in range(0, len(data), 64):
        yield '    "' + "".join(plain.get(byte, f"\\{byte:03o}") for byte in data[at:at + 64]) + '"\n'


def text(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\r\n", "\\r\\n") + '"'


def write(output, array, header, files):
    """`files`: (path, type, headers, content)."""
    with open(output, "w", encoding="ascii") as file:
        file.write(f'#include "{header}"\n\n')
        rows = []
        for number, (address, kind, headers, data) in enumerate(files):
            packed = gzip.compress(data, 9, mtime=0)
            lines = list(literal(packed))
            file.write(f"static const char file_{number}[] =\n{''.join(lines).rstrip()};\n\n")
            etag = text('"' + hashlib.sha256(data).hexdigest()[:16] + '"')
            rows.append(f"    {{{text(address)}, {text(kind)}, {etag}, {text(headers)}, {{file_{number}, {len(packed)}}}, {len(data)}}},\n")
        file.write(f"const leat_http_file {array}[] = {{\n{''.join(rows)}    {{0}},\n}};\n")


def read(path):
    with open(path, "rb") as file:
        return file.read().replace(b"\r\n", b"\n")


def embed_files(output, array, header, prefix, *paths):
    policy = POLICY % ("'self'", "'self' 'unsafe-inline'", "'self' data:")  # Swagger UI sets styles of elements in its HTML
    files = []
    for path in paths:
        name = os.path.basename(path)
        with open(path, "rb") as file:
            files.append((prefix if name == "index.html" else f"{prefix}/{name}", TYPES[os.path.splitext(name)[1]], policy, file.read()))
    write(output, array, header, files)


def embed_page(output, array, header, address, index, *others):
    found = {os.path.basename(path): path for path in others}
    hashes = {"script": [], "style": []}

    def put_in(match):
        name = match.group("script") or match.group("style")
        kind = "script" if match.group("script") else "style"
        path = found.get(name, os.path.join(os.path.dirname(index), name))
        if not os.path.exists(path) and 'class="optional"' in match.group(0):
            return ""
        content = read(path).decode("utf-8").strip()
        assert f"</{kind}" not in content, f"{path} has </{kind}: the browser would end it there"
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
        return f"<{kind}>{content}</{kind}>"

    page = re.sub(r'<script [^>]*src="(?P<script>[^"]+)"></script>|<link rel="stylesheet" [^>]*href="(?P<style>[^"]+)">', put_in,
                  read(index).decode("utf-8"))
    policy = POLICY % (" ".join(hashes["script"]), " ".join(hashes["style"]), "data:")
    write(output, array, header, [(address, TYPES[".html"], policy, page.encode())])


{"--files": embed_files, "--page": embed_page}[sys.argv[1]](*sys.argv[2:])
