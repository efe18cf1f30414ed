import BERTLV
import EMV
import SmartCard

/// Relay resistance protocol (Book C-2, 3.10 and state SR1). Times in units of 100 microseconds.
struct RelayResistance: Sendable {
    struct Device: Sendable {
        var entropy: [UInt8]
        var minimumTime: UInt16
        var maximumTime: UInt16
        var estimatedTransmissionTime: UInt16
    }
    var device: Device?
    /// Measured Relay Resistance Processing Time.
    var measured: UInt16 = 0
    /// RRP Counter: rounds after the first.
    var rounds: UInt8 = 0

    init() {}

    /// Reads what `store(in:)` wrote into a Torn Record.
    init(_ record: DataObjects) {
        guard let entropy = record[.deviceRelayResistanceEntropy], entropy.count == 4 else { return }
        func number(_ tag: Tag) -> UInt16 { UInt16(clamping: record.number(tag) ?? 0) }
        device = Device(
            entropy: Array(entropy), minimumTime: number(.minTimeForProcessingRelayResistanceAPDU),
            maximumTime: number(.maxTimeForProcessingRelayResistanceAPDU),
            estimatedTransmissionTime: number(.deviceEstimatedTransmissionTimeForRelayResistanceRAPDU))
        measured = number(.measuredRelayResistanceProcessingTime)
        rounds = UInt8(clamping: record.number(.rrpCounter) ?? 0)
    }

    func store(in data: inout DataObjects) {
        guard let device else { return }
        data.set(.deviceRelayResistanceEntropy, device.entropy)
        data.set(.minTimeForProcessingRelayResistanceAPDU, number: UInt64(device.minimumTime), count: 2)
        data.set(.maxTimeForProcessingRelayResistanceAPDU, number: UInt64(device.maximumTime), count: 2)
        data.set(
            .deviceEstimatedTransmissionTimeForRelayResistanceRAPDU,
            number: UInt64(device.estimatedTransmissionTime), count: 2)
        data.set(.measuredRelayResistanceProcessingTime, number: UInt64(measured), count: 2)
        data.set(.rrpCounter, [rounds])
    }
}

extension MChipKernel {
    /// EXCHANGE RELAY RESISTANCE DATA; the entropy is the Unpredictable Number.
    mutating func exchangeRelayResistanceData() -> KernelAction {
        state = .waitingForRelayResistance
        let command = CommandAPDU.exchangeRelayResistanceData(Array(terminal[.unpredictableNumber] ?? []))
        underWay = command
        return .transmit(command)
    }

    /// SR1.
    mutating func relayResistanceData(_ response: ResponseAPDU, _ microseconds: UInt32) -> KernelAction {
        guard response.isSuccess else {
            return finish(
                invalid(
                    .statusBytes,
                    .command("EXCHANGE RELAY RESISTANCE DATA", status: response.status.rawValue)))
        }
        // Template 80: entropy (4), minimum and maximum time (2 each), estimated transmission time (2).
        let data = response.data
        guard data.count == 12, data.first == 0x80, data[data.startIndex + 1] == 10 else {
            return finish(invalid(.parsingError, .misplacedData(.responseMessageTemplateFormat1)))
        }
        let value = Array(data.dropFirst(2))
        func number(_ offset: Int) -> UInt16 { UInt16(value[offset]) << 8 | UInt16(value[offset + 1]) }
        let device = RelayResistance.Device(
            entropy: Array(value[0..<4]), minimumTime: number(4), maximumTime: number(6),
            estimatedTransmissionTime: number(8))
        relay.device = device
        func setting(_ tag: Tag) -> Int { Int(terminal.number(tag) ?? 0) }
        let expected = setting(MChipConfiguration.expectedTransmissionTimeResponse)
        let estimated = Int(device.estimatedTransmissionTime)
        let elapsed = Int(microseconds / 100)
        let measured = max(
            0,
            elapsed - setting(MChipConfiguration.expectedTransmissionTimeCommand) - min(estimated, expected))
        relay.measured = UInt16(clamping: measured)

        let minimum = Int(device.minimumTime) - setting(MChipConfiguration.minimumRelayResistanceGracePeriod)
        guard measured >= max(0, minimum) else { return finish(invalid(.cardDataError, .relayResistance)) }
        let maximum = Int(device.maximumTime) + setting(MChipConfiguration.maximumRelayResistanceGracePeriod)
        if relay.rounds < 2, measured > maximum {
            relay.rounds += 1
            state = .drawingEntropy
            return .drawUnpredictableNumber
        }
        if measured > maximum { results.insert(.relayResistanceTimeLimitsExceeded) }
        let threshold = setting(MChipConfiguration.relayResistanceMismatchThreshold)
        if estimated != 0, expected != 0,
            estimated * 100 / expected < threshold || expected * 100 / estimated < threshold
                || max(0, measured - Int(device.minimumTime))
                    > setting(MChipConfiguration.relayResistanceAccuracyThreshold)
        {
            results.insert(.relayResistanceThresholdExceeded)
        }
        results.insert(.relayResistancePerformed)
        return readFirst()
    }

    /// What the card signs of the exchange: both entropies and the three times (Book C-2, ICC Dynamic Data with RRP).
    func relayResistanceSigned() -> [UInt8]? {
        guard let device = relay.device else { return nil }
        func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }
        return Array(terminal[.unpredictableNumber] ?? []) + device.entropy + bytes(device.minimumTime)
            + bytes(device.maximumTime) + bytes(device.estimatedTransmissionTime)
    }
}
