public import Issuing

/// All that a simulated host's books hold.
public struct HostBooks: Sendable, Codable, Equatable {
    public var issuer: IssuerSimulator.State
    public var acquirer: AcquirerBooks

    public init(
        issuer: IssuerSimulator.State = IssuerSimulator.State(), acquirer: AcquirerBooks = AcquirerBooks()
    ) {
        self.issuer = issuer
        self.acquirer = acquirer
    }

    /// Brings the books on by a change.
    /// - Returns: false where the change does not follow what is there.
    public mutating func apply(_ change: HostChange) -> Bool {
        if let change = change.acquirer { acquirer.apply(change) }
        return change.issuer.map { issuer.apply($0) } ?? true
    }
}

/// What one message left behind in a simulated host's books.
public struct HostChange: Sendable, Codable, Equatable {
    public var issuer: IssuerSimulator.StateChange?
    public var acquirer: AcquirerBooks.Change?
}

/// Where a simulated host writes its books, change by change. Called by the simulator in the order of its work; must not
/// block.
public protocol HostLedger: Sendable {
    /// - Returns: whether the whole books are wanted, in place of all changes so far.
    func append(_ change: HostChange) -> Bool
    func replace(with books: HostBooks)
}
