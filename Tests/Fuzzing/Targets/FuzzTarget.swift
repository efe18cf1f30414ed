/// A parser, codec or machine that takes bytes from outside, and what must hold of it for every input.
///
/// The same table is run by libFuzzer (`make fuzz`), which looks for inputs that reach new code, and by
/// `FuzzReplayTests`, which repeats the inputs that were found and changes them by a seed.
public struct FuzzTarget: Sendable {
    /// Names the corpus file and the argument of the driver.
    public let name: String
    /// Longer inputs are cut: time and memory are bounded by it.
    public let longestInput: Int
    /// How many mutations of each input the replay test tries: fewer for what takes long.
    public let mutations: Int
    /// Inputs that the project has anyhow: its profiles, dialects, traces. The corpus file adds to them.
    public let seeds: @Sendable () throws -> [[UInt8]]
    private let check: @Sendable ([UInt8]) throws -> Void

    init(
        _ name: String, longestInput: Int = 1024, mutations: Int = 16,
        seeds: @escaping @Sendable () throws -> [[UInt8]] = { [] },
        check: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        self.name = name
        self.longestInput = longestInput
        self.mutations = mutations
        self.seeds = seeds
        self.check = check
    }

    /// Takes one input.
    /// - Throws: `BrokenProperty`; also what a property's own work throws, which is an error of the target.
    public func run(_ input: [UInt8]) throws { try check(Array(input.prefix(longestInput))) }
}

/// Something that must hold of every input and did not hold of this one.
public struct BrokenProperty: Error, CustomStringConvertible {
    public let description: String
}

/// Throws `BrokenProperty` unless `condition` holds.
func hold(_ condition: Bool, _ property: @autoclosure () -> String) throws {
    guard condition else { throw BrokenProperty(description: property()) }
}

/// Takes an input apart from its begin; when it is used up, everything is zero or empty.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>
    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }
    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }
    mutating func number(below bound: Int) -> Int { bound <= 0 ? 0 : Int(byte()) % bound }
    mutating func number16() -> Int { Int(byte()) << 8 | Int(byte()) }
    mutating func number32() -> UInt32 { UInt32(number16()) << 16 | UInt32(number16()) }
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
    /// One byte of length and that many bytes, as far as they are there.
    mutating func chunk() -> [UInt8] { bytes(Int(byte())) }
    mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[number(below: elements.count)]
    }
    mutating func remainder() -> [UInt8] { bytes(rest.count) }
}

/// Chunks as `FuzzInput.chunk` takes them apart, for seeds.
func chunks(_ parts: [[UInt8]]) -> [UInt8] {
    parts.flatMap { part in [UInt8(clamping: part.count)] + part.prefix(255) }
}
