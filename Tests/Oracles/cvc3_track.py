"""Fills track 2 of a Mastercard mag-stripe mode card as a reader must: pyemv's keys, psec's DES and MAC, and text.

Each line of standard input: PAN, PSN, TRACK2 (9F6B), PCVC3 (9F65), PUNATC (9F66), NATC (9F67), the reader's
unpredictable number (9F37), ATC, and whether the cardholder was verified on the device (0 or 1). Prints the track.
Needs: pip install pyemv psec
"""

import sys

from psec import des, mac
from pyemv import kd

IMK_CVC3 = bytes.fromhex("0123456789ABCDEF1032547698BADCFE")


def fill(key, track, pcvc3, punatc, natc, number, atc, verified):
    places = bin(int(punatc, 16))[2:].zfill(len(punatc) * 4)[::-1]
    mixed = [i for i, bit in enumerate(places) if bit == "1"]
    digits = len(mixed) - int(natc, 16)
    # The reader's number as a whole number, its last digits, in BCD.
    un = str(int(number, 16) % 10 ** digits).zfill(8)
    block = mac.generate_retail_mac(key[:8], key[8:], bytes.fromhex(track), 2)
    iv = block[-2:]
    clear = iv + bytes.fromhex(un) + bytes.fromhex(atc)
    value = int.from_bytes(des.encrypt_tdes_ecb(key, clear)[-2:], "big")
    text = list(track.rstrip("F"))
    for i, bit in enumerate(bin(int(pcvc3, 16))[2:].zfill(len(pcvc3) * 4)[::-1]):
        if bit == "1":
            text[-1 - i] = str(value % 10)
            value //= 10
    for count, i in enumerate(mixed):
        source = un if count < digits else str(int(atc, 16)).zfill(16)
        offset = count if count < digits else count - digits
        text[-1 - i] = source[-1 - offset]
    text[-1] = str((digits + 5) % 10 if verified == "1" else digits)
    result = "".join(text)
    return result if len(result) % 2 == 0 else result + "F"


for line in sys.stdin:
    words = line.split()
    print(fill(kd.derive_icc_mk_a(IMK_CVC3, words[0], words[1]), *words[2:]))
