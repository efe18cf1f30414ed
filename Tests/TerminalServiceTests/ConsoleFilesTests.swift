import Foundation
import Testing

@testable import TerminalService

/// The console's files are whole among themselves: what the page and its modules name is served, and nothing is inline.
@Suite struct ConsoleFilesTests {
    static func text(_ file: ConsoleFiles.File) -> String { String(decoding: file.bytes, as: UTF8.self) }

    @Test func everythingNamedIsServed() throws {
        let paths = Set(ConsoleFiles.all.map(\.path))
        #expect(paths.count == ConsoleFiles.all.count)
        var named: Set<String> = []
        for file in ConsoleFiles.all {
            let text = Self.text(file)
            for match in text.matches(of: /from '\.(\/[a-z-]+\.js)'/) { named.insert(String(match.1)) }
            for match in text.matches(of: /(?:href|src)="(\/[a-z-]+\.(?:css|js|svg))"/) {
                named.insert(String(match.1))
            }
        }
        #expect(named.count > 15)
        #expect(named.isSubset(of: paths), "\(named.subtracting(paths))")
        // And nothing is served that nobody asks for.
        #expect(paths.subtracting(named) == ["/"])
    }

    /// `default-src 'self'` forbids all of these.
    @Test func nothingIsInlineOrFromElsewhere() throws {
        for file in ConsoleFiles.all where file.type.hasPrefix("text/html") {
            let text = Self.text(file)
            #expect(!text.contains("<style"))
            #expect(!text.contains("style="))
            #expect(text.matches(of: /<script[^>]*>[^<]/).isEmpty)
            #expect(text.matches(of: /\son[a-z]+=/).isEmpty)
        }
        for file in ConsoleFiles.all {
            let places = Self.text(file).matches(of: /https?:\/\/[a-z0-9.]+/).map { String($0.0) }
            #expect(places.allSatisfy { $0 == "http://www.w3.org" }, "\(file.path): \(places)")
        }
    }

    /// The page is fast because it is small: all of it under 256 KiB, uncompressed.
    @Test func isSmall() { #expect(ConsoleFiles.all.reduce(0) { $0 + $1.bytes.count } < 256 << 10) }
}
