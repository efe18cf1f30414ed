internal import CNFC
internal import SmartCard

/// The bare C loop that the libnfc reader is measured against.
public enum LibNFCBaseline {
    /// Sends the same command again and again with `nfc_initiator_transceive_bytes`, nothing around it.
    /// - Parameters:
    ///   - connectionString: as libnfc has it; a card of type A must be in the field.
    ///   - count: how often.
    /// - Returns: the time of the loop alone, opening and selecting excluded.
    public static func transceiveLoop(
        connectionString: String, command: [UInt8], count: Int
    ) async throws(ReaderError) -> Duration {
        let thread = BlockingThread(name: "nfc baseline")
        let completion = await thread.perform { _ in loop(connectionString, command, count) }
        switch completion {
        case .value(.success(let duration)): return duration
        case .value(.failure(let error)):
            throw .readerUnavailable(reader: connectionString, reason: error.words)
        case .timedOut: throw .cardTimeout
        case .cancelled: throw .cancelled
        }
    }

    private static func loop(
        _ connectionString: String, _ command: [UInt8], _ count: Int
    ) -> Result<Duration, LibNFCError> {
        guard let device = LibNFCLibrary.open(connectionString) else {
            return .failure(LibNFCError(code: NFC_ENOTSUCHDEV))
        }
        defer { nfc_close(device) }
        var status = nfc_initiator_init(device)
        guard status >= 0 else { return .failure(LibNFCError(code: status)) }
        status = nfc_initiator_select_passive_target(
            device, nfc_modulation(nmt: NMT_ISO14443A, nbr: NBR_106), nil, 0, nil)
        guard status > 0 else { return .failure(LibNFCError(code: status == 0 ? NFC_ETGRELEASED : status)) }
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: 264)
        defer { buffer.deallocate() }
        let start = ContinuousClock.now
        for _ in 0..<count {
            status = nfc_initiator_transceive_bytes(device, command, command.count, buffer, 264, 5000)
            guard status >= 0 else { return .failure(LibNFCError(code: status)) }
        }
        return .success(start.duration(to: .now))
    }
}
