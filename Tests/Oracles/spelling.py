"""Letters without their marks, by Unicode's compatibility decomposition (Python's unicodedata).

Reads code points in hexadecimal, one a line; prints for each the spelling in ASCII, in hexadecimal, or nothing where the
decomposition is not of letters and digits of ASCII and combining marks alone.
"""

import sys
import unicodedata

for line in sys.stdin:
    text = unicodedata.normalize("NFKD", chr(int(line, 16)))
    plain = "".join(c for c in text if not unicodedata.combining(c))
    print(plain.encode().hex() if plain.isascii() and plain.isalnum() else "")
