"""Reads a capture file of raw IP packets, by a reader of its own (libpcap's file format, RFC 791, 8200, 9293, 1071).

Standard input: the file in hexadecimal. Prints for each packet: seconds, microseconds, source, destination, sequence
number, acknowledged number, payload in hexadecimal. Ends with an error where a length or a checksum is wrong.
"""

import ipaddress
import struct
import sys

data = bytes.fromhex(sys.stdin.read().strip())
magic, major, minor, _, _, _, link = struct.unpack("<IHHIIII", data[:24])
assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 101)


def total(content):
    content += b"\0" * (len(content) % 2)
    value = sum(struct.unpack(f">{len(content) // 2}H", content))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


place = 24
while place < len(data):
    seconds, micros, stored, whole = struct.unpack("<IIII", data[place:place + 16])
    packet = data[place + 16:place + 16 + stored]
    assert stored == whole == len(packet)
    place += 16 + stored
    if packet[0] >> 4 == 4:
        assert packet[0] == 0x45 and struct.unpack(">H", packet[2:4])[0] == len(packet) and packet[9] == 6
        assert total(packet[:20]) == 0xFFFF, "IP checksum"
        source, target, tcp = packet[12:16], packet[16:20], packet[20:]
        pseudo = source + target + struct.pack(">BBH", 0, 6, len(tcp))
    else:
        assert packet[0] == 0x60 and packet[6] == 6 and struct.unpack(">H", packet[4:6])[0] == len(packet) - 40
        source, target, tcp = packet[8:24], packet[24:40], packet[40:]
        pseudo = source + target + struct.pack(">II", len(tcp), 6)
    assert total(pseudo + tcp) == 0xFFFF, "TCP checksum"
    from_port, to_port, sequence, acknowledged = struct.unpack(">HHII", tcp[:12])
    assert tcp[12] == 0x50
    print(seconds, micros, f"{ipaddress.ip_address(source)}|{from_port}", f"{ipaddress.ip_address(target)}|{to_port}",
          sequence, acknowledged, tcp[20:].hex().upper())
