"""Prints authorizations of the built-in test world with the answers that an issuer has to give, made by pyemv.

Usage: issuer_vectors.py SEED COUNT. One case a line: the card's name, then name=value fields.
Needs: pip install pyemv
"""

import random
import sys

from pyemv import ac, cvn, kd

rng = random.Random(int(sys.argv[1]))
count = int(sys.argv[2])

IMK_AC = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
IMK_SMI = bytes.fromhex("11223344556677889900AABBCCDDEEFF")
IMK_SMC = bytes.fromhex("99AABBCCDDEEFF001122334455667788")

# name, number, sequence number, expiry YYMM, cryptogram version, response code, scripts
CARDS = [
    ("visa-credit", "4761739001010119", "01", "3112", 10, "00", False),
    ("visa-debit", "4761739001010135", "01", "3112", 18, "00", True),
    ("visa-expired", "4761739001010143", "01", "2412", 10, "54", False),
    ("visa-no-oda", "4761739001010176", "01", "3112", 17, "00", False),
    ("visa-poor", "4761739001010184", "01", "3112", 10, "51", False),
    ("apple-pay-visa", "4895370000000015", "00", "2908", 18, "00", False),
    ("google-pay-visa", "4895380000000014", "00", "2905", 17, "00", False),
    ("alipay-wallet", "4895390000000013", "00", "2810", 18, "00", False),
]


def raw(length):
    return bytes(rng.randrange(256) for _ in range(length))


def bcd(number, length):
    return bytes.fromhex(str(number).zfill(2 * length))


def tlv(tag, value):
    assert len(value) < 128
    return bytes.fromhex(tag) + bytes([len(value)]) + value


for _ in range(count):
    for name, pan, psn, expiry, version, code, scripts in CARDS:
        amount = rng.randrange(1, 30000)
        atc, un = rng.randrange(1, 0xFFFF).to_bytes(2, "big"), raw(4)
        tvr = rng.choice(["0000000000", "8000000000", "0000008000"])
        number = {10: 0x0A, 17: 0x11, 18: 0x12}[version]
        # CVR: first GENERATE AC gave an ARQC, no second one; the rest at random.
        cvr = bytes([3, 0xA0 | rng.randrange(16)]) + raw(2)
        iad = bytes([6, 1, number]) + cvr + raw(rng.choice([0, 0, 5]))
        t = dict(
            tag_9f02=bcd(amount, 6), tag_9f03=bytes(6), tag_9f1a=bytes.fromhex("0276"),
            tag_95=bytes.fromhex(tvr), tag_5f2a=bytes.fromhex("0978"), tag_9a=bytes.fromhex("261120"),
            tag_9c=bytes(1), tag_9f37=un, tag_82=bytes.fromhex("2000"), tag_9f36=atc)
        if version == 10:
            card = cvn.VisaCVN10(IMK_AC, IMK_SMI, IMK_SMC, pan, psn)
            arqc = card.generate_ac(**t, cvr=cvr)
        elif version == 18:
            card = cvn.VisaCVN18(IMK_AC, IMK_SMI, IMK_SMC, pan, psn)
            arqc = card.generate_ac(**t, tag_9f10=iad)
        else:
            # pyemv has no CVN 17: its parts, and the data that Visa's public documents name.
            master = kd.derive_icc_mk_a(IMK_AC, pan, psn)
            arqc = ac.generate_ac(
                master, t["tag_9f02"] + un + atc + iad[4:5], ac.PaddingType.VISA)
        if version == 18:
            csu = bytes.fromhex("00820000" if code == "00" else "00000000")
            answer = card.generate_arpc(arqc, atc, csu) + csu
        elif version == 10:
            answer = card.generate_arpc(arqc, code.encode()) + code.encode()
        else:
            answer = ac.generate_arpc_1(master, arqc, code.encode()) + code.encode()
        template = b""
        if scripts:
            body = b""
            for tag, value in (("9F58", "03"), ("9F54", "000000007500")):
                data = bytes.fromhex(value)
                header = bytes.fromhex("04DA" + tag) + bytes([len(data) + 8])
                mac = card.generate_command_mac(header, arqc, atc, data)
                body += tlv("86", header + data + mac)
            template = tlv("72", body)
        names = {"tag_9f02": "9F02", "tag_9f03": "9F03", "tag_9f1a": "9F1A", "tag_95": "95",
                 "tag_5f2a": "5F2A", "tag_9a": "9A", "tag_9c": "9C", "tag_9f37": "9F37", "tag_82": "82",
                 "tag_9f36": "9F36"}
        de55 = (tlv("9F26", arqc) + tlv("9F27", b"\x80") + tlv("9F10", iad) + tlv("5F34", bytes.fromhex(psn))
                + b"".join(tlv(names[key], value) for key, value in t.items()))
        print(name, f"pan={pan}", f"expiry={expiry}", f"amount={amount}", f"code={code}",
              f"de55={de55.hex().upper()}", f"answer={answer.hex().upper()}",
              f"scripts={template.hex().upper()}")
