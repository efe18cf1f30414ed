internal import Acquiring
internal import BERTLV
internal import EMV

/// What an acquirer looks at before it passes a message on: field lengths and the chip data that must be there.
/// Field numbers are those of ISO 8583.
struct MessageCheck {
    /// - Returns: the chip data; nil where the message has none.
    /// - Throws: `AcquirerError.rejected` naming the field.
    static func check(_ request: AuthorizationRequest) throws(AcquirerError) -> DataObjects? {
        try check(
            transactionID: request.transactionID, terminalID: request.terminalID, stan: request.stan,
            retrievalReference: request.retrievalReference)
        func require(_ condition: Bool, _ reason: String) throws(AcquirerError) {
            guard condition else { throw .rejected(reason) }
        }
        try require(
            (12...19).contains(request.primaryAccountNumber.digitCount),
            "field 2: \(request.primaryAccountNumber.digitCount) digits, not 12...19")
        try require(request.primaryAccountNumber.hasValidCheckDigit, "field 2: the check digit is wrong")
        try require(
            (0...23).contains(request.hhmmss / 10000) && (0...59).contains(request.hhmmss / 100 % 100)
                && (0...59).contains(request.hhmmss % 100), "field 12: \(request.hhmmss) is no time HHMMSS")
        try require(
            isDigits(request.merchantCategoryCode, 4...4),
            "field 18: the merchant category code has no four digits")
        try require(
            (request.panSequenceNumber ?? 0) <= 99, "field 23: a PAN sequence number above 99")
        try require(isDigits(request.acquirerID, 1...11), "field 32: the acquirer has no 1...11 digits")
        try require(isText(request.merchantID, 1...15), "field 42: the merchant has no 1...15 characters")
        try require(request.merchantName.utf8.count <= 99, "field 43: the merchant's name is too long")
        try require(
            request.amountOther <= request.amount, "field 54: the other amount is more than the amount")
        if let track = request.track2 {
            try require(
                track.primaryAccountNumber == request.primaryAccountNumber,
                "field 35: the track's number is not that of field 2")
        }
        try require(request.chipData.count <= 999, "field 55: longer than 999 bytes")
        guard !request.chipData.isEmpty else {
            try require(
                request.entryMode != .contactlessChip && request.entryMode != .contactChip,
                "field 55: chip data are missing for chip entry")
            return nil
        }
        let data = try chipData(request.chipData)
        for (tag, count) in mandatory {
            guard let length = data.length(tag) else { throw .rejected("field 55: \(tag) is missing") }
            try require(
                count.contains(length),
                "field 55: \(tag) has \(length) bytes, not \(count.lowerBound)...\(count.upperBound)")
        }
        return data
    }

    static func check(
        transactionID: String, terminalID: String, stan: UInt32, retrievalReference: String
    ) throws(AcquirerError) {
        guard !transactionID.isEmpty, transactionID.utf8.count <= 99 else {
            throw .rejected("the transaction's identifier has no 1...99 characters")
        }
        guard (1...999_999).contains(stan) else { throw .rejected("field 11: \(stan) is no 1...999999") }
        guard isText(retrievalReference, 12...12) else {
            throw .rejected("field 37: the retrieval reference has no 12 characters")
        }
        guard isText(terminalID, 8...8) else { throw .rejected("field 41: the terminal has no 8 characters") }
    }

    /// What cryptogram verification needs (EMV Book 4, 12.1.1, authorisation request data).
    private static let mandatory: [(BERTLV.Tag, ClosedRange<Int>)] = [
        (0x9F26, 8...8), (0x9F10, 1...32), (0x9F37, 4...4), (0x9F36, 2...2), (0x95, 5...5), (0x9A, 3...3),
        (0x9C, 1...1), (0x9F02, 6...6), (0x5F2A, 2...2), (0x82, 2...2), (0x9F1A, 2...2),
    ]

    private static func chipData(_ bytes: [UInt8]) throws(AcquirerError) -> DataObjects {
        var objects = DataObjects(reservingObjects: 40, bytes: bytes.count)
        var reader = BERTLVReader(bytes.span, padding: .none)
        while true {
            let next: TLVElement?
            do throws(BERTLVError) { next = try reader.next() } catch {
                throw .rejected("field 55: \(error)")
            }
            guard let element = next else { return objects }
            guard !objects.contains(element.tag) else {
                throw .rejected("field 55: \(element.tag) is there twice")
            }
            objects.set(element.tag, bytes[element.value])
        }
    }

    private static func isDigits(_ text: String, _ count: ClosedRange<Int>) -> Bool {
        count.contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isText(_ text: String, _ count: ClosedRange<Int>) -> Bool {
        count.contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }
}
