"""Reads hexadecimal lines and prints each one's TLV tree as pyemv sees it, or "error" and, where the length or the
value of a data object is at fault, its tag.

A primitive is TAG=VALUE, a template TAG(...), in the order of the input, separated by blanks.
Needs: pip install pyemv
"""

import sys

from pyemv import tlv


def show(tree):
    parts = []
    for tag, value in tree.items():
        if isinstance(value, dict):
            parts.append(f"{tag}({show(value)})")
        else:
            parts.append(f"{tag}={value.hex().upper()}")
    return " ".join(parts)


for line in sys.stdin:
    try:
        print(show(tlv.decode(bytes.fromhex(line.strip()))))
    except tlv.DecodeError as error:
        print("error" if error.msg.startswith("Tag malformed") else f"error {error.tag}")
