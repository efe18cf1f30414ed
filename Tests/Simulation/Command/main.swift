import Foundation
import PaymentSimulation

/// simulate [--seeds N] [--first N] [--payments N] [--mutation NAME | --mutations] [--events]
struct Options {
    var seeds = 25_000
    var first: UInt64 = 1
    var payments = 40
    var mutations: [Mutation] = []
    var showsEvents = false

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        func number<T: FixedWidthInteger>(_ name: String) throws -> T {
            guard let text = rest.popFirst(), let value = T(text), value > 0 else {
                throw UsageError("\(name) needs a number above zero")
            }
            return value
        }
        while let name = rest.popFirst() {
            switch name {
            case "--seeds": seeds = try number(name)
            case "--first": first = try number(name)
            case "--payments": payments = try number(name)
            case "--events": showsEvents = true
            case "--mutations": mutations = Mutation.allCases
            case "--mutation":
                guard let text = rest.popFirst(), let mutation = Mutation(rawValue: text) else {
                    throw UsageError(
                        "--mutation needs one of: "
                            + Mutation.allCases.map(\.rawValue).joined(separator: ", "))
                }
                mutations.append(mutation)
            default: throw UsageError("unknown option \(name)")
            }
        }
    }

    struct UsageError: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}

func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

do {
    let options = try Options(Array(CommandLine.arguments.dropFirst()))
    if options.mutations.isEmpty {
        let failed = await Runner(options).run()
        exit(failed ? 1 : 0)
    }
    exit(MutationRun(options).run() ? 0 : 1)
} catch {
    say(
        """
        simulate: \(error)
        simulate [--seeds N] [--first N] [--payments N] [--mutation NAME | --mutations] [--events]
        """)
    exit(64)
}
