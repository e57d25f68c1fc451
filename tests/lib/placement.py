"""The placement of docs/record-format.md in Python: a second implementation, to be compared with the one in C."""
import ctypes
import ctypes.util

_xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
_xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def xxh3(data, seed=0):
    return _xxhash.XXH3_64bits_withSeed(data, len(data), seed)


def window(tenant, subpartitions, size):
    """The first `size` different ones of the tenant's hashes with the seeds 1, 2, 3, ..."""
    drawn, seed = [], 0
    while len(drawn) < size:
        seed += 1
        number = xxh3(tenant, seed) % subpartitions
        if number not in drawn:
            drawn.append(number)
    return drawn


def subpartition(key, subpartitions, size=0, position=-1):
    """Of a key in canonical form, as bytes; `size`: the tenant window, 0: none."""
    if size == 0:
        return xxh3(key) % subpartitions
    parts = key.split(b"/")
    tenant = parts[position] if position < len(parts) else key
    return window(tenant, subpartitions, size)[xxh3(key) % size]
