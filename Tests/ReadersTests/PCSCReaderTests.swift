import Foundation
import Readers
import SmartCard
import TestSupport
import Testing

@Suite struct Measure {
    @Test func ratio() async throws {
        try await VirtualPCSC.run { pcsc in
            let client = VPCDClient(
                card: StubCard.paymentSystem(), options: .init(port: pcsc.ports[0]))
            let serving = Task { try await client.run() }
            print(try await PCSCContext.readers())
            let reader = PCSCReader(name: pcsc.readers[0])
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            print(channel.card)
            print(try await channel.transmit(StubCard.selectPaymentSystemEnvironment, timeout: .seconds(5)))
            let n = 3000
            for _ in 0..<3 {
                var t = ContinuousClock.now
                let c = try await reader.activateCard(deadline: .now + .seconds(10))
                for _ in 0..<n {
                    _ = try await c.transmit(StubCard.selectPaymentSystemEnvironment, timeout: .seconds(5))
                }
                print("hop", t.duration(to: .now) / n)
                t = .now
                for _ in 0..<n {
                    _ = try await c.transmit(StubCard.selectPaymentSystemEnvironment, timeout: nil)
                }
                print("hop no timeout", t.duration(to: .now) / n)
                try await withTaskExecutorPreference(reader.executor) {
                    let t = ContinuousClock.now
                    for _ in 0..<n {
                        _ = try await c.transmit(StubCard.selectPaymentSystemEnvironment, timeout: nil)
                    }
                    print("direct", t.duration(to: .now) / n)
                }
                await reader.fieldOff()
                print(
                    "bare",
                    try await PCSCBaseline.transmitLoop(
                        reader: pcsc.readers[0], command: StubCard.selectPaymentSystemEnvironment, count: n)
                        / n)
            }
            serving.cancel()
            _ = await serving.result
        }
    }
}
