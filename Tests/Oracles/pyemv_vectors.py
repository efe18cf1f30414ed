"""Prints seeded random cases of keys, cryptograms, MACs and scripts with the results of pyemv and psec.

Usage: pyemv_vectors.py SEED COUNT. One case a line: name, then name=value fields in hexadecimal.
Needs: pip install pyemv psec
"""

import random
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from psec import aes, des, mac as psec_mac
from pyemv import ac, cvn, cvv, kd, mac, sm

rng = random.Random(int(sys.argv[1]))
count = int(sys.argv[2])


def raw(length):
    return bytes(rng.randrange(256) for _ in range(length))


def line(name, **fields):
    print(name, *(f"{key}={value.hex().upper()}" for key, value in fields.items()))


def digits(length):
    return "".join(str(rng.randrange(10)) for _ in range(length))


def packed(text):
    return bytes.fromhex(text + "F" * (len(text) % 2))


for _ in range(count):
    key, blocks, data, iv = raw(16), raw(8 * rng.randrange(1, 6)), raw(rng.randrange(1, 60)), raw(8)
    line("tdes", key=key, data=blocks, iv=iv, ecb=des.encrypt_tdes_ecb(key, blocks),
         cbc=des.encrypt_tdes_cbc(key, iv, blocks))
    key24 = raw(24)
    line("tdes", key=key24, data=blocks, iv=iv, ecb=des.encrypt_tdes_ecb(key24, blocks),
         cbc=des.encrypt_tdes_cbc(key24, iv, blocks))
    line("mac", key=key, data=data,
         retail1=psec_mac.generate_retail_mac(key[:8], key[8:], data, 1),
         retail2=psec_mac.generate_retail_mac(key[:8], key[8:], data, 2),
         cbc1=psec_mac.generate_cbc_mac(key, data, 1), cbc2=psec_mac.generate_cbc_mac(key, data, 2))
    aeskey, aesiv = raw(rng.choice([16, 24, 32])), raw(16)
    aesdata = raw(16 * rng.randrange(1, 5))
    cmac = CMAC(algorithms.AES(aeskey))
    cmac.update(data)
    cmac16 = CMAC(algorithms.AES(aeskey))
    cmac16.update(aesdata)
    line("aes", key=aeskey, data=aesdata, iv=aesiv, ecb=aes.encrypt_aes_ecb(aeskey, aesdata),
         cbc=aes.encrypt_aes_cbc(aeskey, aesiv, aesdata), odd=data, cmac=cmac.finalize(),
         cmac16=cmac16.finalize())

    pan, psn = digits(rng.randrange(12, 20)), digits(2)
    atc, un = raw(2), raw(4)
    arqc = raw(8)
    line("keys", imk=key, pan=packed(pan), psn=bytes.fromhex(psn), atc=atc, un=un, r=arqc,
         a=kd.derive_icc_mk_a(key, pan, psn), b=kd.derive_icc_mk_b(key, pan, psn),
         csk=kd.derive_common_sk(key, atc + bytes(6)), skd=kd.derive_common_sk(key, atc + bytes(2) + un),
         sm=kd.derive_common_sk(key, arqc), visa=kd.derive_visa_sm_sk(key, atc))

    smi, smc = raw(16), raw(16)
    t = dict(tag_9f02=raw(6), tag_9f03=raw(6), tag_9f1a=raw(2), tag_95=raw(5), tag_5f2a=raw(2),
             tag_9a=raw(3), tag_9c=raw(1), tag_9f37=un, tag_82=raw(2), tag_9f36=atc)
    common = dict(key=key, smi=smi, smc=smc, pan=packed(pan), psn=bytes.fromhex(psn),
                  input=b"".join(t.values()), atc=atc)
    arc, csu, prop = raw(2), raw(4), raw(rng.randrange(0, 9))
    header, script = bytes.fromhex("8424000008"), raw(rng.randrange(0, 30))

    visa_cvr, idd = raw(3), raw(rng.randrange(0, 12))
    visa = {
        "cvn10": (cvn.VisaCVN10, bytes([6, 1, 0x0A, 3]) + visa_cvr + idd),
        "cvn18": (cvn.VisaCVN18, bytes([6, 1, 0x12, 3]) + visa_cvr + idd),
        "cvn22": (cvn.VisaCVN22, bytes([0x1F, 0x22, 1]) + raw(29)),
    }
    for name, (kind, iad) in visa.items():
        card = kind(key, smi, smc, pan, psn)
        if name == "cvn10":
            result = card.generate_ac(**t, cvr=iad[3:7])
            answer = card.generate_arpc(result, arc)
        else:
            result = card.generate_ac(**t, tag_9f10=iad)
            answer = card.generate_arpc(result, atc, csu, prop)
        last = result if name == "cvn22" else atc
        line(name, **common, iad=iad, ac=result, arc=arc, csu=csu, prop=prop, arpc=answer, header=header,
             script=script, mac=card.generate_command_mac(header, result, atc, script),
             enc=card.encrypt_command_data(script, last))

    for name, kind, number, counted in (
        ("mchip16", cvn.MasterCardCVN16, 0x10, False), ("mchip17", cvn.MasterCardCVN17, 0x11, True),
        ("mchip20", cvn.MasterCardCVN20, 0x14, False), ("mchip21", cvn.MasterCardCVN21, 0x15, True),
    ):
        cvr, dac, counters = raw(6), raw(2), raw(8)
        card = kind(key, smi, smc, pan, psn)
        if counted:
            result = card.generate_ac(**t, cvr=cvr, counters=counters)
        else:
            result = card.generate_ac(**t, cvr=cvr)
        if number & 4:
            answer = card.generate_arpc(result, atc, arc)
        else:
            answer = card.generate_arpc(result, arc)
        # M/Chip counts the ARQC up by one with each script command.
        index = rng.randrange(4)
        counted_up = ((int.from_bytes(result, "big") + index) % (1 << 64)).to_bytes(8, "big")
        line(name, **common, iad=bytes([1, number]) + cvr + dac + counters, ac=result, arc=arc, csu=csu,
             prop=prop, arpc=answer, header=header, script=script, index=bytes([index]),
             mac=card.generate_command_mac(header, counted_up, atc, script),
             enc=card.encrypt_command_data(script, counted_up) if script else b"")

    line("ccd", smi=smi, smc=smc, atc=atc, arqc=arqc, header=header, script=script,
         mac=sm.generate_command_mac(kd.derive_common_sk(smi, arqc), header + atc + arqc + script),
         enc=sm.encrypt_command_data(kd.derive_common_sk(smc, arqc), script, sm.EncryptionType.EMV))

    track = raw(rng.randrange(10, 60))
    line("cvc3", key=key, track=track, un=un, atc=atc,
         cvc3=int(cvv.generate_cvc3(key, track, atc, un)).to_bytes(2, "big"))
