internal import BERTLV
public import EMV

/// Why a certification authority public key was refused on loading.
public enum CertificationAuthorityPublicKeyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The RID has not five bytes.
    case rid(count: Int)
    /// The checksum is not the SHA-1 of RID, index, modulus and exponent.
    case checksum(rid: RegisteredApplicationProviderIdentifier, index: UInt8)
    /// The modulus has not 64 to 248 bytes, or the numbers are no RSA key.
    case modulus(rid: RegisteredApplicationProviderIdentifier, index: UInt8)
    /// The exponent is not 3 or 65537.
    case exponent(rid: RegisteredApplicationProviderIdentifier, index: UInt8)
    /// The store already has another key with this RID and index.
    case duplicate(rid: RegisteredApplicationProviderIdentifier, index: UInt8)

    public var description: String {
        func name(_ rid: RegisteredApplicationProviderIdentifier, _ index: UInt8) -> String {
            "certification authority public key \(rid) \(Hex.string([index]))"
        }
        switch self {
        case .rid(let count): return "a RID of \(count) bytes; it has five"
        case .checksum(let rid, let index):
            return "\(name(rid, index)): the checksum is not the SHA-1 of RID, index, modulus and exponent"
        case .modulus(let rid, let index):
            return "\(name(rid, index)): the modulus has not 64 to 248 bytes or is no RSA modulus"
        case .exponent(let rid, let index): return "\(name(rid, index)): the exponent is not 3 or 65537"
        case .duplicate(let rid, let index): return "\(name(rid, index)): there is another key of that name"
        }
    }
}

/// A certification authority's public key as terminals keep it (EMV Book 2, 11.2.2).
public struct CertificationAuthorityPublicKey: Sendable {
    public let rid: RegisteredApplicationProviderIdentifier
    /// Certification Authority Public Key Index (card: 8F, terminal: 9F22).
    public let index: UInt8
    /// The last day on which the key may be used; nil for no limit.
    public let expiry: EMVDate?
    /// SHA-1 of RID, index, modulus and exponent.
    public let checksum: [UInt8]
    public let key: RSAPublicKey

    /// - Parameters:
    ///   - rid: five bytes.
    ///   - modulus: 64 to 248 bytes.
    ///   - exponent: 03 or 010001.
    ///   - checksum: 20 bytes to be compared with the computed ones; not compared where nil.
    /// - Throws: what is wrong with the key.
    public init(
        rid: [UInt8], index: UInt8, modulus: [UInt8], exponent: [UInt8], expiry: EMVDate? = nil,
        checksum: [UInt8]? = nil
    ) throws(CertificationAuthorityPublicKeyError) {
        guard rid.count == 5, let provider = RegisteredApplicationProviderIdentifier(rid) else {
            throw .rid(count: rid.count)
        }
        var digest = SHA1()
        digest.update(rid)
        digest.update([index])
        digest.update(modulus)
        digest.update(exponent)
        let computed = digest.finalize()
        guard checksum == nil || checksum == computed else { throw .checksum(rid: provider, index: index) }
        guard exponent == [3] || exponent == [1, 0, 1] else { throw .exponent(rid: provider, index: index) }
        guard (64...248).contains(modulus.count),
            let key = try? RSAPublicKey(modulus: modulus, exponent: exponent, use: .often)
        else { throw .modulus(rid: provider, index: index) }
        self.rid = provider
        self.index = index
        self.expiry = expiry
        self.checksum = computed
        self.key = key
    }
}

/// The terminal's certification authority public keys, found by RID and index.
public struct CertificationAuthorityPublicKeyStore: Sendable {
    private var keys: [UInt64: CertificationAuthorityPublicKey] = [:]

    public init() {}

    /// - Throws: `.duplicate` if two keys have the same RID and index.
    public init(
        _ keys: some Sequence<CertificationAuthorityPublicKey>
    ) throws(CertificationAuthorityPublicKeyError) {
        for key in keys { try add(key) }
    }

    /// - Throws: `.duplicate` if there is a key with the same RID and index.
    public mutating func add(
        _ key: CertificationAuthorityPublicKey
    ) throws(CertificationAuthorityPublicKeyError) {
        let name = Self.name(key.rid, key.index)
        guard keys[name] == nil else { throw .duplicate(rid: key.rid, index: key.index) }
        keys[name] = key
    }

    /// The key of that RID and index, expired or not.
    public subscript(
        rid: RegisteredApplicationProviderIdentifier, index: UInt8
    ) -> CertificationAuthorityPublicKey? { keys[Self.name(rid, index)] }

    /// The key for a transaction.
    /// - Throws: `.keyNotFound` or `.expired` of step `certificationAuthorityPublicKey`.
    public func key(
        rid: RegisteredApplicationProviderIdentifier, index: UInt8, on date: EMVDate
    ) throws(OfflineDataAuthenticationError) -> CertificationAuthorityPublicKey {
        guard let key = self[rid, index] else {
            throw OfflineDataAuthenticationError(
                .certificationAuthorityPublicKey, .keyNotFound(rid: rid, index: index))
        }
        if let expiry = key.expiry, expiry < date {
            throw OfflineDataAuthenticationError(.certificationAuthorityPublicKey, .expired(expiry.number))
        }
        return key
    }

    /// All keys, by RID and index.
    public var all: [CertificationAuthorityPublicKey] {
        keys.sorted { $0.key < $1.key }.map(\.value)
    }

    public var count: Int { keys.count }

    private static func name(_ rid: RegisteredApplicationProviderIdentifier, _ index: UInt8) -> UInt64 {
        rid.rawValue << 8 | UInt64(index)
    }
}

/// Issuer public key certificates that are no longer good (EMV Book 2, 5.1.2).
public struct CertificateRevocationList: Sendable {
    /// Names a revoked certificate.
    public struct Entry: Hashable, Sendable {
        public let rid: RegisteredApplicationProviderIdentifier
        /// Certification Authority Public Key Index.
        public let index: UInt8
        /// Certificate Serial Number, three bytes as a big-endian number.
        public let serialNumber: UInt32

        public init(rid: RegisteredApplicationProviderIdentifier, index: UInt8, serialNumber: UInt32) {
            self.rid = rid
            self.index = index
            self.serialNumber = serialNumber & 0xFF_FFFF
        }
    }

    private var entries: Set<Entry>

    public init(_ entries: some Sequence<Entry> = []) { self.entries = Set(entries) }

    public mutating func insert(_ entry: Entry) { entries.insert(entry) }

    public func contains(_ entry: Entry) -> Bool { !entries.isEmpty && entries.contains(entry) }

    public var count: Int { entries.count }
}
