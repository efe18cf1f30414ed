import Cards
public import EMV
import EMVCryptography
public import Kernels

/// A reader of Visa and Mastercard cards with the test certification authorities.
public struct TestReader {
    public var qualifiers: UInt32
    public var date: EMVDate?
    public var floorLimit: UInt64
    /// Kernel 2's data objects besides, or instead of, those that it has here.
    public var kernelData = DataObjects()
    public var exceptions = ExceptionFile()

    public init(
        qualifiers: UInt32 = 0x3700_C000, date: EMVDate? = EMVDate(yymmdd: 261121), floorLimit: UInt64 = 1500
    ) {
        self.qualifiers = qualifiers
        self.date = date
        self.floorLimit = floorLimit
    }

    public var configuration: EntryPointConfiguration {
        var first = CombinationConfiguration(
            applicationIdentifier: [0xA0, 0, 0, 0, 0x03, 0x10, 0x10], kernel: 3,
            transactionTypes: [0x00, 0x01, 0x09, 0x20])
        first.contactlessTransactionLimit = Amount(clamping: 50001)
        first.contactlessFloorLimit = Amount(clamping: floorLimit)
        first.cvmRequiredLimit = Amount(clamping: 5000)
        first.terminalTransactionQualifiers = TerminalTransactionQualifiers(rawValue: qualifiers)
        // Kernel 2: CDA, on-device verification and relay resistance, both modes; TVR bits of a failed or missing
        // authentication go online.
        var second = first
        second.applicationIdentifier = [0xA0, 0, 0, 0, 0x04, 0x10, 0x10]
        second.kernel = 2
        second.terminalTransactionQualifiers = nil
        second.kernelData = [
            0x9F09: [0x00, 0x02], 0x9F6D: [0x00, 0x01], 0xDF8117: [0xE0], 0xDF8118: [0x60], 0xDF8119: [0x08],
            0xDF811B: [0x30], 0xDF811E: [0x10], 0xDF812C: [0x00], 0xDF811F: [0x08],
            0xDF8120: [0xF4, 0x50, 0x84, 0x80, 0x0C], 0xDF8121: [0, 0, 0, 0, 0],
            0xDF8122: [0xF4, 0x50, 0x84, 0x80, 0x0C],
        ]
        second.kernelData.merge(kernelData)
        return EntryPointConfiguration(
            combinations: [first, second],
            terminal: TerminalConfiguration(
                data: [
                    0x9F1A: [0x02, 0x76], 0x9F33: [0xE0, 0x68, 0xC8], 0x9F35: [0x22],
                    0x9F40: [0xF0, 0x00, 0xF0, 0xA0, 0x01],
                ],
                exceptionFile: exceptions, certificationAuthorityKeys: Self.keys))
    }

    struct NoInputs: Error {}

    /// - Throws: for a reader without a date.
    public func inputs(_ cents: UInt64, type: UInt8 = 0) throws -> TransactionInputs {
        guard let currency = NumericCode(978), let date else { throw NoInputs() }
        return TransactionInputs(
            amount: Amount(clamping: cents), transactionType: type, currency: currency, date: date,
            hhmmss: 120_000,
            sequenceCounter: 1)
    }

    private static let keys: CertificationAuthorityPublicKeyStore = {
        var keys = CertificationAuthorityPublicKeyStore()
        for key in TestCertificationAuthority.publicKeys { try? keys.add(key) }
        return keys
    }()
}
