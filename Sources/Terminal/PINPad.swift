public import Acquiring
public import EMV

/// Asks the cardholder for the online PIN and gives it away enciphered only.
public struct PINPad: Sendable {
    /// What is shown while the PIN is entered.
    public struct Request: Sendable {
        public var number: PrimaryAccountNumber
        public var amount: Amount
        public var currency: NumericCode
        public var languages: [String]
    }

    /// Nil where the cardholder gives up.
    public var enter: @Sendable (Request) async -> EncipheredPIN?

    public init(enter: @escaping @Sendable (Request) async -> EncipheredPIN?) { self.enter = enter }

    /// A pad in software: PIN blocks of format 0 under one 3DES key.
    /// - Parameters:
    ///   - key: 16 or 24 bytes.
    ///   - keySerialNumber: names the key to the host.
    ///   - ask: gives the PIN, nil where the cardholder gives up.
    public static func software(
        key: TripleDESKey, keySerialNumber: [UInt8] = [], ask: @escaping @Sendable (Request) async -> PIN?
    ) -> PINPad {
        PINPad { request in
            guard let pin = await ask(request),
                let block = try? PINBlock.enciphered(pin, of: request.number, with: key)
            else { return nil }
            return EncipheredPIN(block: block, keySerialNumber: keySerialNumber)
        }
    }
}
