"""Writes and reads ISO 8583 messages with pyiso8583, in layouts described here on their own.

Usage: iso8583_messages.py make SEED COUNT [LAYOUT]   messages of every layout or of one, one a line:
                                               LAYOUT MESSAGE [mac=KEY] NUMBER=VALUE ...
       iso8583_messages.py read < messages     lines of LAYOUT MESSAGE; prints LAYOUT t=TYPE NUMBER=VALUE ...
All in hexadecimal: characters as ASCII, bytes as they are. Needs: pip install pyiso8583 psec
"""

import copy
import random
import sys

import iso8583
from iso8583.specs import default
from psec import mac

# Formats of ISO 8583:1987.
NUMERIC = set(range(2, 28)) | {32, 33, 53} | set(range(66, 91)) | {99, 100}
SIGNED = {28, 29, 30, 31, 97}
TRACKS = {35, 36}
BINARY = {52, 55, 64, 96, 128}
FIELDS = [n for n in range(2, 129) if n != 65]


def characters(code):
    """Everything but bytes and bitmaps in one code page."""
    spec = copy.deepcopy(default)
    for key, field in spec.items():
        field["len_enc"] = code
        if key not in ("p", "1") and not (key.isdigit() and int(key) in BINARY):
            field["data_enc"] = code
    return spec


def packed():
    """Numbers and tracks in BCD counted in digits, odd ones with a zero on the left; lengths in BCD."""
    spec = copy.deepcopy(default)
    spec["t"].update(data_enc="b", max_len=2)
    for n in FIELDS:
        field = spec[str(n)]
        if field["len_type"]:
            field["len_enc"] = "bcd"
            field["len_type"] = 1 if field["len_type"] == 2 else 2
        if n in NUMERIC | TRACKS:
            field.update(data_enc="b", len_count="nibbles", left_pad="0")
        elif n in SIGNED:
            # A character and digits: bytes, to this library.
            field.update(data_enc="b", max_len=1 + (field["max_len"] - 1) // 2)
    return spec


SPECS = {
    "pyiso8583-default": default,
    "generic-ascii": characters("ascii"),
    "generic-bcd": packed(),
    "generic-ebcdic": characters("cp037"),
}
PRINTABLE = [chr(c) for c in range(0x20, 0x7F)]


def value(rng, n):
    """A value in the form of the project: characters, or bytes for binary fields."""
    field = default[str(n)]
    most = min(field["max_len"], 120)
    length = rng.randint(1, most) if field["len_type"] else most
    if n in BINARY:
        return bytes(rng.randrange(256) for _ in range(length))
    if n in NUMERIC:
        alphabet = "0123456789"
    elif n in TRACKS:
        digits = [rng.choice("0123456789") for _ in range(length)]
        if length > 2:
            digits[length // 2] = "D"
        return "".join(digits).encode()
    elif n in SIGNED:
        return (rng.choice("CD") + "".join(rng.choice("0123456789") for _ in range(length - 1))).encode()
    else:
        alphabet = PRINTABLE
    return "".join(rng.choice(alphabet) for _ in range(length)).encode()


def is_packed_sign(layout, n):
    return layout == "generic-bcd" and n in SIGNED


def outward(layout, n, data):
    """The project's value as pyiso8583 wants it."""
    if n in BINARY:
        return data.hex().upper()
    if is_packed_sign(layout, n):
        return data[:1].hex().upper() + data[1:].decode()
    return data.decode()


def inward(layout, n, text):
    if n in BINARY:
        return bytes.fromhex(text)
    if is_packed_sign(layout, n):
        return bytes.fromhex(text[:2]) + text[2:].encode()
    return text.encode()


def shown(layout, decoded):
    numbers = sorted(int(k) for k in decoded if k.isdigit() and int(k) > 1)
    return " ".join(f"{n}={inward(layout, n, decoded[str(n)]).hex().upper()}" for n in numbers)


def make(seed, count, only=None):
    rng = random.Random(seed)
    for _ in range(count):
        for layout, spec in SPECS.items():
            if only not in (None, layout):
                continue
            highest = rng.choice([64, 128])
            numbers = [n for n in FIELDS if n <= highest and n not in (64, 128) and rng.random() < 0.3]
            signed = rng.random() < 0.5
            if signed:
                numbers.append(128 if any(n > 64 for n in numbers) else 64)
            message = {"t": rng.choice(["0100", "0110", "0200", "0420", "0800", "0510"])}
            message.update({str(n): outward(layout, n, value(rng, n)) for n in numbers})
            key = bytes(rng.randrange(256) for _ in range(16))
            raw, _ = iso8583.encode(dict(message), spec)
            if signed:
                # ANSI X9.19: the retail MAC over all before the code, in the last field.
                code = mac.generate_retail_mac(key[:8], key[8:], bytes(raw[:-8]), 1)
                message[str(numbers[-1])] = code.hex().upper()
                raw, _ = iso8583.encode(dict(message), spec)
            print(layout, bytes(raw).hex().upper(), *([f"mac={key.hex().upper()}"] if signed else []),
                  "t=" + message["t"].encode().hex(), shown(layout, message))


def read():
    for line in sys.stdin:
        layout, message = line.split()
        decoded, _ = iso8583.decode(bytes.fromhex(message), SPECS[layout])
        print(layout, "t=" + decoded["t"].encode().hex(), shown(layout, decoded))


if sys.argv[1] == "make":
    make(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:5])
else:
    read()
