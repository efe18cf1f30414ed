internal import Foundation
public import Testing

/// What a test needs of the machine beside the toolchain. Whatever packages give, `make test` installs. A test that goes
/// without is skipped by name and with its reason, in the output and as a line of the file that `TAPBRIDGE_SKIPPED` names,
/// which `make test` prints and counts at its end.
public struct Requirement: Sendable {
    /// Why a test is skipped that goes without.
    let reason: String
    let isMet: @Sendable () -> Bool

    /// - Parameter reason: what is missing, and where it is to be had.
    public init(_ reason: String, isMet: @autoclosure @escaping @Sendable () -> Bool) {
        self.reason = reason
        self.isMet = isMet
    }

    /// For one case of several: skips it where the requirement is not met, and notes that.
    public func check() throws {
        guard !isMet() else { return }
        if let test = Test.current { SkippedTests.note(test, reason) }
        try Test.cancel(Comment(rawValue: reason))
    }

    /// A program of a Debian package.
    public static func program(_ path: String, of package: String) -> Requirement {
        Requirement(
            "\(path) is missing (apt install \(package))",
            isMet: FileManager.default.isExecutableFile(atPath: path))
    }

    public static let root = Requirement("root is missing", isMet: getuid() == 0)

    /// Python with the libraries of `Tests/Oracles`.
    public static let oracles = Requirement(
        "TAPBRIDGE_PYTHON is not set to a Python that has the oracles' libraries (make test sets it)",
        isMet: PythonOracle.isAvailable)
}

/// Skips what goes without something that it needs.
public struct RequirementTrait: TestTrait, SuiteTrait {
    let requirement: Requirement
    public var isRecursive: Bool { true }

    public func prepare(for test: Test) async throws {
        guard !requirement.isMet() else { return }
        if !test.isSuite { SkippedTests.note(test, requirement.reason) }
        try await ConditionTrait.disabled(Comment(rawValue: requirement.reason)).prepare(for: test)
    }
}

extension Trait where Self == RequirementTrait {
    /// The test, or each of the suite, is skipped where the requirement is not met.
    public static func needs(_ requirement: Requirement) -> Self { Self(requirement: requirement) }
}

/// The list of what was skipped, which several processes write one after another.
enum SkippedTests {
    static func note(_ test: Test, _ reason: String) {
        guard let path = ProcessInfo.processInfo.environment["TAPBRIDGE_SKIPPED"] else { return }
        let place = test.sourceLocation
        let line = "\(place.moduleName).\(place.fileName)/\(test.name)\t\(reason)\n"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = line.withCString { write(descriptor, $0, strlen($0)) }
    }
}
