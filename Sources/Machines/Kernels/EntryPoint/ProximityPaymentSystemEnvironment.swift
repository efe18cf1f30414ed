import BERTLV

/// The answer to SELECT of 2PAY.SYS.DDF01 (Book B, 3.3.1 and Table 3-2).
enum ProximityPaymentSystemEnvironment {
    static let name = Array("2PAY.SYS.DDF01".utf8)

    /// A Directory Entry, tag 61, that has an ADF Name of 5...16 bytes.
    struct DirectoryEntry {
        var applicationIdentifier: [UInt8]
        var label: [UInt8]?
        /// Application Priority Indicator 87, bits 4-1; 0 where absent: lowest.
        var priority: UInt8
        /// 9F2A; empty where absent.
        var kernelIdentifier: [UInt8]
        /// 9F29; empty where absent.
        var extendedSelection: [UInt8]
        /// Place in the directory, from 0.
        var order: Int
    }

    /// The directory entries in their order. An FCI that is no BER-TLV has none (3.3.2.4); an entry that
    /// is malformed is passed over (3.3.2.5 A).
    static func directory(_ response: [UInt8], _ range: Range<Int>) -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        let bytes = response.span
        do {
            guard let fci = try BERTLVReader.first(.fciTemplate, in: bytes, range: range),
                let proprietary = try BERTLVReader.first(
                    .fciProprietaryTemplate, in: bytes, range: fci.value),
                let discretionary = try BERTLVReader.first(
                    .fciIssuerDiscretionaryData, in: bytes, range: proprietary.value)
            else { return [] }
            var reader = BERTLVReader(bytes, in: discretionary.value)
            var order = 0
            while let element = try reader.next() {
                guard element.tag == .applicationTemplate else { continue }
                if let entry = entry(response, element.value, order) { entries.append(entry) }
                order += 1
            }
        } catch {
            return []
        }
        return entries
    }

    private static func entry(_ response: [UInt8], _ range: Range<Int>, _ order: Int) -> DirectoryEntry? {
        var result = DirectoryEntry(
            applicationIdentifier: [], label: nil, priority: 0, kernelIdentifier: [],
            extendedSelection: [], order: order)
        var reader = BERTLVReader(response.span, in: range)
        do {
            while let element = try reader.next() {
                switch element.tag {
                case .applicationDedicatedFileName:
                    result.applicationIdentifier = Array(response[element.value])
                case .applicationLabel: result.label = Array(response[element.value])
                case .applicationPriorityIndicator:
                    result.priority = (response[element.value].first ?? 0) & 0x0F
                case .kernelIdentifier: result.kernelIdentifier = Array(response[element.value])
                case .extendedSelection: result.extendedSelection = Array(response[element.value])
                default: break
                }
            }
        } catch {
            return nil
        }
        guard (5...16).contains(result.applicationIdentifier.count) else { return nil }
        return result
    }
}

extension ProximityPaymentSystemEnvironment.DirectoryEntry {
    /// The Requested Kernel ID (Book B, 3.3.2.5 C); nil where the entry must be passed over.
    func requestedKernel(matching applicationIdentifier: [UInt8]) -> KernelIdentifier? {
        guard let first = kernelIdentifier.first else {
            return KernelIdentifier(defaultFor: applicationIdentifier)
        }
        // b8-b7 00 and 01: international and reserved: byte 1 alone.
        if first & 0x80 == 0 { return KernelIdentifier(rawValue: UInt32(first)) }
        // 10 and 11: domestic kernels need their Extended Kernel ID. A Short Kernel ID of zero is left
        // open by the book: it is compared as it stands.
        guard kernelIdentifier.count >= 3 else { return nil }
        return KernelIdentifier(
            rawValue: kernelIdentifier.prefix(3).reduce(0) { $0 << 8 | UInt32($1) })
    }
}
