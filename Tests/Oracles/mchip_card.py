"""An independent look at emulated M/Chip cards: whole numbers, hashlib and pyemv only.

mchip_card.py CA_MODULUS
    Reads one transaction a line from standard input (pan, psn, cdol, relay, options, answer, generate,
    r<SFI>.<record>; all in hexadecimal but pan and psn), checks cryptogram, certificates and CDA, and prints
    "ok ..." or "bad ..." for each.
Needs: pip install pyemv
"""

import hashlib
import sys

from pyemv import cvn
from visa_card import certified_key, parse, unsign

KEYS = [bytes.fromhex(key) for key in (
    "9E15204313F7318ACB79B90BD986AD29", "4664942FE615FB02E5D57F292AA2B3B6", "CE293B8CC12A97737379C6AA79F6F9A4")]
# Order and length of what the test cards' CDOL1 asks for.
CDOL = [("9F02", 6), ("9F03", 6), ("9F1A", 2), ("95", 5), ("5F2A", 2), ("9A", 3), ("9C", 1), ("9F37", 4),
        ("9F35", 1), ("9F45", 2), ("9F4C", 8), ("9F34", 3)]
VERSIONS = {0x10: cvn.MasterCardCVN16, 0x11: cvn.MasterCardCVN17, 0x14: cvn.MasterCardCVN20,
            0x15: cvn.MasterCardCVN21}


def verify(fields, ca_modulus):
    pan, psn = fields["pan"], fields["psn"]
    cdol = bytes.fromhex(fields["cdol"])
    values, offset = {}, 0
    for tag, length in CDOL:
        values[tag] = cdol[offset:offset + length]
        offset += length
    assert offset == len(cdol)
    data, static = dict(parse(bytes.fromhex(fields["answer"]))), b""
    locator = data["94"]
    for i in range(0, len(locator), 4):
        sfi, first, last, signed = locator[i] >> 3, locator[i + 1], locator[i + 2], locator[i + 3]
        for number in range(first, last + 1):
            record = bytes.fromhex(fields["r%d.%d" % (sfi, number)])
            body = record[2:] if record[1] < 0x80 else record[3:]
            for tag, value in parse(body):
                assert tag not in data, "%s twice" % tag
                data[tag] = value
            if number < first + signed:
                static += body
    generated = parse(bytes.fromhex(fields["generate"]))
    response = dict(generated)
    atc, iad, aip = response["9F36"], response["9F10"], data["82"]
    version = VERSIONS[iad[1]](*KEYS, pan, psn)
    arguments = [values[tag] for tag in ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37")]
    extra = [iad[10:18]] if iad[1] in (0x11, 0x15) else []
    expected = version.generate_ac(*arguments, aip, atc, iad[2:8], *extra)
    name = type(version).__name__
    if "9F4B" not in response:
        assert response["9F26"] == expected, "cryptogram, pyemv %s" % expected.hex()
        return name + " without signature"
    assert "9F26" not in response, "cryptogram beside the signature"
    clear = unsign(data["90"], ca_modulus, b"\x03", "issuer certificate")
    assert clear[1] == 2 and pan.startswith(clear[2:6].hex().upper().rstrip("F")), "issuer certificate: name"
    issuer = certified_key(clear, 4, data.get("92", b""), data["9F32"], b"", "issuer certificate")
    clear = unsign(data["9F46"], issuer, data["9F32"], "card certificate")
    assert clear[1] == 4 and clear[2:12].hex().upper().rstrip("F") == pan, "card certificate: name"
    card = certified_key(clear, 10, data.get("9F48", b""), data["9F47"], static + aip, "card certificate")
    clear = unsign(response["9F4B"], card, data["9F47"], "signature")
    assert clear[1:3] == b"\x05\x01", "signature: format"
    assert hashlib.sha1(clear[1:-21] + values["9F37"]).digest() == clear[-21:-1], "signature: hash"
    dynamic = clear[4:4 + clear[3]]
    rest = dynamic[1 + dynamic[0]:]
    assert rest[0:1] == response["9F27"], "signature: cryptogram information data"
    assert rest[1:9] == expected, "signed cryptogram %s, pyemv %s" % (rest[1:9].hex(), expected.hex())
    covered = bytes.fromhex(fields["options"]) + cdol
    for tag, value in generated:
        if tag != "9F4B":
            covered += bytes.fromhex(tag) + bytes([len(value)]) + value
    assert rest[9:29] == hashlib.sha1(covered).digest(), "transaction data hash"
    assert rest[29:] == bytes.fromhex(fields["relay"]), "relay resistance data"
    return name + (" with relay resistance" if fields["relay"] else " with CDA")


ca = bytes.fromhex(sys.argv[1])
for line in sys.stdin:
    words = line.split()
    try:
        print("ok", words[0], verify(dict(word.split("=", 1) for word in words[1:]), ca))
    except (AssertionError, KeyError, IndexError) as error:
        print("bad", words[0], type(error).__name__, error)
