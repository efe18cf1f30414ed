"""An independent look at emulated Visa cards: whole numbers, hashlib and pyemv only.

visa_card.py table
    Prints cryptograms, issuer authentication data and script MACs that the test cards must give or accept
    for fixed inputs: one case a line, name=value fields.
visa_card.py verify CA_MODULUS
    Reads one transaction a line from standard input (pan, psn, options, answer, r<SFI>.<record>, all in
    hexadecimal but pan and psn), checks cryptogram, certificates and signature, and prints "ok ..." or
    "bad ..." for each.
Needs: pip install pyemv
"""

import hashlib
import sys

from pyemv import ac, cvn, kd, sm

IMK_AC = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
IMK_SMI = bytes.fromhex("11223344556677889900AABBCCDDEEFF")
IMK_SMC = bytes.fromhex("99AABBCCDDEEFF001122334455667788")
# Order and length of what the test cards' PDOL asks for.
PDOL = [("9F66", 4), ("9F02", 6), ("9F03", 6), ("9F1A", 2), ("95", 5), ("5F2A", 2), ("9A", 3), ("9C", 1),
        ("9F37", 4)]


def split_options(options):
    values, offset = {}, 0
    for tag, length in PDOL:
        values[tag] = options[offset:offset + length]
        offset += length
    assert offset == len(options)
    return values


def cryptogram(pan, psn, values, aip, atc, iad):
    version = iad[2]
    data = b"".join(values[tag] for tag in ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37"))
    key_a = kd.derive_icc_mk_a(IMK_AC, pan, psn)
    if version == 10:
        return ac.generate_ac(key_a, data + aip + atc + iad[3:7], ac.PaddingType.VISA, 8)
    if version == 17:
        return ac.generate_ac(key_a, values["9F02"] + values["9F37"] + atc + iad[4:5], ac.PaddingType.VISA, 8)
    if version == 18:
        key = kd.derive_common_sk(key_a, atc + bytes(6))
        return ac.generate_ac(key, data + aip + atc + iad, ac.PaddingType.EMV, 8)
    raise ValueError("CVN %d" % version)


def parse(data):
    """BER-TLV, as a list of (tag, value), templates opened."""
    result, i = [], 0
    while i < len(data):
        start = i
        i += 1
        if data[start] & 0x1F == 0x1F:
            while data[i] & 0x80:
                i += 1
            i += 1
        tag = data[start:i].hex().upper()
        length = data[i]
        i += 1
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[i:i + count], "big")
            i += count
        assert i + length <= len(data), "length of " + tag
        value = data[i:i + length]
        i += length
        if data[start] & 0x20:
            result += parse(value)
        else:
            result.append((tag, value))
    return result


def unsign(block, modulus, exponent, what):
    n = int.from_bytes(modulus, "big")
    assert len(block) == len(modulus), what + ": length"
    clear = pow(int.from_bytes(block, "big"), int.from_bytes(exponent, "big"), n).to_bytes(len(modulus), "big")
    assert clear[0] == 0x6A and clear[-1] == 0xBC, what + ": header or trailer"
    return clear


def certified_key(clear, name_length, remainder, exponent, extra, what):
    head = 1 + 1 + name_length + 2 + 3 + 1 + 1 + 1 + 1
    key_length, exponent_length = clear[head - 2], clear[head - 1]
    assert exponent_length == len(exponent), what + ": exponent length"
    digest = hashlib.sha1(clear[1:-21] + remainder + exponent + extra).digest()
    assert digest == clear[-21:-1], what + ": hash"
    modulus = (clear[head:-21] + remainder)
    assert modulus[key_length:].strip(b"\xBB") == b"", what + ": padding"
    return modulus[:key_length]


def verify(fields, ca_modulus):
    pan, psn = fields["pan"], fields["psn"]
    options = split_options(bytes.fromhex(fields["options"]))
    answer = dict(parse(bytes.fromhex(fields["answer"])))
    aip, atc, iad = answer["82"], answer["9F36"], answer["9F10"]
    expected = cryptogram(pan, psn, options, aip, atc, iad)
    assert answer["9F26"] == expected, "cryptogram %s, pyemv %s" % (answer["9F26"].hex(), expected.hex())
    data, static, locator = dict(answer), b"", answer.get("94", b"")
    for i in range(0, len(locator), 4):
        sfi, first, last, signed = locator[i] >> 3, locator[i + 1], locator[i + 2], locator[i + 3]
        for number in range(first, last + 1):
            record = bytes.fromhex(fields["r%d.%d" % (sfi, number)])
            assert record[0] == 0x70
            body = record[2:] if record[1] < 0x80 else record[3:]
            for tag, value in parse(body):
                assert tag not in data, "%s twice" % tag
                data[tag] = value
            if number < first + signed:
                static += body
    if "9F4B" not in data:
        return "no signature"
    assert data["8F"].hex() == "f1", "CA key index"
    clear = unsign(data["90"], ca_modulus, b"\x03", "issuer certificate")
    assert clear[1] == 2 and pan.startswith(clear[2:6].hex().upper().rstrip("F")), "issuer certificate: name"
    issuer = certified_key(clear, 4, data.get("92", b""), data["9F32"], b"", "issuer certificate")
    assert data["9F4A"] == b"\x82"
    clear = unsign(data["9F46"], issuer, data["9F32"], "card certificate")
    assert clear[1] == 4 and clear[2:12].hex().upper().rstrip("F") == pan, "card certificate: name"
    card = certified_key(clear, 10, data.get("9F48", b""), data["9F47"], static + aip, "card certificate")
    clear = unsign(data["9F4B"], card, data["9F47"], "signature")
    # Signed Data Format (VCPS 2.1, fDDA): 05 with a TC, 95 with an ARQC. Which it is says the CVR in the issuer application data, byte 2, bits 6-5.
    kind = iad[4] >> 4 & 3
    assert kind in (1, 2) and iad[3] == 3, "issuer application data: CVR"
    form = b"\x05" if kind == 1 else b"\x95"
    assert clear[1:3] == form + b"\x01" and clear[3] == 3 and clear[4:7] == b"\x02" + atc, "signature: fields"
    related = data.get("9F69", b"")
    signed = options["9F37"]
    if related:
        assert len(related) == 7 and related[0] == 1 and related[5:7] == data["9F6C"], "9F69"
        signed += options["9F02"] + options["5F2A"] + related
    assert hashlib.sha1(clear[1:-21] + signed).digest() == clear[-21:-1], "signature: hash"
    return "signature version %d with %d bits" % (1 if related else 0, len(card) * 8)


def table():
    values = dict(zip((tag for tag, _ in PDOL), map(bytes.fromhex, (
        "36004000", "000000001234", "000000000000", "0276", "0000000000", "0978", "261121", "00", "12345678"))))
    options = b"".join(values[tag] for tag, _ in PDOL)
    for name, pan, psn, version, aip in (
            ("visa-credit", "4761739001010119", "01", 10, "2000"),
            ("visa-no-oda", "4761739001010176", "01", 17, "0000"),
            ("visa-debit", "4761739001010135", "01", 18, "2000"),
            ("apple-pay-visa", "4895370000000015", "00", 18, "2000"),
            ("google-pay-visa", "4895380000000014", "00", 17, "2000"),
            ("alipay-wallet", "4895390000000013", "00", 18, "2000")):
        # The debit card approves this amount offline (TC), the others go online (ARQC).
        iad = bytes([6, 1, version, 3, 0x90 if name == "visa-debit" else 0xA0, 0, 0])
        atc = bytes([0, 1])
        made = cryptogram(pan, psn, values, bytes.fromhex(aip), atc, iad)
        fields = {"options": options, "iad": iad, "ac": made}
        key = kd.derive_icc_mk_a(IMK_AC, pan, psn)
        if version == 18:
            session = kd.derive_common_sk(key, atc + bytes(6))
            # Issuer approves, counters to zero.
            update = bytes.fromhex("00820000")
            fields["auth"] = ac.generate_arpc_2(session, made, update) + update
        else:
            fields["auth"] = ac.generate_arpc_1(key, made, b"00") + b"00"
        smi = kd.derive_visa_sm_sk(kd.derive_icc_mk_a(IMK_SMI, pan, psn), atc)
        for script, header, data in (
                ("block", "841E000008", ""), ("unblock", "8418000004", ""),
                ("limit", "04DA9F540E", "000000000500"), ("count", "04DA9F5809", "00"),
                ("record", "04DC011416", "700C5F200953435249505445442F"[:28])):
            head, body = bytes.fromhex(header), bytes.fromhex(data)
            mac = sm.generate_command_mac(smi, head + atc + made + body, head[4] - len(body))
            fields[script] = head + body + mac
        print(name, *("%s=%s" % (key, value.hex().upper()) for key, value in fields.items()))


if __name__ == "__main__":
    if sys.argv[1] == "table":
        table()
    else:
        modulus = bytes.fromhex(sys.argv[2])
        for line in sys.stdin:
            words = line.split()
            try:
                print("ok", words[0], verify(dict(word.split("=") for word in words[1:]), modulus))
            except (AssertionError, KeyError, ValueError, IndexError) as error:
                print("bad", words[0], type(error).__name__, error)
