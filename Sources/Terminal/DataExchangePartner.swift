internal import BERTLV
internal import CardReaders
public import EMV
public import Kernels

/// The terminal's side of data exchange (Book C-2, 3.5): the application that a kernel asks for data and sends data to,
/// as the one of a gate, a loyalty scheme or a transport operator.
public protocol DataExchangePartner: Sendable {
    /// The DEK signal: data from the card, and tags that the kernel needs.
    /// - Returns: the DET signal; nil where there is nothing to say now.
    func exchange(_ signal: DataExchange) async -> DataObjects?
    /// The kernel waits, at most so long.
    /// - Returns: the DET signal; nil where nothing comes in that time.
    func next(within time: Duration) async -> DataObjects?
}

extension DataExchangePartner {
    public func next(within time: Duration) async -> DataObjects? { nil }
}

/// Answers each request with fixed values: what a terminal profile says under `data-exchange`.
public struct FixedDataExchange: DataExchangePartner, Equatable {
    /// Sent when the kernel needs them.
    public var answers: DataObjects
    public init(_ answers: DataObjects) { self.answers = answers }

    public func exchange(_ signal: DataExchange) async -> DataObjects? {
        var found = DataObjects()
        for tag in signal.dataNeeded {
            found.set(tag, from: answers)
        }
        return found.isEmpty ? nil : found
    }
}

/// Gives what the terminal gave when a trace was recorded.
struct ReplayDataExchange: DataExchangePartner {
    let reader: ReplayReader
    func exchange(_ signal: DataExchange) async -> DataObjects? { next() }
    func next(within time: Duration) async -> DataObjects? { next() }

    private func next() -> DataObjects? {
        reader.nextTerminalData().map { DataObjects(encoded: $0) }
    }
}
