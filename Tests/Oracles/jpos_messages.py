"""Random ISO 8583 messages as jPOS's ISO87BPackager and ISO93BPackager write them, by a writer of its own.

Usage: jpos_messages.py SEED COUNT [plausible]   lines of DIALECT MESSAGE NUMBER=VALUE ...
All in hexadecimal, values as characters. Numbers are packed in BCD: an odd count is filled with a zero, in 87B on the
right in fields with a length and on the left in the others, in 93B on the right always. With `plausible` dates,
currencies, countries and card numbers are such; else every digit is random.
"""

import random
import sys

# number: (kind, count or greatest count), from the packagers' tables: n fixed digits, N digits with a length of two digits,
# t text, T text with a length of two digits, L one of three, x sign and digits, z track 2 with a length.
BOTH = {
    2: ("N", 19), 3: ("n", 6), 4: ("n", 12), 5: ("n", 12), 6: ("n", 12), 7: ("n", 10), 8: ("n", 8), 9: ("n", 8),
    10: ("n", 8), 11: ("n", 6), 13: ("n", 4), 14: ("n", 4), 16: ("n", 4), 17: ("n", 4), 18: ("n", 4), 19: ("n", 3),
    20: ("n", 3), 21: ("n", 3), 23: ("n", 3), 24: ("n", 3), 27: ("n", 1), 32: ("N", 11), 33: ("N", 11), 37: ("t", 12),
    38: ("t", 6), 41: ("t", 8), 42: ("t", 15), 49: ("t", 3), 50: ("t", 3), 51: ("t", 3), 48: ("L", 60), 60: ("L", 60),
    62: ("L", 60), 63: ("L", 60), 67: ("n", 2), 68: ("n", 3), 69: ("n", 3), 70: ("n", 3), 73: ("n", 6), 74: ("n", 10),
    75: ("n", 10), 76: ("n", 10), 77: ("n", 10), 86: ("n", 16), 87: ("n", 16), 88: ("n", 16), 89: ("n", 16),
    97: ("x", 17), 98: ("t", 25), 100: ("N", 11), 101: ("T", 17), 104: ("L", 60),
}
B87 = BOTH | {
    12: ("n", 6), 15: ("n", 4), 22: ("n", 3), 25: ("n", 2), 26: ("n", 2), 28: ("x", 9), 29: ("x", 9), 30: ("x", 9),
    31: ("x", 9), 35: ("z", 37), 39: ("t", 2), 40: ("t", 3), 43: ("t", 40), 44: ("T", 25), 53: ("n", 16),
    54: ("L", 60), 66: ("n", 1), 71: ("n", 4), 72: ("n", 4), 82: ("n", 12), 90: ("n", 42), 91: ("t", 1),
    93: ("t", 6), 94: ("t", 7), 95: ("t", 42), 99: ("N", 11),
}
B93 = BOTH | {
    12: ("n", 12), 15: ("n", 6), 22: ("t", 12), 25: ("n", 4), 26: ("n", 4), 28: ("n", 6), 29: ("n", 3), 30: ("n", 24),
    39: ("n", 3), 40: ("n", 3), 43: ("T", 60), 44: ("T", 60), 54: ("L", 60), 57: ("n", 3), 58: ("N", 11),
    71: ("n", 8), 82: ("n", 10), 90: ("n", 10), 91: ("n", 3), 92: ("n", 3), 93: ("N", 11), 94: ("N", 11), 105: ("n", 16),
    106: ("n", 16), 107: ("n", 10),
}
TYPES = ["100", "110", "200", "210", "220", "230", "400", "420", "430", "500", "510", "800", "810"]


def digits(rng, count):
    return "".join(rng.choice("0123456789") for _ in range(count))


def card(rng):
    number = rng.choice("3456") + digits(rng, rng.choice([13, 14, 17]))
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 if place % 2 else 2)
        total += value - 9 if value > 9 else value
    return number + str(-total % 10)


def stretch(rng, length):
    date = "%02d%02d" % (rng.randint(1, 12), rng.randint(1, 28))
    time = "%02d%02d%02d" % (rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59))
    return {4: date, 6: time, 10: date + time, 12: "26" + date + time}[length]


def value(rng, n, kind, count, plausible, message, version):
    if plausible:
        if n == 2:
            return card(rng)
        if n == 35:
            return message.get(2, card(rng)) + "=" + "31122011143878089"[: rng.randint(8, 17)]
        if n in (7, 12, 13, 16, 17) or n == 15 and version == 87:
            return stretch(rng, count)
        if n == 15:
            return "26" + stretch(rng, 4)
        if n == 14:
            return "31%02d" % rng.randint(1, 12)
        if n in (19, 20, 21):
            return rng.choice(["276", "840", "056", "040", "156", "250"])
        if n in (49, 50, 51):
            return rng.choice(["978", "840", "392", "036", "156"])
    if kind in "nN":
        return digits(rng, count if kind == "n" else rng.randint(1, count))
    if kind == "x":
        return rng.choice("CD") + digits(rng, count - 1)
    if kind == "z":
        text = digits(rng, rng.randint(14, count))
        return text[:10] + "=" + text[11:]
    length = count if kind == "t" else rng.randint(1, count)
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") for _ in range(length))


def packed(text, right):
    if len(text) % 2:
        text = text + "0" if right else "0" + text
    return bytes.fromhex(text.replace("=", "D"))


def length(count, size):
    return bytes.fromhex(str(count).zfill(size * 2))


def wire(version, kind, text):
    if kind == "n":
        return packed(text, version == 93)
    if kind == "N":
        return length(len(text), 1) + packed(text, True)
    if kind == "z":
        return length(len(text), 1) + packed(text, True)
    if kind == "x":
        return text[0].encode() + packed(text[1:], version == 93)
    prefix = {"t": b"", "T": length(len(text), 1), "L": length(len(text), 2)}[kind]
    return prefix + text.encode()


def main():
    rng = random.Random(int(sys.argv[1]))
    plausible = "plausible" in sys.argv
    for version, table in ((87, B87), (93, B93)):
        for _ in range(int(sys.argv[2])):
            highest = rng.choice([64, 128])
            numbers = [n for n in sorted(table) if n <= highest and rng.random() < 0.4]
            message = {}
            for n in numbers:
                message[n] = value(rng, n, *table[n], plausible, message, version)
            bits = sum(1 << (128 - n) for n in numbers)
            secondary = any(n > 64 for n in numbers)
            bitmap = (bits | (1 << 127 if secondary else 0)).to_bytes(16, "big")[: 16 if secondary else 8]
            kind = ("0" if version == 87 else "1") + rng.choice(TYPES)
            raw = bytes.fromhex(kind) + bitmap + b"".join(wire(version, table[n][0], message[n]) for n in numbers)
            # Track 2 as the project holds it.
            values = {n: v.replace("=", "D") if n == 35 else v for n, v in message.items()}
            print("jpos-%db" % version, raw.hex(), *("%d=%s" % (n, v.encode().hex()) for n, v in values.items()))


main()
