import Foundation
import Testing

/// The package of `Examples/take-a-payment`, built and run as its reader would.
@Suite struct ExamplePackageTests {
    static let package = Program.folder.appending(path: "Examples/take-a-payment")

    private func run(_ program: String, _ arguments: [String], in folder: URL? = nil) throws -> (
        status: Int32, output: String
    ) {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = folder }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    @Test("The example takes payments, and links neither libpcsclite nor libnfc")
    func example() throws {
        // The tests' own folder of builds may be locked by whoever runs them.
        let scratch = Program.folder.appending(path: ".build/examples").path
        let build = [
            "swift", "build", "--package-path", Self.package.path, "--scratch-path", scratch,
        ]
        let built = try run("/usr/bin/env", build)
        try #require(built.status == 0, "\(built.output.suffix(4000))")
        let program = scratch + "/debug/take-a-payment"

        let state = FileManager.default.temporaryDirectory.appending(path: "tapbridge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: state, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: state) }
        let ran = try run(program, [state.path])
        #expect(ran.status == 0, "\(ran.output)")
        let lines = ran.output.split(separator: "\n").map(String.init)
        try #require(lines.count == 6, "\(ran.output)")
        for (line, name) in zip(lines, ["visa-debit", "mc-credit", "apple-pay-visa"]) {
            #expect(line.hasPrefix("\(name) approved "), "\(line)")
        }
        #expect(lines[3...].allSatisfy { $0.hasPrefix("txn_") && $0.contains("******") }, "\(ran.output)")

        let libraries = try run("/usr/bin/env", ["ldd", program])
        #expect(libraries.output.contains("libcrypto"))
        for name in ["libpcsclite", "libnfc"] {
            #expect(!libraries.output.contains(name), "\(libraries.output)")
        }
    }

    @Test("The article of TapbridgeKit shows the example's own files")
    func article() throws {
        let article = try String(
            contentsOf: Program.folder.appending(
                path: "Sources/TapbridgeKit/TapbridgeKit.docc/TakeAPayment.md"), encoding: .utf8)
        let blocks = article.matches(of: /```swift\n(.*?)```/.dotMatchesNewlines()).map { String($0.1) }
        for (block, file) in zip(blocks, ["Package.swift", "Sources/take-a-payment/main.swift"]) {
            #expect(
                try block == String(contentsOf: Self.package.appending(path: file), encoding: .utf8),
                "\(file)")
        }
        #expect(blocks.count == 2)
    }
}
