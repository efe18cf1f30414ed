"""Prints bytes A0 to FF of the parts of ISO/IEC 8859 as Python's codecs have them.

One line a part: its number and the code points in hexadecimal, 0 for a byte that stands for nothing.
"""

for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16):
    points = []
    for byte in range(0xA0, 0x100):
        try:
            points.append("%X" % ord(bytes([byte]).decode("iso8859_%d" % part)))
        except UnicodeDecodeError:
            points.append("0")
    print(part, *points)
