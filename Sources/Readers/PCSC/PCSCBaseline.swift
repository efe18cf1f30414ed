internal import CPCSC

/// The bare C loop that the PC/SC reader is measured against.
public enum PCSCBaseline {
    /// Sends the same command again and again with `SCardTransmit`, nothing around it.
    /// - Parameters:
    ///   - reader: its full name; a card must be in it.
    ///   - count: how often.
    /// - Returns: the time of the loop alone, connecting excluded.
    public static func transmitLoop(
        reader: String, command: [UInt8], count: Int
    ) async throws(ReaderError) -> Duration {
        let thread = BlockingThread(name: "pcsc baseline")
        let completion = await thread.perform { _ in loop(reader, command, count) }
        switch completion {
        case .value(.success(let duration)): return duration
        case .value(.failure(let status)): throw status.error(reader: reader)
        case .timedOut: throw .cardTimeout
        case .cancelled: throw .cancelled
        }
    }

    private static func loop(
        _ reader: String, _ command: [UInt8], _ count: Int
    ) -> Result<Duration, PCSCStatus> {
        var context = SCARDCONTEXT()
        var status = SCardEstablishContext(DWORD(SCARD_SCOPE_SYSTEM), nil, nil, &context)
        guard status == 0 else { return .failure(PCSCStatus(status)) }
        defer { SCardReleaseContext(context) }
        var card = SCARDHANDLE()
        var active = DWORD()
        status = SCardConnect(
            context, reader, DWORD(SCARD_SHARE_EXCLUSIVE),
            DWORD(SCARD_PROTOCOL_T0) | DWORD(SCARD_PROTOCOL_T1), &card, &active)
        guard status == 0 else { return .failure(PCSCStatus(status)) }
        defer { SCardDisconnect(card, DWORD(SCARD_UNPOWER_CARD)) }
        var request = SCARD_IO_REQUEST(
            dwProtocol: active, cbPciLength: DWORD(MemoryLayout<SCARD_IO_REQUEST>.size))
        let capacity = 65548
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        defer { buffer.deallocate() }
        let start = ContinuousClock.now
        for _ in 0..<count {
            var received = DWORD(capacity)
            status = SCardTransmit(
                card, &request, command, DWORD(command.count), nil, buffer, &received)
            guard status == 0 else { return .failure(PCSCStatus(status)) }
        }
        return .success(start.duration(to: .now))
    }
}
