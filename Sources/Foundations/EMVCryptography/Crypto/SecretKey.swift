internal import BERTLV
internal import CLibCrypto

/// The bytes of a symmetric key. Its descriptions show the length alone; the memory is wiped when the last
/// copy goes. Comparison takes the same time wherever the keys differ.
public struct SecretKey: Sendable {
    private let storage: SecretStorage

    public init(_ bytes: Span<UInt8>) { storage = SecretStorage(bytes) }
    public init(_ bytes: [UInt8]) { storage = SecretStorage(bytes.span) }

    /// From hexadecimal digits; nil if they are none.
    public init?(hex: some StringProtocol) {
        guard var bytes = Hex.bytes(hex) else { return nil }
        storage = SecretStorage(bytes.span)
        for index in bytes.indices { bytes[index] = 0 }
    }

    /// Length in bytes.
    public var count: Int { storage.count }

    /// Lends the key's bytes.
    public func withClearBytes<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try body(Span(_unsafeElements: storage.buffer))
    }
}

extension SecretKey: Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public static func == (lhs: SecretKey, rhs: SecretKey) -> Bool {
        lhs.count == rhs.count && CRYPTO_memcmp(lhs.storage.base, rhs.storage.base, lhs.count) == 0
    }
    public var description: String { "SecretKey(\(count) bytes)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["count": count]) }
}

/// Memory that is wiped when released.
/// `@unchecked Sendable`: written only before it is shared, then read until `deinit`.
final class SecretStorage: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let count: Int

    /// Zeroed memory.
    init(count: Int) {
        self.count = count
        base = .allocate(byteCount: max(count, 1), alignment: 16)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }

    convenience init(_ bytes: Span<UInt8>) {
        self.init(count: bytes.count)
        for index in bytes.indices { base.storeBytes(of: bytes[index], toByteOffset: index, as: UInt8.self) }
    }

    deinit {
        OPENSSL_cleanse(base, count)
        base.deallocate()
    }

    var buffer: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: base.assumingMemoryBound(to: UInt8.self), count: count)
    }
}
