internal import EMV
internal import Journal
internal import Terminal

/// Payments, recovery, store-and-forward and late responses under faults of all kinds, from seeds.
///
/// The real `PaymentFlow`, `InterruptedPayment`, `DeliveryFlow` and `LateResponseDecision` run against a model of the journal
/// (`ModelJournal`: the rules of states and of what is left of a transaction) and of the host (`ModelHost`: its own ledger). Cards,
/// the host's responses and everything that goes wrong come from the seed, the time is the simulator's own. Not driven: cards and
/// kernels, SQLite, HTTP and ISO 8583, the settlement of batches.
public struct Simulation: Sendable {
    public struct Outcome: Sendable {
        public let seed: UInt64
        /// Transactions that were begun.
        public let transactions: Int
        /// What must not be; empty where all is well.
        public let problems: [String]
        /// Everything that happened, where it was asked for.
        public let events: [String]
    }

    /// Payments of a world.
    public var payments: Int
    public var mutation: Mutation?

    public init(payments: Int = 40, mutation: Mutation? = nil) {
        self.payments = payments
        self.mutation = mutation
    }

    public func run(seed: UInt64, isLogging: Bool = false) -> Outcome {
        let world = World(seed: seed, payments: payments, mutation: mutation, isLogging: isLogging)
        world.run()
        return Outcome(
            seed: seed, transactions: world.journal.entries.count, problems: world.problems,
            events: world.log ?? [])
    }
}
