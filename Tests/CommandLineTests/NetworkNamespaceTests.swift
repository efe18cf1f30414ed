import CardReaders
import Cards
import Foundation
import RemoteReaders
import SmartCard
import Synchronization
import Testing
import TestTools

/// A terminal on another host, as its own network namespace is one: the line between the two is dropped, without a word
/// to either side, in each state of a payment. The terminal's program ends by itself with its journal sound, the reader
/// is free again, and the next payment works. Needs the right to make namespaces.
@Suite(
    .needs(
        Requirement(
            "root, iproute2 or the right to make network namespaces is missing",
            isMet: NetworkNamespace.isAvailable)))
struct NetworkNamespaceTests {
    enum Moment: Sendable, CustomTestStringConvertible, Equatable {
        case beforeAll, connected, attached
        /// While the card works on this command: the answer does not come through.
        case command(Int)
        /// When the terminal lets go of the reader.
        case freed

        var testDescription: String { "\(self)" }
    }

    @Test(
        .timeLimit(.minutes(15)),
        arguments: [
            .beforeAll, .connected, .attached, .command(1), .command(2), .command(3), .command(4), .freed,
        ] as [Moment])
    func theLineDrops(at moment: Moment) async throws {
        let program = try Program()
        defer { program.remove() }
        let namespace = try NetworkNamespace()
        defer { namespace.remove() }
        let made = try await program.run("certs", "--host", namespace.serverAddress)
        #expect(made.status == 0, "\(made.errors)")

        let dropped = Mutex(false)
        let drop: @Sendable (Moment) -> Void = { now in
            guard now == moment, !dropped.withLock({ $0 }) else { return }
            dropped.withLock { $0 = true }
            namespace.setLine(up: false)
        }
        let card = try EmulatedCard(profile: try CardLibrary.profile("visa-credit"))
        let field = EmulatedReader(name: "Far reader")
        let counting = CountingCard(card) { drop(.command($0)) }
        field.present(counting)
        var options = ReaderServer.Options()
        options.heartbeat = .milliseconds(500)
        let freed = Recorded<Void>()
        let server = ReaderServer(
            credentials: try TLSCredentials(
                directory: program.state.appendingPathComponent("tapbridge/certs").path, role: .server),
            options: options
        ) { event in
            switch event {
            case .connected: drop(.connected)
            case .attached: drop(.attached)
            case .freed:
                drop(.freed)
                freed.append(())
            default: break
            }
        }
        try server.offer(.init(field))
        let port = try await server.start(host: namespace.serverAddress, port: 0)
        func pay() async throws -> Program.Result {
            try await program.run(
                through: namespace.prefix, "pay", "12.50", "--reader",
                "remote:\(namespace.serverAddress):\(port)/Far reader", "--json")
        }

        drop(.beforeAll)
        let first = try await pay()
        #expect(dropped.withLock { $0 })
        // What is over before the line drops is done; everything else ends as a reader that is gone.
        #expect(
            first.status == 3 || first.status == 0 && moment == .freed, "\(first.status): \(first.errors)")
        if first.status == 3 {
            let text = first.errors + first.output
            #expect(text.contains(namespace.serverAddress), "\(text)")
        }
        // The server finds out by the silence.
        if moment != .beforeAll, moment != .connected {
            try await freed.wait(forCount: 1, "the reader is free again")
        }
        namespace.setLine(up: true)
        // Taken away and tapped again: one that stays is not charged a second time.
        field.remove()
        field.present(counting)
        let second = try await pay()
        #expect(second.status == 0, "\(second.errors) \(second.output)")
        let verified = try await program.run("journal", "verify")
        #expect(verified.status == 0, "\(verified.errors) \(verified.output)")
        await server.stop()
    }
}

/// Tells of each command before the card answers it, counted from its activation.
private final class CountingCard: VirtualCard {
    private let card: EmulatedCard
    private let tell: @Sendable (Int) -> Void
    private var count = 0

    init(_ card: EmulatedCard, _ tell: @escaping @Sendable (Int) -> Void) {
        self.card = card
        self.tell = tell
    }
    var answerToReset: [UInt8] { card.answerToReset }
    var activation: ContactlessActivation { card.activation }
    func powerOn() {
        count = 0
        card.powerOn()
    }
    func powerOff() { card.powerOff() }
    func process(_ command: [UInt8]) -> [UInt8]? {
        count += 1
        tell(count)
        return card.process(command)
    }
}

/// A network namespace with one line to ours.
final class NetworkNamespace: Sendable {
    let name: String
    let serverAddress: String
    /// What runs a program in it.
    var prefix: [String] { ["ip", "netns", "exec", name] }
    private let line: String

    static let isAvailable: Bool = {
        guard getuid() == 0, let namespace = try? NetworkNamespace() else { return false }
        namespace.remove()
        return true
    }()

    struct Failure: Error {}

    init() throws {
        let number = UInt32.random(in: 0..<(1 << 20))
        name = "tb\(String(number, radix: 16))"
        line = name + "a"
        // A block of four addresses in 10.192.0.0/10, for each namespace another.
        let block = 10 << 24 | 192 << 16 | number << 2
        func text(_ address: UInt32) -> String {
            [24, 16, 8, 0].map { String(address >> UInt32($0) & 0xFF) }.joined(separator: ".")
        }
        serverAddress = text(block + 1)
        let commands = [
            ["netns", "add", name],
            ["link", "add", line, "type", "veth", "peer", "name", "far", "netns", name],
            ["addr", "add", text(block + 1) + "/30", "dev", line],
            ["link", "set", line, "up"],
            ["-n", name, "addr", "add", text(block + 2) + "/30", "dev", "far"],
            ["-n", name, "link", "set", "far", "up"],
            ["-n", name, "link", "set", "lo", "up"],
        ]
        for command in commands where !Self.ip(command) {
            remove()
            throw Failure()
        }
    }

    /// Down at the far end: the server's own address stays.
    func setLine(up: Bool) { _ = Self.ip(["-n", name, "link", "set", "far", up ? "up" : "down"]) }

    func remove() {
        _ = Self.ip(["link", "del", line])
        _ = Self.ip(["netns", "del", name])
    }

    private static func ip(_ arguments: [String]) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["ip"] + arguments
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
