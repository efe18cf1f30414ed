public import Acquiring
public import EMV
public import EMVCryptography

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
    public var enter: @Sendable (Request) async throws(PINPadError) -> EncipheredPIN?

    public init(enter: @escaping @Sendable (Request) async throws(PINPadError) -> EncipheredPIN?) {
        self.enter = enter
    }

    /// A pad in software.
    /// - Parameters:
    ///   - keys: what PIN blocks are enciphered with.
    ///   - counter: numbers the transactions of keys that change with each; unused with other keys.
    ///   - ask: gives the PIN, nil where the cardholder gives up. The pad keeps no copy.
    public static func software(
        keys: PINKeys, counter: any KeyCounter = MemoryKeyCounter(),
        ask: @escaping @Sendable (Request) async -> PIN?
    ) -> PINPad {
        PINPad { request throws(PINPadError) in
            guard let pin = await ask(request) else { return nil }
            return try await keys.encipher(pin, of: request.number, counter: counter)
        }
    }

    /// A pad in software: PIN blocks of format 0 under one Triple DES key.
    /// - Parameters:
    ///   - key: 16 or 24 bytes.
    ///   - keySerialNumber: names the key to the host.
    ///   - ask: gives the PIN, nil where the cardholder gives up.
    public static func software(
        key: TripleDESKey, keySerialNumber: [UInt8] = [], ask: @escaping @Sendable (Request) async -> PIN?
    ) -> PINPad {
        software(keys: .tripleDES(key, keySerialNumber: keySerialNumber), ask: ask)
    }
}

/// Why a PIN pad gives no PIN block.
public enum PINPadError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The key's last transaction has been used: the pad needs a new initial key.
    case exhausted
    /// The transaction counter cannot be read or kept: no key may be used twice, so none is.
    case counter(String)
    case cryptography(String)

    public var description: String {
        switch self {
        case .exhausted: "the PIN pad's key has been used up: a new initial key is needed"
        case .counter(let reason): "the PIN pad's transaction counter: \(reason)"
        case .cryptography(let reason): "the PIN cannot be enciphered: \(reason)"
        }
    }
}
