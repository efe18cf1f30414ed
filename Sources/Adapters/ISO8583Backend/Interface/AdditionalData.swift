internal import Acquiring
public import BERTLV
internal import EMV
internal import ISO8583
internal import ProfileFile

/// What hosts want in private fields, each in another place.
public enum DataSource: Hashable, Sendable {
    /// `=text`: the same in each message.
    case literal(String)
    /// `tag 9F6E`: a data object of the chip data, in hexadecimal.
    case tag(BERTLV.Tag)
    case named(Name)

    public enum Name: String, Sendable, CaseIterable {
        /// Tag 9F19, eleven digits: the number is a token.
        case tokenRequestor = "token-requestor"
        /// Tag 9F24, 29 characters.
        case paymentAccountReference = "payment-account-reference"
        /// Tag 9F6E in hexadecimal.
        case formFactor = "form-factor"
        /// Kind of device from tag 9F6E: two digits of Visa's form factor or of Mastercard's device type.
        case deviceType = "device-type"
        /// 1 where the number is a token of a wallet, else 0.
        case wallet
        /// 0 none, 1 signature, 2 online PIN, 3 on the device.
        case cardholderVerification = "cardholder-verification"
        /// Field 22's first two digits.
        case entryMode = "entry-mode"
        /// S sale, P pre-authorization, D deferred.
        case purpose
        /// 1 where an approval for a part is taken, else 0.
        case partialApproval = "partial-approval"
        /// Key serial number of the PIN block, in hexadecimal.
        case keySerialNumber = "key-serial-number"
        /// The terminal's own identifier of the transaction.
        case transactionID = "transaction-id"
        /// Number of an adjustment, from 1.
        case revision
        /// Number of the batch.
        case batch
        /// 1 where the whole batch was sent one by one before, else 0.
        case afterUpload = "after-upload"
    }

    init?(_ text: some StringProtocol) {
        if text.hasPrefix("=") {
            self = .literal(String(text.dropFirst()))
        } else if text.hasPrefix("tag "), let tag = BERTLV.Tag(hex: String(text.dropFirst(4))) {
            self = .tag(tag)
        } else if let name = Name(rawValue: String(text)) {
            self = .named(name)
        } else {
            return nil
        }
    }
}

/// What a private field is made of.
public struct AdditionalField: Sendable, Equatable {
    public enum Layout: Sendable, Equatable {
        /// Elements of a tag and a length of so many characters; those without a value are left out.
        case tagged(tag: Int, length: Int, elements: [Element])
        /// Pieces of fixed length; a value is filled with zeros on its left where it is digits, else with spaces on
        /// its right. The field is left out where no piece but literals has a value.
        case positions([Piece])
    }
    public struct Element: Sendable, Equatable {
        public var tag: String
        public var source: DataSource
    }
    public struct Piece: Sendable, Equatable {
        public var source: DataSource
        public var count: Int
    }
    public var number: Int
    public var layout: Layout

    /// The field's value; nil where there is nothing to say, or a value is longer than its place.
    func value(_ find: (DataSource) -> String?) -> [UInt8]? {
        switch layout {
        case .tagged(let tag, let length, let elements):
            let found = elements.compactMap { element in
                find(element.source).map { (tag: element.tag, value: Array($0.utf8)) }
            }
            guard !found.isEmpty else { return nil }
            return SubfieldLayout.tagged(tag: tag, length: length).joined(found)
        case .positions(let pieces):
            var result: [UInt8] = []
            var isEmpty = true
            for piece in pieces {
                let found = find(piece.source)
                if found != nil { if case .literal = piece.source {} else { isEmpty = false } }
                let text = Array((found ?? "").utf8)
                guard text.count <= piece.count else { return nil }
                let fill = piece.count - text.count
                if !text.isEmpty, text.allSatisfy({ (0x30...0x39).contains($0) }) {
                    result += Array(repeating: 0x30, count: fill) + text
                } else {
                    result += text + Array(repeating: 0x20, count: fill)
                }
            }
            return isEmpty ? nil : result
        }
    }

    /// What a received field says.
    func read(_ value: ArraySlice<UInt8>, into found: inout [DataSource: String]) {
        switch layout {
        case .tagged(let tag, let length, let elements):
            for piece in SubfieldLayout.tagged(tag: tag, length: length).split(value) {
                guard let element = elements.first(where: { $0.tag == piece.name }) else { continue }
                found[element.source] = String(decoding: piece.value, as: UTF8.self)
            }
        case .positions(let pieces):
            var rest = value
            for piece in pieces where rest.count >= piece.count {
                let text = String(decoding: rest.prefix(piece.count), as: UTF8.self)
                rest = rest.dropFirst(piece.count)
                let trimmed = text.drop { $0 == " " }
                guard !trimmed.isEmpty else { continue }
                found[piece.source] = String(trimmed)
            }
        }
    }

    init(number: Int, layout: Layout) {
        self.number = number
        self.layout = layout
    }

    /// `{ tag: 2, length: 3, elements: { TR: token-requestor } }` or `{ positions: ["batch 6", "=0 1"] }`.
    init(number: Int, _ place: ProfileFile) throws(ProfileFileError) {
        let keys = try place.mapping()
        if let list = keys.optional("positions") {
            var pieces: [Piece] = []
            for item in try list.list() {
                let text = try item.string()
                guard let space = text.lastIndex(of: " "), let count = Int(text[text.index(after: space)...]),
                    (1...999).contains(count), let source = DataSource(text[..<space])
                else {
                    throw item.error(
                        "expected a source and a length such as \"batch 6\", found \"\(text)\"; sources are "
                            + Self.sources)
                }
                pieces.append(Piece(source: source, count: count))
            }
            layout = .positions(pieces)
        } else {
            let tag = try keys.required("tag").integer(in: 1...8)
            let length = try keys.required("length").integer(in: 1...4)
            var elements: [Element] = []
            for (key, value) in try keys.required("elements").mapping().entries() {
                let name = try key.string()
                guard name.utf8.count == tag else { throw key.error("expected a tag of \(tag) characters") }
                guard let source = DataSource(try value.string()) else {
                    throw value.error("no such source; sources are \(Self.sources)")
                }
                elements.append(Element(tag: name, source: source))
            }
            layout = .tagged(tag: tag, length: length, elements: elements)
        }
        try keys.finish()
        self.number = number
    }

    private static let sources =
        DataSource.Name.allCases.map(\.rawValue).joined(separator: ", ") + ", \"tag 9F6E\" or \"=text\""
}

/// What sources have for one request.
struct SourceValues {
    var request: AuthorizationRequest?
    var scheme: CardScheme = .other
    var others: [DataSource.Name: String] = [:]
    private var chip = ChipData([])

    init(
        _ request: AuthorizationRequest?, scheme: CardScheme = .other, others: [DataSource.Name: String] = [:]
    ) {
        self.request = request
        self.scheme = scheme
        self.others = others
        if let request { chip = ChipData(request.chipData) }
    }

    func find(_ source: DataSource) -> String? {
        switch source {
        case .literal(let text): return text
        case .tag(let tag): return chip[tag].map { Hex.string($0) }
        case .named(let name): return others[name] ?? request.flatMap { value(name, $0) }
        }
    }

    private func value(_ name: DataSource.Name, _ request: AuthorizationRequest) -> String? {
        switch name {
        case .tokenRequestor: return chip[0x9F19].map { String(Hex.string($0).suffix(11)) }
        case .paymentAccountReference:
            guard let value = chip[0x9F24], value.allSatisfy({ (0x20...0x7E).contains($0) }) else {
                return nil
            }
            return String(decoding: value, as: UTF8.self)
        case .formFactor: return chip[0x9F6E].map { Hex.string($0) }
        case .deviceType: return deviceType
        case .wallet: return chip[0x9F19] != nil || isPhone ? "1" : "0"
        case .cardholderVerification:
            switch request.cvm {
            case .signature: return "1"
            case .onlinePIN: return "2"
            case .confirmationCodeVerified: return "3"
            default: return "0"
            }
        case .entryMode: return MessageBuilder.mode(request.entryMode)
        case .purpose:
            switch request.purpose {
            case .sale: return "S"
            case .preAuthorization: return "P"
            case .deferred: return "D"
            }
        case .partialApproval: return request.acceptsPartialApproval ? "1" : "0"
        case .keySerialNumber:
            return request.onlinePIN.flatMap {
                $0.keySerialNumber.isEmpty ? nil : Hex.string($0.keySerialNumber)
            }
        case .transactionID: return request.transactionID
        case .revision, .batch, .afterUpload: return nil
        }
    }

    /// Visa: bits 5-1 of the first byte (VCPS, Form Factor Indicator). Mastercard: two characters after country and
    /// identifier, where the identifier's first bit says that they are there (Third Party Data, Book C-2, A.1.171).
    private var deviceType: String? {
        guard let value = chip[0x9F6E].map({ Array($0) }), let first = value.first else { return nil }
        if scheme == .mastercard {
            guard value.count >= 6, value[2] & 0x80 == 0 else { return nil }
            return String(decoding: value[4..<6], as: UTF8.self)
        }
        return scheme == .visa ? MessageBuilder.digits(UInt64(first & 0x1F), 2) : nil
    }

    /// A card is 00 for both; a key fob, watch or phone is something else.
    private var isPhone: Bool { deviceType.map { $0 != "00" } ?? false }
}
