public import CardReaders

/// What a server offers.
public enum RemoteReaders {
    /// The readers of a server now.
    /// - Parameter credentials: of a terminal; nil reaches loopback addresses only.
    /// - Throws: `.readerUnavailable`, `.cancelled`.
    public static func list(
        _ address: RemoteReaderAddress, credentials: TLSCredentials?,
        options: RemoteReader.Options = .init()
    ) async throws(ReaderError) -> [OfferedReader] {
        do throws(LineFailure) {
            let (connection, welcome) = try await TerminalConnection.open(
                address, credentials: credentials, greeting: greeting(options))
            connection.close()
            return welcome.readers
        } catch {
            throw error.readerError(reader: RemoteReaderAddress.prefix + address.server)
        }
    }

    /// Readers and cards of a server as they come and go, beginning with those that are there, as
    /// `PCSCContext.events()` tells them of this machine. A server that cannot be reached is waited for. Ends with
    /// the iteration, or after `.serviceLost` where no attempt can do better.
    public static func events(
        _ address: RemoteReaderAddress, credentials: TLSCredentials?,
        options: RemoteReader.Options = .init()
    ) -> AsyncStream<ReaderEvent> {
        // Whoever reads too slowly loses the oldest news, not the memory.
        let (stream, continuation) = AsyncStream.makeStream(
            of: ReaderEvent.self, bufferingPolicy: .bufferingNewest(4096))
        let task = Task {
            var pause = options.retryAfter
            var isLost = false
            while !Task.isCancelled {
                do throws(LineFailure) {
                    let (connection, _) = try await TerminalConnection.open(
                        address, credentials: credentials, greeting: greeting(options),
                        onEvent: { continuation.yield($0) })
                    defer { connection.close() }
                    if isLost { continuation.yield(.serviceFound) }
                    isLost = false
                    pause = options.retryAfter
                    switch await connection.request(.watch, limit: options.slack) {
                    case .success(.done): break
                    case .success(let other): throw RemoteReader.unexpected(other, connection)
                    case .failure(let failure): throw failure
                    }
                    throw await connection.untilEnd()
                } catch {
                    if error == .cancelled { break }
                    if !isLost, case .readerUnavailable(_, let reason) = error.readerError(reader: "") {
                        continuation.yield(.serviceLost(reason: reason))
                    }
                    isLost = true
                    if !error.isTransient { break }
                }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    private static func greeting(_ options: RemoteReader.Options) -> TerminalConnection.Greeting {
        .init(
            token: (0..<TerminalMessage.tokenCount).map { _ in UInt8.random(in: 0...255) },
            name: options.terminal, limit: options.connectLimit)
    }
}
