import CardReaders
import Cards
import EMV
import Foundation
import Kernels
import RemoteReaders
import SmartCard
import Terminal

extension Benchmarks {
    /// A server and a terminal in this process, over TLS on loopback.
    struct RemoteSetup {
        let server: ReaderServer
        let address: RemoteReaderAddress
        private let folder: String
        private let credentials: TLSCredentials

        init(_ reader: any CardReader) async throws {
            folder = FileManager.default.temporaryDirectory.path + "/tapbridge-bench-\(UUID().uuidString)"
            let certificates = CertificateDirectory(path: folder)
            try certificates.makeAuthority()
            try certificates.issue("server", role: .server, hosts: ["127.0.0.1"])
            try certificates.issue("terminal", role: .terminal)
            server = ReaderServer(credentials: try TLSCredentials(directory: folder, role: .server))
            try server.offer(.init(reader))
            let port = try await server.start(port: 0)
            address = RemoteReaderAddress(host: "127.0.0.1", port: port)
            credentials = try TLSCredentials(directory: folder, role: .terminal)
        }

        func terminal() -> RemoteReader {
            var options = RemoteReader.Options()
            options.retryAfter = .milliseconds(1)
            return RemoteReader(address: address, credentials: credentials, options: options)
        }

        func stop() async {
            await server.stop()
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    /// What the line adds to one APDU: the same emulated reader over TLS on loopback and in this process, in
    /// alternating rounds; each APDU is measured by itself.
    static func remote(_ rounds: Int) async throws -> Row {
        let field = EmulatedReader(name: "bench")
        field.present(EchoCard())
        let setup = try await RemoteSetup(field)
        let terminal = setup.terminal()
        let command: [UInt8] = [0x00, 0xA4, 0x04, 0x00, 0x0E] + Array("2PAY.SYS.DDF01".utf8) + [0x00]
        let count = 2000
        func round(_ reader: any CardReader) async throws -> Double {
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            var times: [Double] = []
            times.reserveCapacity(count)
            for _ in 0..<count {
                let start = ContinuousClock.now
                _ = try await channel.transmit(command, timeout: .seconds(5))
                times.append(microseconds(start.duration(to: .now)))
            }
            return median(times)
        }
        var over: [Double] = []
        var local: [Double] = []
        for _ in 0..<max(3, rounds) {
            over.append(try await round(terminal))
            local.append(try await round(field))
        }
        await terminal.close()
        await setup.stop()
        return Row(
            name: "remote",
            what: "what TLS over loopback adds to one APDU, median / the same in process",
            value: median(zip(over, local).map { $0 - $1 }), unit: "us", reference: median(local), ratio: nil,
            goal: "<= 150 us")
    }
}
