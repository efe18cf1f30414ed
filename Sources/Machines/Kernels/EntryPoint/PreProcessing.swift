internal import EMV

extension CombinationConfiguration {
    /// Start A for one combination: the Entry Point Pre-Processing Indicators (Book B, 3.1.1.1 to 3.1.1.12).
    public func preProcessed(_ inputs: TransactionInputs) -> PreProcessingIndicators {
        let amount = inputs.amount
        var indicators = PreProcessingIndicators()
        // 3.1.1.2: a copy of the TTQ without the bits that are decided anew for each transaction.
        var qualifiers = terminalTransactionQualifiers
        qualifiers?.subtract([.onlineCryptogramRequired, .cvmRequired])
        // 3.1.1.3: a single unit of currency asks for a status check.
        if statusCheckSupported, amount.minorUnits == inputs.currencyUnit {
            indicators.statusCheckRequested = true
        }
        // 3.1.1.4
        if amount == .zero {
            if zeroAmountAllowed {
                indicators.zeroAmount = true
            } else {
                indicators.contactlessApplicationNotAllowed = true
            }
        }
        // 3.1.1.5: at the limit is too much already.
        if let limit = contactlessTransactionLimit, amount >= limit {
            indicators.contactlessApplicationNotAllowed = true
        }
        // 3.1.1.6, 3.1.1.7: at the floor limit is still below it.
        if let limit = contactlessFloorLimit ?? terminalFloorLimit, amount > limit {
            indicators.contactlessFloorLimitExceeded = true
        }
        // 3.1.1.8
        if let limit = cvmRequiredLimit, amount >= limit { indicators.cvmRequiredLimitExceeded = true }
        if qualifiers != nil {
            // 3.1.1.9, 3.1.1.10
            if indicators.contactlessFloorLimitExceeded || indicators.statusCheckRequested {
                qualifiers?.insert(.onlineCryptogramRequired)
            }
            // 3.1.1.11: an offline-only reader cannot do a zero amount, unless it was told otherwise.
            if indicators.zeroAmount {
                if qualifiers?.contains(.offlineOnlyReader) == true {
                    if !zeroAmountAllowedForOfflineReader {
                        indicators.contactlessApplicationNotAllowed = true
                    }
                } else {
                    qualifiers?.insert(.onlineCryptogramRequired)
                }
            }
            // 3.1.1.12
            if indicators.cvmRequiredLimitExceeded { qualifiers?.insert(.cvmRequired) }
        }
        indicators.terminalTransactionQualifiers = qualifiers
        return indicators
    }

    /// The indicators where the reader starts at B without pre-processing (Book B, 3.2.1.1).
    func unprocessed() -> PreProcessingIndicators {
        var indicators = PreProcessingIndicators()
        indicators.terminalTransactionQualifiers = terminalTransactionQualifiers
        return indicators
    }
}

extension TransactionInputs {
    /// One unit of the currency in minor units: 100 for an exponent of 2.
    var currencyUnit: UInt64 { (0..<min(currencyExponent, 9)).reduce(1) { unit, _ in unit * 10 } }
}
