import Acquiring
import ISO8583Backend
import TestTools
import Testing

@testable import AcquirerHost

/// Listeners that stop while connections come in, and links that are given up while they connect.
@Suite(.serialized) struct ISO8583StopTests {
    /// Nothing is left open, and the process goes on.
    @Test(arguments: [false, true]) func listenerUnderAStorm(tls: Bool) async throws {
        let certificates = tls ? try TestCertificates() : nil
        defer { certificates?.remove() }
        let interface = try HostInterface.named("generic-bcd")
        let security = certificates.map {
            TransportSecurity(
                trust: $0.path("ca.pem"), certificate: $0.path("host.pem"), key: $0.path("host-key.pem"))
        }
        var random = SplitMix(seed: 0x57013)
        for round in 0..<200 {
            let host = try await TestHost(interface, security: security)
            let wanted = Int.random(in: 1...60, using: &random)
            let left = try await ConnectStorm.run(
                port: host.endpoint.port, first: round.isMultiple(of: 2) ? [] : [0, 12, 1]
            ) { storm in
                await storm.connected(wanted)
                await host.stop()
            }
            #expect(left == 0, "round \(round)")
            // Whoever was served was also let go.
            let log = host.log
            #expect(log.count { $0.kind == .connected } == log.count { $0.kind == .disconnected })
        }
    }

    /// A link that is closed, or whose request is cancelled, after so many steps.
    @Test(arguments: [false, true]) func linksAtEveryMoment(tls: Bool) async throws {
        let certificates = tls ? try TestCertificates() : nil
        defer { certificates?.remove() }
        let interface = try HostInterface.named("generic-bcd")
        let host = try await TestHost(
            interface,
            security: certificates.map {
                TransportSecurity(
                    trust: $0.path("ca.pem"), certificate: $0.path("host.pem"), key: $0.path("host-key.pem"))
            })
        let security = certificates.map {
            TransportSecurity(
                trust: $0.path("ca.pem"), certificate: $0.path("terminal.pem"),
                key: $0.path("terminal-key.pem"))
        }
        for round in 0..<300 {
            let acquirer = ISO8583Acquirer(
                interface: interface, endpoints: [host.endpoint], security: security, settings: .quick())
            let request = Payment(stan: UInt32(round + 1)).request
            let task = Task { await Ending.of(acquirer, request) }
            for _ in 0..<(round / 2) { await Task.yield() }
            if round.isMultiple(of: 2) { task.cancel() } else { await acquirer.close() }
            _ = await task.value
            await acquirer.close()
        }
        await host.stop()
        let log = host.log
        #expect(log.count { $0.kind == .connected } == log.count { $0.kind == .disconnected })
    }

    /// Hosts that go while links connect to them.
    @Test func linksToAHostThatStops() async throws {
        let interface = try HostInterface.named("generic-bcd")
        for round in 0..<100 {
            let host = try await TestHost(interface)
            let acquirers = (0..<4).map { _ in
                ISO8583Acquirer(interface: interface, endpoints: [host.endpoint], settings: .quick())
            }
            for acquirer in acquirers { await acquirer.start() }
            for _ in 0..<round { await Task.yield() }
            await host.stop()
            for acquirer in acquirers { await acquirer.close() }
        }
    }
}
