/// How messages of one host are written: message type, bitmaps, fields. `ISO8583Dialects` reads them from YAML files.
public struct Dialect: Sendable {
    public enum Version: Int, Sendable {
        case v1987 = 1987
        case v1993 = 1993
    }
    /// Characters of text, one byte each.
    public enum CharacterSet: String, Sendable, CaseIterable {
        case ascii
        /// ISO/IEC 8859-1; in EBCDIC the same characters in code page 037.
        case latin1 = "latin-1"
    }
    public var name: String
    public var version: Version
    /// `.ascii`, `.bcd` or `.ebcdic`.
    public var typeEncoding: FieldSpecification.Encoding
    /// `.binary`, `.hex` or `.ebcdic` (hexadecimal digits in EBCDIC).
    public var bitmapEncoding: FieldSpecification.Encoding
    /// The characters that fields of text may hold on the line.
    public var characters: CharacterSet
    /// Whether the bitmap always has 16 bytes, one bit for each field to 128, and bit 1 is never set. Else there is a second
    /// bitmap of 8 bytes where bit 1 of the first is set (ISO 8583:1987, 4.3).
    public var hasLongBitmap: Bool
    /// Field 0...128; nil where the dialect has no such field.
    private let specifications: [FieldSpecification?]
    /// The same, as reading and writing need it.
    let codings: [FieldCoding?]

    public init(
        name: String, version: Version = .v1987, typeEncoding: FieldSpecification.Encoding,
        bitmapEncoding: FieldSpecification.Encoding, hasLongBitmap: Bool = false,
        characters: CharacterSet = .ascii, fields: [FieldSpecification]
    ) {
        self.name = name
        self.version = version
        self.typeEncoding = typeEncoding
        self.bitmapEncoding = bitmapEncoding
        self.hasLongBitmap = hasLongBitmap
        self.characters = characters
        var specifications = [FieldSpecification?](repeating: nil, count: 129)
        for field in fields where (2...128).contains(field.number) { specifications[field.number] = field }
        self.specifications = specifications
        codings = specifications.map { $0.map { FieldCoding($0) } }
    }

    /// The specification of a field; nil where the dialect has none.
    public subscript(field: Int) -> FieldSpecification? {
        specifications.indices.contains(field) ? specifications[field] : nil
    }
}
