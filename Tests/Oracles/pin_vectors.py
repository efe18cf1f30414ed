"""Prints PIN blocks and message authentication codes made by psec and Python's own hmac.

Usage: pin_vectors.py SEED COUNT. One case a line: its kind, then name=value fields.
Needs: pip install psec
"""

import hashlib
import hmac
import random
import sys

from psec import des, mac, pinblock

rng = random.Random(int(sys.argv[1]))
count = int(sys.argv[2])


def raw(length):
    return bytes(rng.randrange(256) for _ in range(length))


def digits(low, high):
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(low, high)))


def show(kind, **fields):
    print(kind, *(f"{name}={value.hex().upper() if isinstance(value, bytes) else value}"
                  for name, value in fields.items()))


for _ in range(count):
    pin, pan = digits(4, 12), digits(13, 19)
    key = raw(rng.choice([16, 24]))
    show("format0", pin=pin, pan=pan, key=key,
         block=des.encrypt_tdes_ecb(key, pinblock.encode_pinblock_iso_0(pin, pan)))
    pin, pan = digits(4, 12), digits(8, 19)
    key = raw(rng.choice([16, 24, 32]))
    show("format4", pin=pin, pan=pan, key=key, block=pinblock.encipher_pinblock_iso_4(key, pin, pan))
    data, padding = raw(rng.randrange(1, 80)), rng.choice([1, 2])
    key = raw(rng.choice([8, 16, 24]))
    show("algorithm1", data=data, padding=padding, key=key, mac=mac.generate_cbc_mac(key, data, padding))
    key = raw(16)
    show("algorithm3", data=data, padding=padding, key=key,
         mac=mac.generate_retail_mac(key[:8], key[8:], data, padding))
    key = raw(rng.choice([16, 24, 32]))
    show("aes1", data=data, padding=padding, key=key,
         mac=mac.generate_cbc_mac(key, data, padding, algorithm=mac.Algorithm.AES))
    key = raw(rng.randrange(1, 100))
    show("hmac", data=data, padding=0, key=key, mac=hmac.new(key, data, hashlib.sha256).digest())
