import CardReaders
import Cards
import Foundation
import LibNFCReaders
import PN532
import SoftwarePN532
import SmartCard
import Testing
import TestSupport
import TestTools

/// Several readers in one process.
@Suite struct ManyReadersTests {
    /// Each has its own line and its own cards; two are unplugged, and one talks nonsense: the others notice nothing.
    @Test(.timeLimit(.minutes(2))) func readersDoNotDisturbEachOther() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<12 {
                group.addTask {
                    let device = try PN532Device()
                    let reader = LibNFCReader(connectionString: try #require(device.connectionString))
                    let identifier = [0x08, 0x10, 0x20, UInt8(number)]
                    if number % 6 == 1 {
                        device.add([
                            PN532Fault(.nonsense([0x00, 0x00, 0xFF, 0x03]), command: 0x42, count: nil)
                        ])
                    }
                    for round in 0..<8 {
                        if number % 6 == 0, round == 4 { device.unplug() }
                        device.present(
                            StubCard(activation: ContactlessActivation(identifier: identifier)) {
                                command, _ in
                                command.reversed() + [0x90, 0x00]
                            })
                        do throws(ReaderError) {
                            let channel = try await reader.activateCard(deadline: .now + .seconds(30))
                            let command: [UInt8] = [0x00, 0xA4, UInt8(number), UInt8(round)]
                            let answer = try await channel.transmit(command, timeout: .seconds(20))
                            if answer.bytes != command.reversed() + [0x90, 0x00]
                                || channel.card.activation?.identifier != identifier
                            {
                                Issue.record("reader \(number) answered with \(answer.bytes)")
                            }
                        } catch {
                            guard case .readerUnavailable = error,
                                number % 6 == 1 || (number % 6 == 0 && round >= 4)
                            else {
                                Issue.record("reader \(number), round \(round): \(error)")
                                break
                            }
                            if number % 6 == 1 { break }
                        }
                        await reader.fieldOff()
                        device.removeCards()
                    }
                    await reader.close()
                }
            }
            try await group.waitForAll()
        }
    }

    static let manyDescriptors = Requirement(
        "the hard limit on open files is below 2048 (ulimit -Hn)", isMet: limits.rlim_max >= 2048)
    static var limits: rlimit {
        var limits = rlimit()
        getrlimit(__rlimit_resource_t(7), &limits)  // RLIMIT_NOFILE
        return limits
    }

    /// libnfc waits with `select`, which knows descriptors below 1024 only. In a process of its own, as it takes them all.
    @Test(.timeLimit(.minutes(1)), .needs(manyDescriptors)) func descriptorsThatLibnfcCannotUse() async throws
    {
        await #expect(processExitsWith: .success) {
            var limits = ManyReadersTests.limits
            limits.rlim_cur = max(limits.rlim_cur, 2048)
            setrlimit(__rlimit_resource_t(7), &limits)
            let device = try PN532Device()
            device.present(StubCard.paymentSystem())
            let reader = LibNFCReader(connectionString: try #require(device.connectionString))
            var taken: [Int32] = []
            while taken.count < 1100 {
                let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { break }
                taken.append(descriptor)
            }
            do throws(ReaderError) {
                _ = try await reader.activateCard(deadline: .now + .seconds(5))
                exit(1)
            } catch {
                guard "\(error)".contains("descriptors") else { exit(2) }
            }
            for descriptor in taken { close(descriptor) }
            let channel = try await reader.activateCard(deadline: .now + .seconds(10))
            guard channel.card.activation == ContactlessActivation() else { exit(3) }
            await reader.close()
        }
    }
}
