internal import CLibCrypto
public import EMV

/// Padding of ISO/IEC 9797-1 to whole 8-byte blocks.
public enum MACPadding: Sendable, Hashable {
    /// Method 1: 00 bytes, none where the data already are whole blocks.
    case method1
    /// Method 2: 80, then 00 bytes; always at least one byte.
    case method2
}

/// A DES key of 8 bytes or a Triple DES key of 16 or 24, with its key schedules made once.
///
/// Copies share the schedules, which are wiped when the last copy goes. Parity bits are not checked.
/// Safe to use from several threads at once.
public struct TripleDESKey: Sendable {
    private let storage: SecretStorage

    // Layout of `storage`: three key schedules of libcrypto, then the key as 24 bytes.
    private static var scheduleSize: Int { MemoryLayout<DES_key_schedule>.stride }

    /// Length of the key that this was made from: 8, 16 or 24 bytes.
    public let count: Int

    /// - Throws: `.keyLength` unless `bytes` are 8, 16 or 24.
    public init(_ bytes: Span<UInt8>) throws(CryptographyError) {
        let raw = bytes.bytes
        switch bytes.count {
        case 8:
            let part = load(raw, 0)
            self.init(part, part, part, count: 8)
        case 16: self.init(load(raw, 0), load(raw, 8), load(raw, 0), count: 16)
        case 24: self.init(load(raw, 0), load(raw, 8), load(raw, 16), count: 24)
        default: throw .keyLength(found: bytes.count, allowed: [8, 16, 24])
        }
    }

    /// - Throws: `.keyLength` unless `bytes` are 8, 16 or 24.
    public init(_ bytes: [UInt8]) throws(CryptographyError) { try self.init(bytes.span) }

    /// - Throws: `.keyLength` unless the key has 8, 16 or 24 bytes.
    public init(_ key: SecretKey) throws(CryptographyError) {
        self = try key.withClearBytes { (bytes) throws(CryptographyError) in try TripleDESKey(bytes) }
    }

    /// From halves in memory order.
    init(_ first: UInt64, _ second: UInt64) { self.init(first, second, first, count: 16) }

    private init(_ first: UInt64, _ second: UInt64, _ third: UInt64, count: Int) {
        self.count = count
        let size = Self.scheduleSize
        storage = SecretStorage(count: 3 * size + 24)
        let keys = storage.base + 3 * size
        keys.storeBytes(of: first, as: UInt64.self)
        keys.storeBytes(of: second, toByteOffset: 8, as: UInt64.self)
        keys.storeBytes(of: third, toByteOffset: 16, as: UInt64.self)
        let cblocks = keys.assumingMemoryBound(to: DES_cblock.self)
        let schedules = storage.base.assumingMemoryBound(to: DES_key_schedule.self)
        DES_set_key_unchecked(cblocks, schedules)
        if count > 8 {
            DES_set_key_unchecked(cblocks + 1, schedules + 1)
        } else {
            (schedules + 1).update(from: schedules, count: 1)
        }
        if count > 16 {
            DES_set_key_unchecked(cblocks + 2, schedules + 2)
        } else {
            (schedules + 2).update(from: schedules, count: 1)
        }
    }

    /// The key's bytes.
    public var secretKey: SecretKey {
        SecretKey(Span(_unsafeElements: UnsafeBufferPointer(rebasing: storage.buffer[keyRange])))
    }

    private var keyRange: Range<Int> { 3 * Self.scheduleSize..<3 * Self.scheduleSize + count }

    /// Key half `index` (0...2) in memory order.
    func half(_ index: Int) -> UInt64 {
        storage.base.load(fromByteOffset: 3 * Self.scheduleSize + 8 * index, as: UInt64.self)
    }

    /// The first three bytes of a block of zeros enciphered: shown to tell keys apart, tells nothing of them.
    public var keyCheckValue: [UInt8] {
        let block = transform(0, encrypt: true)
        return withUnsafeBytes(of: block) { Array($0.prefix(3)) }
    }

    private var schedules: UnsafeMutablePointer<DES_key_schedule> {
        storage.base.assumingMemoryBound(to: DES_key_schedule.self)
    }

    /// One block with the whole key. Blocks are held in memory order.
    func transform(_ block: UInt64, encrypt: Bool) -> UInt64 {
        var block = block
        let keys = schedules
        withUnsafeMutableBytes(of: &block) { bytes in
            guard let address = bytes.baseAddress else { return }
            let cblock = address.assumingMemoryBound(to: DES_cblock.self)
            DES_ecb3_encrypt(cblock, cblock, keys, keys + 1, keys + 2, encrypt ? DES_ENCRYPT : DES_DECRYPT)
        }
        return block
    }

    /// One block with single DES under the key's part `part` (0...2).
    func transformSingle(_ block: UInt64, part: Int, encrypt: Bool) -> UInt64 {
        var block = block
        let key = schedules + part
        withUnsafeMutableBytes(of: &block) { bytes in
            guard let address = bytes.baseAddress else { return }
            let cblock = address.assumingMemoryBound(to: DES_cblock.self)
            DES_ecb_encrypt(cblock, cblock, key, encrypt ? DES_ENCRYPT : DES_DECRYPT)
        }
        return block
    }
}

extension TripleDESKey: Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public static func == (lhs: TripleDESKey, rhs: TripleDESKey) -> Bool {
        lhs.secretKey == rhs.secretKey
    }
    public var description: String { "TripleDESKey(\(count) bytes)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["count": count]) }
}

extension TripleDESKey {
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

    /// Cipher block chaining over whole blocks.
    /// - Parameter initialisationVector: its 8 bytes as a big-endian number.
    /// - Throws: `.notWholeBlocks`.
    public func encryptCBC(
        _ data: Span<UInt8>, initialisationVector: UInt64 = 0
    ) throws(CryptographyError) -> [UInt8] {
        var state = initialisationVector.bigEndian
        return try blocks(data) { block in
            state = transform(block ^ state, encrypt: true)
            return state
        }
    }

    /// Cipher block chaining over whole blocks.
    /// - Parameter initialisationVector: its 8 bytes as a big-endian number.
    /// - Throws: `.notWholeBlocks`.
    public func decryptCBC(
        _ data: Span<UInt8>, initialisationVector: UInt64 = 0
    ) throws(CryptographyError) -> [UInt8] {
        var previous = initialisationVector.bigEndian
        return try blocks(data) { block in
            let clear = transform(block, encrypt: false) ^ previous
            previous = block
            return clear
        }
    }

    private func blocks(
        _ data: Span<UInt8>, _ body: (UInt64) -> UInt64
    ) throws(CryptographyError) -> [UInt8] {
        guard data.count.isMultiple(of: 8) else { throw .notWholeBlocks(count: data.count, blockSize: 8) }
        let raw = data.bytes
        return [UInt8](unsafeUninitializedCapacity: data.count) { output, count in
            var offset = 0
            while offset < data.count {
                let block = body(load(raw, offset))
                UnsafeMutableRawBufferPointer(output).storeBytes(
                    of: block, toByteOffset: offset, as: UInt64.self)
                offset += 8
            }
            count = offset
        }
    }

    /// ISO/IEC 9797-1 MAC algorithm 3 (retail MAC): single DES with the key's first part in chaining mode,
    /// then decipherment with the second and encipherment with the first part. EMV Book 2, A1.2.1.
    public func retailMAC(_ data: Span<UInt8>, padding: MACPadding) -> Cryptogram {
        let chained = chain(data, padding) { transformSingle($0, part: 0, encrypt: true) }
        let last = transformSingle(
            transformSingle(chained, part: 1, encrypt: false), part: 0, encrypt: true)
        return Cryptogram(rawValue: UInt64(bigEndian: last))
    }

    /// ISO/IEC 9797-1 MAC algorithm 1: chaining mode with the whole key, the last block being the MAC.
    public func cbcMAC(_ data: Span<UInt8>, padding: MACPadding) -> Cryptogram {
        Cryptogram(rawValue: UInt64(bigEndian: chain(data, padding) { transform($0, encrypt: true) }))
    }

    private func chain(_ data: Span<UInt8>, _ padding: MACPadding, _ cipher: (UInt64) -> UInt64) -> UInt64 {
        let raw = data.bytes
        var state: UInt64 = 0
        var offset = 0
        while data.count - offset >= 8 {
            state = cipher(state ^ load(raw, offset))
            offset += 8
        }
        let rest = data.count - offset
        if rest > 0 || padding == .method2 || data.count == 0 {
            var last: UInt64 = 0
            for index in 0..<rest { last |= UInt64(data[offset + index]) << (56 - 8 * UInt64(index)) }
            if padding == .method2 { last |= 0x80 << (56 - 8 * UInt64(rest)) }
            state = cipher(state ^ last.bigEndian)
        }
        return state
    }
}

/// Eight bytes in memory order.
@inline(__always)
func load(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
    bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
}

/// Every byte with its last bit set so that the number of ones is odd.
func oddParity(_ block: UInt64) -> UInt64 {
    var folded = block & 0xFEFE_FEFE_FEFE_FEFE
    let clear = folded
    folded ^= folded >> 4
    folded ^= folded >> 2
    folded ^= folded >> 1
    return clear | (~folded & 0x0101_0101_0101_0101)
}
