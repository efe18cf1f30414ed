/// How often which fault happens in a world, in thousandths; drawn from its seed, so that each kind of fault is alone in some
/// worlds and together with others in others.
struct FaultRates {
    /// The process dies, at each step.
    var crash = 0
    /// A write fails, and nothing of it is kept.
    var writeFails = 0
    /// A commit reports an error, and may be there all the same.
    var commitInDoubt = 0
    /// The journal takes nothing for some seconds, at each write.
    var journalOutage = 0
    /// The line cannot be used for some time, at each message.
    var lineDown = 0
    var messageLost = 0
    var responseLost = 0
    var connectionCut = 0
    var garbage = 0
    /// The response comes after the wait.
    var responseLate = 0
    /// The message reaches the host after the wait, and after what was sent later.
    var messageLate = 0
    var responseTwice = 0
    /// Declined, and approved afterwards.
    var contrary = 0
    /// Refused as a message.
    var refused = 0
    /// Not processed now (91, 96), of what is owed.
    var notProcessed = 0
    /// Codes other than 00 and 05.
    var oddCode = 0
    var hostRemembersReversals = true

    init() {}

    init(_ random: inout SeededGenerator) {
        func level(_ random: inout SeededGenerator, _ levels: [Int]) -> Int {
            levels[random.below(levels.count)]
        }
        crash = level(&random, [0, 0, 2, 8])
        writeFails = level(&random, [0, 0, 5, 40])
        commitInDoubt = level(&random, [0, 0, 4, 20])
        journalOutage = level(&random, [0, 0, 2, 10])
        lineDown = level(&random, [0, 0, 5])
        messageLost = level(&random, [0, 20, 100])
        responseLost = level(&random, [0, 20, 100])
        connectionCut = level(&random, [0, 20, 60])
        garbage = level(&random, [0, 10, 50])
        responseLate = level(&random, [0, 20, 100])
        messageLate = level(&random, [0, 20, 60])
        responseTwice = level(&random, [0, 20, 100])
        contrary = level(&random, [0, 0, 20, 60])
        refused = level(&random, [0, 0, 10])
        notProcessed = level(&random, [0, 0, 30])
        oddCode = level(&random, [0, 30, 150])
        hostRemembersReversals = random.below(2) == 0
    }
}
