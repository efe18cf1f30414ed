"""Writes and reads ISO 8583 messages as moov-io/iso8583 does with the two specifications that it ships.

A reader and writer of its own, made from what that library's specifications and its fields, prefixes and bitmaps say
(specs/spec87ascii.go, spec87.go, field/bitmap.go, prefix/ascii.go, prefix/hex.go), not from this project's dialects.

Usage: moov_messages.py make SEED COUNT [LAYOUT]   messages of both, or of one: LAYOUT MESSAGE t=TYPE NUMBER=VALUE ...
       moov_messages.py read < messages      lines of LAYOUT MESSAGE; prints LAYOUT t=TYPE NUMBER=VALUE ...
All in hexadecimal: characters as ASCII, bytes as they are (fields 52, 55 and 64).
"""

import random
import sys

# Number of digits in the prefix (0: fixed) and the greatest length, by field.
FIXED = {
    3: 6, 4: 12, 5: 12, 6: 12, 7: 10, 8: 8, 9: 8, 10: 8, 11: 6, 12: 6, 13: 4, 14: 4, 15: 4, 16: 4, 17: 4, 18: 4, 19: 3,
    20: 3, 21: 3, 22: 3, 23: 3, 24: 3, 25: 2, 26: 2, 27: 1, 28: 9, 29: 9, 30: 9, 31: 9, 37: 12, 38: 6, 39: 2, 40: 3, 41: 8,
    42: 15, 43: 40, 49: 3, 50: 3, 51: 3, 53: 16, 90: 42,
}
LL = {2: 19, 32: 11, 33: 11, 34: 28, 35: 37, 44: 99, 45: 76}
LLL = {36: 104, 54: 120} | {n: 999 for n in (46, 47, 48, *range(55, 64))}
# Text of hexadecimal digits that are twice as many as bytes; read as bytes, and never written by that library.
HEX = {52: 8, 64: 8}
LAYOUTS = {
    # A bitmap of 16 bytes for fields 1 to 128, in which bit 1 stays clear.
    "moov-87ascii": (16, FIXED, LL, LLL),
    # Bitmaps of 8 bytes; bit 1 of each says that one more follows.
    "moov-87": (8, FIXED | {70: 3}, LL, LLL),
}
NUMERIC = set(range(2, 28)) | {32, 33, 53, 70, 90}
PRINTABLE = [chr(c) for c in range(0x20, 0x7F)]


def bitmap(size, numbers):
    count = 1 if not numbers or max(numbers) <= size * 8 else 2
    bits = bytearray(size * count)
    for n in numbers:
        bits[(n - 1) // 8] |= 0x80 >> (n - 1) % 8
    for index in range(count - 1):
        bits[index * size] |= 0x80
    return bytes(bits)


def write(layout, kind, fields):
    size, fixed, ll, lll = LAYOUTS[layout]
    out = kind + bitmap(size, fields).hex().upper()
    for n in sorted(fields):
        text = fields[n]
        if n in fixed:
            assert len(text) == fixed[n], (n, text)
            out += text
        elif n in ll:
            assert len(text) <= ll[n]
            out += "%02d" % len(text) + text
        else:
            assert len(text) <= lll[n]
            out += "%03d" % len(text) + text
    return out.encode("ascii")


def read(layout, data):
    size, fixed, ll, lll = LAYOUTS[layout]
    text = data.decode("ascii")
    kind, place = text[:4], 4
    bits = b""
    while True:
        part = bytes.fromhex(text[place:place + size * 2])
        assert len(part) == size
        place += size * 2
        bits += part
        if not part[0] & 0x80:
            break
    fields = {}
    for n in range(2, len(bits) * 8 + 1):
        if (n - 1) % (size * 8) == 0 or not bits[(n - 1) // 8] & 0x80 >> (n - 1) % 8:
            continue
        if n in fixed:
            count = fixed[n]
        elif n in HEX:
            count = HEX[n] * 2
        elif n in ll:
            count, place = int(text[place:place + 2]), place + 2
            assert count <= ll[n]
        else:
            count, place = int(text[place:place + 3]), place + 3
            assert count <= lll[n]
        assert place + count <= len(text), n
        fields[n] = text[place:place + count]
        place += count
    assert place == len(text)
    return kind, fields


def value(rng, n, fixed, ll, lll):
    if n in fixed:
        count = fixed[n]
    else:
        count = rng.randint(0 if n > 2 else 12, min(ll.get(n, 99), lll.get(n, 99)))
    if n == 55:
        return "".join(rng.choice("0123456789ABCDEF") for _ in range(count & ~1))
    if n in NUMERIC:
        return "".join(rng.choice("0123456789") for _ in range(count))
    if n in (28, 29, 30, 31):
        return rng.choice("CD") + "".join(rng.choice("0123456789") for _ in range(count - 1))
    if n == 35:
        return "".join(rng.choice("0123456789=D") for _ in range(count))
    return "".join(rng.choice(PRINTABLE) for _ in range(count))


def shown(kind, fields):
    pairs = [(n, fields[n].upper() if n in (52, 55, 64) else fields[n].encode().hex().upper()) for n in sorted(fields)]
    return " ".join(["t=" + kind.encode().hex()] + [f"{n}={text}" for n, text in pairs])


def make(seed, count, only=None):
    rng = random.Random(seed)
    for _ in range(count):
        for layout, (_, fixed, ll, lll) in LAYOUTS.items():
            if only not in (None, layout):
                continue
            known = sorted(fixed.keys() | ll.keys() | lll.keys())
            fields = {n: value(rng, n, fixed, ll, lll) for n in known if rng.random() < 0.4}
            if layout == "moov-87" and fields.get(3, "1")[0] == "0":
                # Its writer has no padding for this number.
                fields[3] = "1" + fields[3][1:]
            kind = rng.choice(["0100", "0110", "0200", "0210", "0400", "0420", "0800", "0810"])
            data = write(layout, kind, fields)
            assert read(layout, data) == (kind, fields)
            print(layout, data.hex().upper(), shown(kind, fields))


if sys.argv[1] == "make":
    make(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:5])
else:
    for line in sys.stdin:
        layout, data = line.split()
        print(layout, shown(*read(layout, bytes.fromhex(data))))
