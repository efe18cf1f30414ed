internal import BERTLV
internal import EMVDictionary

/// What bytes to decode are taken for.
enum DecodeKind: String, CaseIterable, Sendable {
    case tlv, command, response, atr, ats, dol

    static func explain(_ hex: String, _ kind: DecodeKind?) throws(Problem) -> ExplainedNode {
        let digits = hex.filter { !$0.isWhitespace && $0 != ":" }
        guard !digits.isEmpty else { throw .bad("hex is empty: expected hexadecimal digits") }
        guard let bytes = Hex.bytes(digits) else {
            throw .bad("hex is not an even number of hexadecimal digits")
        }
        return EMVDecoder.explain(
            bytes,
            EMVDecoder.Options(kind: kind.flatMap { EMVDecoder.Kind(rawValue: $0.rawValue) } ?? .automatic))
    }
}
