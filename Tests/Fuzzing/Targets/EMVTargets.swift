import BERTLV
import EMV
import EMVCryptography
import EMVDictionary
import Foundation
import SmartCard

extension FuzzTarget {
    typealias Tag = BERTLV.Tag

    static let emv: [FuzzTarget] = [
        FuzzTarget("ber-tlv", seeds: { TraceFiles.responses.map { $0.dropLast(2) } }) { input in
            for padding in [BERTLVReader.Padding.none, .zeros, .zerosAndFF] {
                try readTLV(input, padding)
            }
        },
        FuzzTarget("data-objects", seeds: { TraceFiles.responses.map { $0.dropLast(2) } }) { input in
            let objects = DataObjects(encoded: input)
            let again = DataObjects(encoded: objects.encoded())
            try hold(again == objects, "written and read again, the data objects differ")
            var other = objects
            for tag in objects.tags {
                try hold(objects.length(tag) == objects[tag]?.count, "the length of \(tag)")
                _ = objects.number(tag)
                _ = objects.decimal(tag)
                // Replaced by a shorter, a longer, an equally long value.
                other.set(tag, input.prefix(7))
                try hold(other[tag].map { Array($0) } == Array(input.prefix(7)), "\(tag) set anew")
                other.set(tag, number: 0x0102, count: 2)
                try hold(other.number(tag) == 0x0102, "\(tag) as a number")
                if other.count > 1 { other.remove(tag) }
            }
            other.merge(objects)
            try hold(
                objects.tags.allSatisfy { other[$0] == objects[$0] }, "merged, an object has another value")
            try hold(
                objects.encoded(objects.tags.reversed()).count == objects.encoded().count,
                "in another order, the encoding has another length")
        },
        FuzzTarget(
            "dol", longestInput: 300, seeds: { [[0x9F, 0x66, 0x04, 0x9F, 0x02, 0x06, 0x5A, 0x0A, 0x95, 5]] }
        ) {
            try readDataObjectList($0)
        },
        FuzzTarget("afl", longestInput: 252, seeds: { [[0x08, 1, 1, 0, 0x10, 1, 4, 1]] }) { input in
            guard let locator = try? ApplicationFileLocator(input.span) else { return }
            let bytes = locator.entries.flatMap {
                [$0.sfi << 3, $0.firstRecord, $0.lastRecord, $0.authenticatedRecords]
            }
            // The three lower bits of the first byte say nothing.
            let same = zip(bytes, input).enumerated().allSatisfy { index, pair in
                pair.0 == (index % 4 == 0 ? pair.1 & 0xF8 : pair.1)
            }
            try hold(same && bytes.count == input.count, "the entries are not those of the bytes")
            try hold(locator.recordCount <= 255 * input.count / 4, "\(locator.recordCount) records")
        },
        FuzzTarget("hex", seeds: { [Array("9F02 06:00-00_00".utf8), Array("DF8104".utf8)] }) { input in
            let text = String(decoding: input, as: UTF8.self)
            if let bytes = Hex.bytes(text) {
                try hold(Hex.bytes(Hex.string(bytes)) == bytes, "hexadecimal text of bytes is read as others")
            }
            try hold(Hex.bytes(Hex.string(input)) == input, "bytes written and read again differ")
            if let tag = Tag(hex: text) {
                try hold(tag.description == text.uppercased(), "tag \(text) is written as \(tag)")
                try hold(tag.isWellFormed, "tag \(tag) was read and is not well-formed")
            }
            let node = EMVDecoder.explain(hex: text)
            try hold(!node.name.isEmpty, "no name")
        },
        FuzzTarget(
            "decode", mutations: 6,
            seeds: {
                TraceFiles.commands.map { [1] + $0 } + TraceFiles.responses.map { [2] + $0 }
                    + TraceFiles.answersToReset.map { [3] + $0 }
            }
        ) { try decode($0) },
        FuzzTarget("apdu", longestInput: 70_000, seeds: { TraceFiles.commands + TraceFiles.responses }) {
            input in
            if let command = try? CommandAPDU(parsing: input) {
                let again = try? CommandAPDU(parsing: command.bytes)
                // A case 4 command of the extended form may have a short one, which says the same.
                try hold(again == command, "command written and read again differs")
                try hold(command.bytes.count <= input.count, "written longer than it came")
            }
            if let response = try? ResponseAPDU(bytes: input) {
                try hold(
                    response.data + [response.status.sw1, response.status.sw2] == input[...], "response parts"
                )
                _ = response.status.description
            }
        },
        FuzzTarget("certificates", longestInput: 700, mutations: 8, seeds: { Certificates.seeds }) {
            try Certificates.check($0)
        },
        FuzzTarget(
            "numbers", longestInput: 40,
            seeds: {
                [[0x26, 0x11, 0x21], [0x47, 0x61, 0x73, 0x90, 0x01, 0x01, 0x01, 0x19], [0x09, 0x78]]
                    + [Array("4761739001010119".utf8)]
                    + [[0x47, 0x61, 0x73, 0x90, 0x01, 0x01, 0x01, 0x19, 0xD3, 0x11, 0x22, 0x01, 0x12, 0x3F]]
            }
        ) { try readNumbers($0) },
        FuzzTarget("pin", longestInput: 64, seeds: { [[4, 1, 2, 3, 4] + [UInt8](repeating: 7, count: 30)] }) {
            try PINs.check($0)
        },
        FuzzTarget(
            "issuer-application-data", longestInput: 40,
            seeds: {
                [
                    Hex.bytes("06010A03A00000") ?? [], [0x1F] + [UInt8](repeating: 0x22, count: 31),
                    Hex.bytes("0110A00000000000000000000000000000FF") ?? [],
                ]
            }
        ) { input in
            if let data = VisaIssuerApplicationData(input.span) {
                try hold(VisaIssuerApplicationData(data.bytes.span) == data, "Visa's 9F10 read again differs")
            }
            if let data = MChipIssuerApplicationData(input.span) {
                try hold(data.bytes == input, "M/Chip's 9F10 written again differs")
            }
        },
    ]

    // MARK: Properties

    private static func readTLV(_ input: [UInt8], _ padding: BERTLVReader.Padding) throws {
        var reader = BERTLVReader(input.span, padding: padding)
        var end = 0
        do {
            while let element = try reader.next() {
                try hold(
                    element.start >= end && element.value.lowerBound > element.start
                        && element.value.upperBound <= input.count, "an element lies outside of the input")
                end = element.value.upperBound
            }
        } catch let error as BERTLVError {
            try hold(!error.description.isEmpty, "an error without words")
        }
        guard let nodes = try? TLVNode.parse(input, padding: padding) else { return }
        var writer = BERTLVWriter()
        for node in nodes { node.write(to: &writer) }
        // Written without padding and with the shortest lengths.
        try hold(writer.bytes.count <= input.count, "written longer than it came")
        let again = try TLVNode.parse(writer.bytes, padding: .none)
        try hold(withoutOffsets(again) == withoutOffsets(nodes), "the tree written and read again differs")
    }

    private static func withoutOffsets(_ nodes: [TLVNode]) -> [TLVNode] {
        nodes.map { node in
            switch node.content {
            case .primitive: TLVNode(tag: node.tag, content: node.content)
            case .constructed(let inside):
                TLVNode(tag: node.tag, content: .constructed(withoutOffsets(inside)))
            }
        }
    }

    private static func readDataObjectList(_ input: [UInt8]) throws {
        guard let entries = try? DataObjectList.entries(input.span, name: 0x9F38) else {
            try hold(!DataObjectList.isWellFormed(input.span), "a list that cannot be read is well-formed")
            return
        }
        try hold(DataObjectList.isWellFormed(input.span), "a list that can be read is not well-formed")
        var written: [UInt8] = []
        for entry in entries {
            BERTLVWriter.append(tag: entry.tag, to: &written)
            written.append(UInt8(entry.length))
        }
        // A tag of several bytes may begin with bytes that are zero.
        if entries.allSatisfy({ $0.tag.isWellFormed }) {
            try hold(written == input, "the list written again differs")
        }
        var objects = DataObjects()
        for (index, entry) in entries.enumerated() where index % 3 != 0 {
            objects.set(entry.tag, input.prefix(index % 12))
        }
        var output: [UInt8] = []
        try DataObjectList.fill(input.span, name: 0x9F38, from: objects, into: &output)
        try hold(
            output.count == entries.reduce(0) { $0 + $1.length }, "the answer to the list has another length")
    }

    private static func decode(_ input: [UInt8]) throws {
        var input = FuzzInput(input)
        let flags = input.byte()
        let bytes = input.remainder()
        var options = EMVDecoder.Options(
            kind: EMVDecoder.Kind.allCases[Int(flags & 0x0F) % EMVDecoder.Kind.allCases.count])
        options.showUnsetBits = flags & 0x10 != 0
        if flags & 0x20 != 0 { options.dataObjectList = [0x9F, 0x66, 4, 0x9F, 0x02, 6, 0x95, 5, 0x5A, 10] }
        options.isTestPAN = { _ in false }
        let node = EMVDecoder.explain(bytes, options)
        try inspect(node, within: 0..<bytes.count, depth: 0)
        // Answers To Reset tell of the chip and hold no account; they are shown as they are.
        let kind = options.kind == .automatic ? EMVDecoder.detect(bytes) : options.kind
        if kind != .atr, kind != .ats { try showsNoNumber(node) }
        let text = node.text(colour: flags & 0x40 != 0, offsets: true)
        try hold(text.utf8.count <= bytes.count * 1000 + 5000, "\(text.utf8.count) bytes of text")
        let json = Data(node.json(pretty: flags & 0x80 != 0).utf8)
        let read = try JSONDecoder().decode(ExplainedNode.self, from: json)
        try hold(read == node, "the tree read from its JSON differs")
    }

    private static func inspect(_ node: ExplainedNode, within range: Range<Int>, depth: Int) throws {
        try hold(depth <= 20, "deeper than 20")
        guard let offset = node.offset else { return }
        try hold(
            offset >= range.lowerBound && offset <= range.upperBound, "\(node.name) lies outside of the input"
        )
        for child in node.children { try inspect(child, within: range, depth: depth + 1) }
    }

    /// What has no known meaning, and the card number itself, shows no card number.
    private static func showsNoNumber(_ node: ExplainedNode) throws {
        if node.tag == nil || node.name == "Unknown data object" || node.tag == "5A", let value = node.value {
            try hold(!CardNumbers.hasStretch(value), "\(node.name) shows a card number: \(value)")
        }
        for child in node.children { try showsNoNumber(child) }
    }

    private static func readNumbers(_ input: [UInt8]) throws {
        if let number = BCD.number(input) {
            try hold(BCD.bytes(number, count: input.count) == input, "BCD written again differs")
        }
        if let date = EMVDate(bytes: input) {
            try hold(
                date.bytes == input && EMVDate(yymmdd: date.yymmdd) == date, "\(date) written again differs")
            try hold(date.dayNumber > 712_000 && date <= EMVDate.last, "day \(date.dayNumber)")
        }
        if input.count >= 2 { _ = EMVDate(endOfMonthYYMM: Int(input[0]) << 8 | Int(input[1])) }
        if let code = NumericCode(bytes: input) {
            try hold(code.bytes == input && code.description.utf8.count == 3, "code \(code)")
        }
        let text = String(decoding: input, as: UTF8.self)
        for number in [PrimaryAccountNumber(compressedNumeric: input), PrimaryAccountNumber(digits: text)] {
            guard let number else { continue }
            try hold(
                PrimaryAccountNumber(digits: number.clearDigits) == number,
                "a number read from its digits differs")
            try hold(
                PrimaryAccountNumber(compressedNumeric: number.compressedNumeric) == number,
                "a number read from its bytes differs")
            try hold(
                number.masked.count == number.digitCount && number.masked.count(where: { $0 != "*" }) <= 10,
                "the masked number \(number.masked)")
            try hold(
                "\(number)" == number.masked && !"\(number)".contains(number.clearDigits), "a number in clear"
            )
        }
        if let track = Track2EquivalentData(input) {
            try hold(Track2EquivalentData(track.clearBytes) == track, "a track read again differs")
            try hold((0...9999).contains(track.expiry), "expiry \(track.expiry)")
            _ = track.clearText(separator: "D")
            try hold(!"\(track)".contains(track.primaryAccountNumber.clearDigits), "a number in clear")
            _ = track.clearDiscretionaryData
        }
        _ = EMVDate(yymmdd: Int(input.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }))
    }
}

/// Certificates and signatures that are signed for real, around whatever the input says stands in them.
enum Certificates {
    /// A key for this alone: 1024 bits, published here.
    static let key: RSAPrivateKey? = {
        guard
            let prime1 = Hex.bytes(
                "C9561EFBCB1273BA505491DA4E213634DEF39540E8F51A00E40696B8F29BCF57168A0CE505C33AC628ACDCF39632721AF7827ACE8EF8FEC2596ACC16A4E695D3"
            ),
            let prime2 = Hex.bytes(
                "DB1EBFAE9F219C93E6779B79C938D250EDA92016766A432482BDA77228DFAA48F6A1814C0F456B3D0DA5332AEA6917824A699D755E14359C1B6356A2A0F4EB39"
            )
        else { return nil }
        return try? RSAPrivateKey(prime1: prime1, prime2: prime2)
    }()

    /// What is read: issuer and card certificates, static, dynamic and combined signatures.
    private static let formats: [UInt8] = [0x02, 0x04, 0x04, 0x03, 0x05, 0x05, 0x05]

    static var seeds: [[UInt8]] {
        let number: [UInt8] = [0x47, 0x61, 0x73, 0x90, 0x01, 0x01, 0x01, 0x19]
        let issuer: [UInt8] = [0x47, 0x61, 0x73, 0x90, 0x12, 0x49, 0, 0, 1, 1, 1, 92, 1]
        let card: [UInt8] = number + [0xFF, 0xFF, 0x12, 0x49, 0, 0, 1, 1, 1, 80, 1]
        let dynamic: [UInt8] =
            [1, 38, 8] + [UInt8](repeating: 5, count: 8) + [0x80] + [UInt8](repeating: 9, count: 28)
        return [
            [0, 8] + number + [0, 13] + issuer, [1, 8] + number + [0, UInt8(card.count)] + card,
            [2, 8] + number + [0, UInt8(card.count)] + card, [3, 8] + number + [0, 3, 1, 2, 3],
            [4, 8] + number + [0, UInt8(dynamic.count)] + dynamic,
            [5, 8] + number + [0, UInt8(dynamic.count)] + dynamic,
            [6, 8] + number + [0, UInt8(dynamic.count)] + dynamic,
        ]
    }

    static func check(_ input: [UInt8]) throws {
        guard let key, let date = EMVDate(yymmdd: 261121) else { throw BrokenProperty(description: "no key") }
        var input = FuzzInput(input)
        let flags = input.byte()
        let kind = Int(flags & 0x0F) % formats.count
        let number = input.chunk()
        let remainder = input.chunk()
        let inside = input.chunk()
        let staticData = input.remainder()
        let size = key.byteCount
        var block: [UInt8] = [0x6A, formats[kind]]
        block += inside.prefix(size - 23)
        block += [UInt8](repeating: 0xBB, count: size - 21 - block.count)
        let exponent: [UInt8] = flags & 0x10 == 0 ? [3] : [1, 0, 1]
        var digest = SHA1()
        digest.update(Array(block.dropFirst()))
        if kind < 3 {
            digest.update(remainder)
            digest.update(exponent)
        }
        if kind != 0, kind != 2 { digest.update(staticData) }
        block += digest.finalize() + [0xBC]
        // Damage that a genuine signature cannot have.
        if flags & 0x20 != 0 { block[Int(flags) % size] ^= 0x01 }
        var signature = try key.sign(block.span)
        if flags & 0x40 != 0 { signature.removeLast(signature.count / 3) }
        try read(
            kind, signature,
            PublicKeyCertificate(certificate: signature, remainder: remainder, exponent: exponent),
            number: number,
            on: date, over: staticData)
    }

    /// The same key as authority, issuer and card, each certified by itself.
    private static let chain: (CertificationAuthorityPublicKey, IssuerPublicKey, ICCPublicKey)? = {
        let number: [UInt8] = [0x47, 0x61, 0x73, 0x90, 0x01, 0x01, 0x01, 0x19]
        guard let key, let date = EMVDate(yymmdd: 261121),
            let authority = try? CertificationAuthorityPublicKey(
                rid: [0xA0, 0, 0, 0, 3], index: 1, modulus: key.publicKey.modulus, exponent: [3]),
            let first = try? CertificateMaking.issuerCertificate(
                for: key.publicKey, signedBy: key, issuerIdentifier: [0x47, 0x61, 0x73, 0xFF],
                expiry: 2049_12,
                serialNumber: 1),
            let issuer = try? authority.recoverIssuerPublicKey(from: first, pan: number, on: date),
            let second = try? CertificateMaking.iccCertificate(
                for: key.publicKey, signedBy: key, pan: number, expiry: 2049_12, serialNumber: 1,
                staticData: []),
            let card = try? issuer.recoverICCPublicKey(from: second, pan: number, on: date, staticData: [])
        else { return nil }
        return (authority, issuer, card)
    }()

    private static func read(
        _ kind: Int, _ signature: [UInt8], _ certificate: PublicKeyCertificate, number: [UInt8],
        on date: EMVDate,
        over data: [UInt8]
    ) throws {
        guard let (authority, issuer, card) = chain else {
            throw BrokenProperty(description: "no chain of keys")
        }
        do {
            switch kind {
            case 0:
                let key = try authority.recoverIssuerPublicKey(from: certificate, pan: number, on: date)
                try hold(key.expiry >= 2026_11 && key.issuerIdentifier.count == 4, "an expired issuer")
                try hold(key.key.byteCount <= 255, "a key of \(key.key.byteCount) bytes")
            case 1, 2:
                let key =
                    kind == 1
                    ? try issuer.recoverICCPublicKey(
                        from: certificate, pan: number, on: date, staticData: data)
                    : try issuer.recoverICCPINEnciphermentPublicKey(from: certificate, pan: number, on: date)
                try hold(key.expiry >= 2026_11 && key.serialNumber <= 0xFF_FFFF, "an expired card")
            case 3: _ = try issuer.verifySignedStaticApplicationData(signature, staticData: data)
            case 4:
                let signed = try card.verifySignedDynamicApplicationData(signature, terminalDynamicData: data)
                try hold(
                    (2...8).contains(signed.iccDynamicNumber.count), "an ICC dynamic number of that length")
            case 5:
                _ = try card.verifyFastDDA(
                    signature, unpredictableNumber: data, amountAuthorised: [], transactionCurrencyCode: [],
                    cardAuthenticationRelatedData: [])
            default:
                let signed = try card.verifyCombined(
                    signature, unpredictableNumber: data, cryptogramInformationData: 0x80,
                    transactionDataHash: [UInt8](repeating: 9, count: 20))
                try hold(signed.cryptogramInformationData == 0x80, "another cryptogram type than was signed")
            }
        } catch let error as OfflineDataAuthenticationError {
            try hold(!error.description.isEmpty, "an error without words")
        }
    }
}

/// PIN blocks and keys of DUKPT from any key serial number.
enum PINs {
    static func check(_ input: [UInt8]) throws {
        var input = FuzzInput(input)
        let digits = String(
            (0..<input.number(below: 14)).map { _ in Character(UnicodeScalar(0x30 + input.byte() % 11)) })
        let account = String(
            (0..<input.number(below: 20)).map { _ in Character(UnicodeScalar(0x30 + input.byte() % 10)) })
        guard let number = PrimaryAccountNumber(digits: account.count < 8 ? "4761739001010119" : account)
        else {
            throw BrokenProperty(description: "digits that are no number")
        }
        let serial = input.bytes(12)
        let base = SecretKey([UInt8](repeating: 0x5A, count: 16))
        let other = input.remainder()
        do {
            if let serialNumber = try? TripleDESDUKPT.KeySerialNumber(Array(serial.prefix(10))) {
                let initial = try TripleDESDUKPT.initialKey(baseKey: base, keySerialNumber: serialNumber)
                let key = try TripleDESDUKPT.workingKey(
                    .pinEncryption, initialKey: initial, keySerialNumber: serialNumber)
                try hold(serialNumber.isUsable, "a key from a serial number that has none")
                if let pin = PIN(digits) {
                    let block = try PINBlock.enciphered(pin, of: number, with: key)
                    try hold(block.count == 8, "format 0 has \(block.count) bytes")
                    try hold(
                        try PINBlock.decipher(block, of: number, with: key) == pin,
                        "format 0 gives another PIN")
                }
                _ = try PINBlock.decipher(other, of: number, with: key)
                if let next = serialNumber.successor {
                    try hold(
                        next.counter > serialNumber.counter && next.isUsable,
                        "the serial number after \(serialNumber)")
                }
            }
            if let serialNumber = try? AESDUKPT.KeySerialNumber(serial) {
                let initial = try AESDUKPT.initialKey(
                    baseKey: base, identifier: serialNumber.initialKeyIdentifier)
                let key = try AESKey(
                    AESDUKPT.workingKey(
                        .pinEncryption, .aes128, initialKey: initial, keySerialNumber: serialNumber))
                if let pin = PIN(digits) {
                    let block = try PINBlock.enciphered(pin, of: number, with: key)
                    try hold(
                        PINBlock.decipher(block, of: number, with: key) == pin, "format 4 gives another PIN")
                }
                _ = PINBlock.decipher(other, of: number, with: key)
            }
        } catch let error as DUKPTError {
            try hold(!error.description.isEmpty, "an error without words")
        }
    }
}
