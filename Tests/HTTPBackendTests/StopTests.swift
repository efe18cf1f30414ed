import Foundation
import TestTools
import Testing

@testable import HTTPBackend

/// Hosts that stop while connections come in.
@Suite(.serialized) struct HTTPHostStopTests {
    static let beginnings: [[UInt8]] = [
        [], Array("POST /v1/messages HTTP/1.1\r\nContent-Le".utf8), Array("GET / HTTP/1.1\r\n\r\n".utf8),
    ]

    /// Nothing is left open, and the process goes on.
    @Test(arguments: [false, true]) func underAStorm(tls: Bool) async throws {
        let certificates = tls ? try HTTPSTests.Certificates() : nil
        defer { if let certificates { try? FileManager.default.removeItem(at: certificates.folder) } }
        var random = SplitMix(seed: 0x57012)
        for round in 0..<200 {
            var configuration = HTTPHost.Configuration(keys: ["till-1": secret])
            configuration.certificate = certificates.map {
                (chain: $0.path("host.pem"), key: $0.path("host.key"))
            }
            if round % 5 == 4 { configuration.connections = 8 }
            let host = try await HTTPHost.start(ScriptedAcquirer(), configuration)
            let wanted = Int.random(in: 1...60, using: &random)
            let left = try await ConnectStorm.run(
                port: host.port, first: tls ? [0x16, 0x03, 0x01] : Self.beginnings[round % 3]
            ) { storm in
                await storm.connected(wanted)
                await host.stop()
            }
            #expect(left == 0, "round \(round)")
        }
    }
}
