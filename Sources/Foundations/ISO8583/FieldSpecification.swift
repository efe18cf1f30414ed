/// How one field of a dialect is written.
public struct FieldSpecification: Sendable, Equatable {
    /// The characters that a field may hold (ISO 8583:1987, 4.1).
    public enum Format: String, Sendable, CaseIterable {
        /// Digits.
        case n
        /// Letters and spaces.
        case a
        /// Letters, digits and spaces.
        case an
        /// Any printable character.
        case ans
        /// Digits and separators of a track: `0-9`, `=`, `D`, and `^` or letters for track 1.
        case z
        /// A sign (`C` or `D`) and digits.
        case xn = "x+n"
        /// Bytes.
        case b
    }

    /// How characters or bytes become bytes on the line.
    public enum Encoding: String, Sendable, CaseIterable {
        case ascii, ebcdic
        /// Two digits a byte. An odd number is padded as `padding` says.
        case bcd
        /// Bytes as they are.
        case binary
        /// Bytes as pairs of ASCII hexadecimal digits.
        case hex
    }

    /// What fills the odd nibble of a BCD field: on the left 0, on the right 0 or F. In what is read another filler is an
    /// error; with `rightZero` an F is taken, too.
    public enum Padding: String, Sendable, CaseIterable {
        case leftZero = "left-zero"
        case rightZero = "right-zero"
        case rightF = "right-f"
    }

    /// How long a field is.
    public enum Length: Sendable, Equatable {
        /// Always so many characters (or bytes).
        case fixed(Int)
        /// A length prefix of 1...6 digits before at most `most` characters (or bytes).
        case variable(digits: Int, most: Int)
    }

    /// What a length prefix counts.
    public enum LengthUnit: String, Sendable, CaseIterable {
        /// Characters or digits (bytes for format b).
        case characters
        /// Bytes on the line.
        case bytes
    }

    /// Whether values may be shown.
    public enum Sensitivity: String, Sendable, CaseIterable {
        case none, pan, track, pin, key, chip
    }

    public var number: Int
    public var name: String
    public var format: Format
    public var length: Length
    public var encoding: Encoding
    public var lengthEncoding: Encoding
    public var lengthUnit: LengthUnit
    public var padding: Padding
    public var sensitivity: Sensitivity
    /// What the value is made of; nil where it is one piece.
    public var layout: SubfieldLayout?
    /// How the sign of an `x+n` field is written whose digits are in BCD: `.ascii` or `.ebcdic`.
    public var signEncoding: Encoding

    public init(
        number: Int, name: String, format: Format, length: Length, encoding: Encoding,
        lengthEncoding: Encoding, lengthUnit: LengthUnit = .characters, padding: Padding = .leftZero,
        sensitivity: Sensitivity = .none, layout: SubfieldLayout? = nil, signEncoding: Encoding = .ascii
    ) {
        self.number = number
        self.name = name
        self.format = format
        self.length = length
        self.encoding = encoding
        self.lengthEncoding = lengthEncoding
        self.lengthUnit = lengthUnit
        self.padding = padding
        self.sensitivity = sensitivity
        self.layout = layout
        self.signEncoding = signEncoding
    }

    /// Whether the value is bytes rather than characters.
    @inlinable public var isBinary: Bool { format == .b }
    /// Format and length as ISO 8583 writes them: `n 6`, `n..19 (LL)`, `b..999 (LLL)`.
    public var notation: String {
        switch length {
        case .fixed(let count): "\(format.rawValue) \(count)"
        case .variable(let digits, let most):
            "\(format.rawValue)..\(most) (\(String(repeating: "L", count: digits)))"
        }
    }
    /// The greatest number of characters (or bytes).
    public var most: Int {
        switch length {
        case .fixed(let count): count
        case .variable(_, let most): most
        }
    }
}

/// What of a specification decides about bytes: copied for every field of every message, it holds no references.
struct FieldCoding {
    var number: Int
    var format: FieldSpecification.Format
    var length: FieldSpecification.Length
    var encoding: FieldSpecification.Encoding
    var lengthEncoding: FieldSpecification.Encoding
    var lengthUnit: FieldSpecification.LengthUnit
    var padding: FieldSpecification.Padding
    var signEncoding: FieldSpecification.Encoding

    init(_ field: FieldSpecification) {
        number = field.number
        format = field.format
        length = field.length
        encoding = field.encoding
        lengthEncoding = field.lengthEncoding
        lengthUnit = field.lengthUnit
        padding = field.padding
        signEncoding = field.signEncoding
    }
}
