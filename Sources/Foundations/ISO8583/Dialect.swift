/// How messages of one host are written: message type, bitmaps, fields. `ISO8583Dialects` reads them from YAML files.
public struct Dialect: Sendable {
    public enum Version: Int, Sendable {
        case v1987 = 1987
        case v1993 = 1993
    }
    public var name: String
    public var version: Version
    /// `.ascii`, `.bcd` or `.ebcdic`.
    public var typeEncoding: FieldSpecification.Encoding
    /// `.binary`, `.hex` or `.ebcdic` (hexadecimal digits in EBCDIC).
    public var bitmapEncoding: FieldSpecification.Encoding
    /// Field 0...128; nil where the dialect has no such field.
    private let specifications: [FieldSpecification?]
    /// The same, as reading and writing need it.
    let codings: [FieldCoding?]

    public init(
        name: String, version: Version = .v1987, typeEncoding: FieldSpecification.Encoding,
        bitmapEncoding: FieldSpecification.Encoding, fields: [FieldSpecification]
    ) {
        self.name = name
        self.version = version
        self.typeEncoding = typeEncoding
        self.bitmapEncoding = bitmapEncoding
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
