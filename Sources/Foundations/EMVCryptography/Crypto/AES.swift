internal import CLibCrypto
public import EMV

/// An AES key of 16, 24 or 32 bytes with its key schedules made once. Copies share the schedules, which are
/// wiped when the last copy goes. Safe to use from several threads at once.
public struct AESKey: Sendable {
    private let storage: SecretStorage

    /// Length of the key: 16, 24 or 32 bytes.
    public let count: Int

    // Layout of `storage`: enciphering schedule, deciphering schedule.

    /// - Throws: `.keyLength` unless `bytes` are 16, 24 or 32.
    public init(_ bytes: Span<UInt8>) throws(CryptographyError) {
        guard [16, 24, 32].contains(bytes.count) else {
            throw .keyLength(found: bytes.count, allowed: [16, 24, 32])
        }
        count = bytes.count
        storage = SecretStorage(count: 2 * MemoryLayout<AES_KEY>.stride)
        let schedules = storage.base.assumingMemoryBound(to: AES_KEY.self)
        let bits = Int32(bytes.count * 8)
        bytes.withUnsafeBufferPointer { buffer in
            _ = AES_set_encrypt_key(buffer.baseAddress, bits, schedules)
            _ = AES_set_decrypt_key(buffer.baseAddress, bits, schedules + 1)
        }
    }

    /// - Throws: `.keyLength` unless `bytes` are 16, 24 or 32.
    public init(_ bytes: [UInt8]) throws(CryptographyError) { try self.init(bytes.span) }

    /// - Throws: `.keyLength` unless the key has 16, 24 or 32 bytes.
    public init(_ key: SecretKey) throws(CryptographyError) {
        self = try key.withClearBytes { (bytes) throws(CryptographyError) in try AESKey(bytes) }
    }

    func transform(_ block: Block, encrypt: Bool) -> Block {
        var block = block
        let schedules = storage.base.assumingMemoryBound(to: AES_KEY.self)
        withUnsafeMutableBytes(of: &block) { bytes in
            let address = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
            if encrypt {
                AES_encrypt(address, address, schedules)
            } else {
                AES_decrypt(address, address, schedules + 1)
            }
        }
        return block
    }

    /// A block in memory order.
    struct Block {
        var first: UInt64 = 0
        var second: UInt64 = 0
        static func ^ (lhs: Block, rhs: Block) -> Block {
            Block(first: lhs.first ^ rhs.first, second: lhs.second ^ rhs.second)
        }
        var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
        /// Doubled in GF(2^128) as NIST SP 800-38B 6.1 makes subkeys.
        var doubled: Block {
            let high = UInt64(bigEndian: first)
            let low = UInt64(bigEndian: second)
            let reduction: UInt64 = high >> 63 == 1 ? 0x87 : 0
            return Block(
                first: (high << 1 | low >> 63).bigEndian, second: (low << 1 ^ reduction).bigEndian)
        }
    }
}

extension AESKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "AESKey(\(count) bytes)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["count": count]) }
}

extension AESKey {
    /// Electronic code book over whole blocks.
    /// - Throws: `.notWholeBlocks`.
    public func encryptECB(_ data: Span<UInt8>) throws(CryptographyError) -> [UInt8] {
        try blocks(data) { transform($0, encrypt: true) }
    }

    /// Electronic code book over whole blocks.
    /// - Throws: `.notWholeBlocks`.
    public func decryptECB(_ data: Span<UInt8>) throws(CryptographyError) -> [UInt8] {
        try blocks(data) { transform($0, encrypt: false) }
    }

    /// Cipher block chaining over whole blocks with an initialisation vector of 16 bytes, zeros where nil.
    /// - Throws: `.notWholeBlocks`, `.length`.
    public func encryptCBC(
        _ data: Span<UInt8>, initialisationVector: [UInt8]? = nil
    ) throws(CryptographyError) -> [UInt8] {
        var state = try Self.vector(initialisationVector)
        return try blocks(data) { block in
            state = transform(block ^ state, encrypt: true)
            return state
        }
    }

    /// Cipher block chaining over whole blocks with an initialisation vector of 16 bytes, zeros where nil.
    /// - Throws: `.notWholeBlocks`, `.length`.
    public func decryptCBC(
        _ data: Span<UInt8>, initialisationVector: [UInt8]? = nil
    ) throws(CryptographyError) -> [UInt8] {
        var previous = try Self.vector(initialisationVector)
        return try blocks(data) { block in
            let clear = transform(block, encrypt: false) ^ previous
            previous = block
            return clear
        }
    }

    /// AES-CMAC (NIST SP 800-38B, ISO/IEC 9797-1 algorithm 5), 16 bytes.
    public func cmac(_ data: Span<UInt8>) -> [UInt8] {
        let subkey = transform(Block(), encrypt: true).doubled
        let raw = data.bytes
        var state = Block()
        var offset = 0
        while data.count - offset > 16 {
            state = transform(state ^ Self.block(raw, offset), encrypt: true)
            offset += 16
        }
        let rest = data.count - offset
        if rest == 16 {
            return transform(state ^ Self.block(raw, offset) ^ subkey, encrypt: true).bytes
        }
        var last = Block()
        withUnsafeMutableBytes(of: &last) { bytes in
            for index in 0..<rest { bytes[index] = data[offset + index] }
            bytes[rest] = 0x80
        }
        return transform(state ^ last ^ subkey.doubled, encrypt: true).bytes
    }

    private static func vector(_ bytes: [UInt8]?) throws(CryptographyError) -> Block {
        guard let bytes else { return Block() }
        guard bytes.count == 16 else { throw .length(found: bytes.count, expected: 16) }
        return block(bytes.span.bytes, 0)
    }

    private static func block(_ raw: RawSpan, _ offset: Int) -> Block {
        Block(first: load(raw, offset), second: load(raw, offset + 8))
    }

    private func blocks(
        _ data: Span<UInt8>, _ body: (Block) -> Block
    ) throws(CryptographyError) -> [UInt8] {
        guard data.count.isMultiple(of: 16) else {
            throw .notWholeBlocks(count: data.count, blockSize: 16)
        }
        let raw = data.bytes
        return [UInt8](unsafeUninitializedCapacity: data.count) { output, count in
            var offset = 0
            while offset < data.count {
                let block = body(Self.block(raw, offset))
                UnsafeMutableRawBufferPointer(output).storeBytes(
                    of: block, toByteOffset: offset, as: Block.self)
                offset += 16
            }
            count = offset
        }
    }
}
