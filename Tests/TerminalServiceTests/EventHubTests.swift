import Foundation
import Synchronization
import Testing

@testable import TerminalService

@Suite struct EventHubTests {
    func tell(_ hub: EventHub, _ count: Int, terminal: String = "A", payment: String? = nil) {
        for _ in 0..<count {
            hub.tell { ServiceEvent(id: $0, .fieldOff, elapsed: nil, terminal: terminal, payment: payment) }
        }
    }
    func ids(_ items: [EventHub.Item]) -> [UInt64] {
        items.compactMap { if case .event(let event) = $0 { event.id } else { nil } }
    }

    @Test func numbersGrowAndFiltersHold() async throws {
        let hub = EventHub(ringCapacity: 4, listenerCapacity: 10)
        let all = try #require(hub.listen(after: nil)).listener
        let ofB = try #require(hub.listen(terminal: "B", after: nil)).listener
        tell(hub, 2)
        tell(hub, 1, terminal: "B")
        #expect(ids(await all.next()) == [1, 2, 3])
        #expect(ids(await ofB.next()) == [3])
    }

    /// Whoever comes back gets what was missed, as far as it is kept, and is told how much is not.
    @Test(arguments: [
        (after: 0 as UInt64?, missed: [3, 4, 5, 6] as [UInt64], lost: 2 as UInt64), (2, [3, 4, 5, 6], 0),
        (5, [6], 0), (6, [], 0), (nil, [], 0), (99, [], 0),
    ])
    func missedEvents(after: UInt64?, missed: [UInt64], lost: UInt64) throws {
        let hub = EventHub(ringCapacity: 4, listenerCapacity: 10)
        tell(hub, 6)
        let found = try #require(hub.listen(after: after))
        #expect(found.missed.map(\.id) == missed)
        #expect(found.lost == lost)
    }

    /// A listener that does not read loses the newest events and learns how many; it holds nobody up.
    @Test func slowListenerIsTold() async throws {
        let hub = EventHub(ringCapacity: 4, listenerCapacity: 3)
        let slow = try #require(hub.listen(after: nil)).listener
        tell(hub, 10)
        let items = await slow.next()
        #expect(ids(items) == [1, 2, 3])
        guard case .lost(7)? = items.last else {
            Issue.record("expected 7 lost events, found \(items)")
            return
        }
        tell(hub, 1)
        #expect(ids(await slow.next()) == [11])
    }

    @Test func stalledListenerIsGivenUp() async throws {
        let hub = EventHub()
        let listener = try #require(hub.listen(after: nil)).listener
        let isStalled = Mutex(false)
        listener.whenStalled { isStalled.withLock { $0 = true } }
        tell(hub, 1)
        for _ in 0..<EventHub.Listener.mostSilence { hub.beat() }
        #expect(!isStalled.withLock { $0 })
        hub.beat()
        #expect(isStalled.withLock { $0 })
    }

    @Test func closingAndCancellingEndListening() async throws {
        let hub = EventHub()
        let listener = try #require(hub.listen(after: nil)).listener
        let other = try #require(hub.listen(after: nil)).listener
        let waiting = Task { await listener.next() }
        let cancelled = Task { await other.next() }
        cancelled.cancel()
        #expect(await cancelled.value.isEmpty)
        hub.close()
        #expect(await waiting.value.isEmpty)
        #expect(hub.listen(after: nil) == nil)
        #expect(hub.listeners == 0)
    }

    @Test func oneShotWaits() async {
        let shot = OneShot()
        #expect(await !shot.wait(atMost: .milliseconds(5)))
        let waiting = Task { await shot.wait() }
        let cancelled = Task { await shot.wait() }
        cancelled.cancel()
        #expect(await !cancelled.value)
        shot.happen()
        #expect(await waiting.value)
        #expect(await shot.wait())
    }

    /// A card number that is no test number is shown masked, in bytes and tree.
    @Test func liveNumbersAreMasked() throws {
        // 5A and 57 of 4000 0012 3456 7899: by its check digit a card number, and none of a test card.
        let response: [UInt8] =
            [0x70, 0x1D, 0x5A, 0x08, 0x40, 0x00, 0x00, 0x12, 0x34, 0x56, 0x78, 0x99, 0x57, 0x11]
            + [
                0x40, 0x00, 0x00, 0x12, 0x34, 0x56, 0x78, 0x99, 0xD3, 0x11, 0x22, 0x01, 0x12, 0x34, 0x56,
                0x78, 0x90,
            ]
            + [0x90, 0x00]
        let event = ServiceEvent(
            id: 1, .response(response, 0x9000, microseconds: 1, nil), elapsed: nil, terminal: "A",
            payment: nil)
        let text = String(decoding: event.data, as: UTF8.self)
        #expect(text.contains("400000"))
        #expect(text.contains("7899"))
        #expect(!text.contains("0012345678"))
        #expect(!text.contains("1234567890"))
        #expect(!text.contains("40000012"))
    }

    /// RFC 3339 by Foundation's own reader.
    @Test(arguments: [0, 951_782_400.123, 1_795_259_532.355, 4_102_444_799.999, -86_400.5])
    func times(_ seconds: Double) throws {
        let date = Date(timeIntervalSince1970: seconds)
        let text = JSON.time(date)
        let read = try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        #expect(abs(read.timeIntervalSince1970 - seconds) < 0.0006, "\(text)")
        #expect(text.count == 24)
    }
}
