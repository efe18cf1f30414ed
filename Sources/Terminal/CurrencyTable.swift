import EMV

enum CurrencyTable {
    static func entry(_ c: NumericCode) -> (letters: String, exponent: Int) {
        c.value == 978 ? ("EUR", 2) : ("\(c)", 2)
    }
}
