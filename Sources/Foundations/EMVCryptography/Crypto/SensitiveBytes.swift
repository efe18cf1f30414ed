/// Bytes that may hold card data: shown by their length alone, wiped when the last copy goes.
public struct SensitiveBytes: Sendable, Equatable {
    private let storage: SecretStorage

    public init(_ bytes: Span<UInt8>) { storage = SecretStorage(bytes) }
    public init(_ bytes: [UInt8]) { storage = SecretStorage(bytes.span) }

    /// Length in bytes.
    public var count: Int { storage.count }

    /// A copy that nobody wipes: only for what needs it at once.
    public var clearBytes: [UInt8] { Array(storage.buffer.prefix(count)) }

    /// Lends the bytes.
    public func withClearBytes<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try body(Span(_unsafeElements: storage.buffer))
    }

    public static func == (lhs: SensitiveBytes, rhs: SensitiveBytes) -> Bool {
        lhs.count == rhs.count && lhs.storage.buffer.elementsEqual(rhs.storage.buffer)
    }
}

extension SensitiveBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "SensitiveBytes(\(count) bytes)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["count": count]) }
}
