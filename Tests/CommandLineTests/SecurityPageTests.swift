import Foundation
import Testing

/// docs/security.md names a test beside each promise: each of them exists.
@Suite struct SecurityPageTests {
    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The names of all functions of tests, by the suites that declare them: a type's extensions count as the type.
    static func tests() throws -> [String: Set<String>] {
        let declaration = /(?:struct|class|enum|actor|extension) ([A-Z][A-Za-z0-9]*)/
        let function = /func ([a-zA-Z0-9]+)\(/
        var found: [String: Set<String>] = [:]
        let folder = repository + "/Tests"
        let files = try #require(FileManager.default.enumerator(atPath: folder))
        for case let file as String in files where file.hasSuffix(".swift") {
            var suite = ""
            let text = try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
            for line in text.split(separator: "\n") {
                // A suite stands at the beginning of its line, behind its attributes at most.
                if line.first != " ", let match = line.firstMatch(of: declaration) { suite = String(match.1) }
                if let match = line.firstMatch(of: function) {
                    found[suite, default: []].insert(String(match.1))
                }
            }
        }
        return found
    }

    @Test func eachNamedTestExists() throws {
        let page = try String(contentsOfFile: Self.repository + "/docs/security.md", encoding: .utf8)
        let tests = try Self.tests()
        let named = page.matches(of: /`([A-Z][A-Za-z0-9]*Tests)\.([a-zA-Z0-9]+)`/)
        #expect(named.count > 60)
        for name in named {
            #expect(tests[String(name.1)]?.contains(String(name.2)) == true, "\(name.0)")
        }
        // Each row of a promise names one.
        for line in page.components(separatedBy: "| promise | test |").dropFirst() {
            let rows = line.split(separator: "\n").filter { $0.hasPrefix("|") && !$0.hasPrefix("| ---") }
            for row in rows { #expect(row.contains(/`[A-Za-z0-9]+Tests\./), "\(row)") }
        }
    }
}
