"""ISO 4217 as the package iso4217 has it, which carries the list that the maintenance agency publishes.

Prints NUMBER LETTERS DIGITS, a currency a line; "-" for a currency without minor units.
Needs: pip install iso4217
"""

import iso4217

for currency in iso4217.Currency:
    print("%03d %s %s" % (currency.number, currency.code, "-" if currency.exponent is None else currency.exponent))
