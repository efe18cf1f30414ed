internal import EMV
internal import EMVCryptography

// The data dictionary as text, one meaning of a tag a line, parsed once by `DataDictionary`:
//
//     tag|constant|name|format|lengths|sources|contexts|flags
//
// - format: b, n, an, ans, a, cn, var; a number gives the greatest number of digits
// - lengths: bytes, one number or least-greatest
// - sources: I card, T terminal, S issuer, K kernel
// - contexts: the characters of `DictionaryContext`; `*` stands for Kernels 2 to 8
// - flags: s sensitive; p<tag> has this meaning only inside that template
//
// Sources: EMV Books 1 to 4 (Annex A and B), Books A to C-8, ISO/IEC 7816-4 and -6, and public scheme
// documentation. Lengths written as 0-255 are "variable" in their source.
enum DictionaryTable {
    /// All groups; the first line that fits a look-up wins within one context.
    static let groups: [String] = [
        emvBooks14, booksAAndB, kernel2, kernel3, mChip, kernel4, kernel5, kernel6, kernel7, interac, kernel8,
        isoInterindustry, globalplatform,
    ]

    /// EMV Books 1-4.
    static let emvBooks14 = """
        42|issuerIdentificationNumber|Issuer Identification Number (IIN)|n6|3|I|E|
        4F|applicationDedicatedFileName|Application Dedicated File (ADF) Name|b|5-16|I|EB*|
        50|applicationLabel|Application Label|ans|1-16|I|E*|
        57|track2EquivalentData|Track 2 Equivalent Data|b|0-19|I|E*|s
        5A|applicationPAN|Application Primary Account Number (PAN)|cn19|1-10|I|E*|s
        5F20|cardholderName|Cardholder Name|ans|2-26|I|E*|s
        5F24|applicationExpirationDate|Application Expiration Date|n6|3|I|E*|
        5F25|applicationEffectiveDate|Application Effective Date|n6|3|I|E*|
        5F28|issuerCountryCode|Issuer Country Code|n3|2|I|E*|
        5F2A|transactionCurrencyCode|Transaction Currency Code|n3|2|T|EB*|
        5F2D|languagePreference|Language Preference|an|2-8|I|E*|
        5F30|serviceCode|Service Code|n3|2|I|E*|
        5F34|applicationPANSequenceNumber|Application Primary Account Number (PAN) Sequence Number|n2|1|I|E*|
        5F36|transactionCurrencyExponent|Transaction Currency Exponent|n1|1|T|E*|
        5F50|issuerURL|Issuer URL|ans|0-255|I|E|
        5F53|internationalBankAccountNumber|International Bank Account Number (IBAN)|var|0-34|I|E|s
        5F54|bankIdentifierCode|Bank Identifier Code (BIC)|var|8-11|I|E|
        5F55|issuerCountryCodeAlpha2|Issuer Country Code (alpha2 format)|a|2|I|E|
        5F56|issuerCountryCodeAlpha3|Issuer Country Code (alpha3 format)|a|3|I|E|
        5F57|accountType|Account Type|n2|1|T|E28|
        61|applicationTemplate|Application Template|b|0-252|I|EB|
        6F|fciTemplate|File Control Information (FCI) Template|var|0-252|I|EB*|
        70|readRecordResponseMessageTemplate|READ RECORD Response Message Template|var|0-252|I|E*|
        71|issuerScriptTemplate1|Issuer Script Template 1|b|0-255|S|E*|
        72|issuerScriptTemplate2|Issuer Script Template 2|b|0-255|S|E*|
        73|directoryDiscretionaryTemplate|Directory Discretionary Template|var|0-252|I|E|
        77|responseMessageTemplateFormat2|Response Message Template Format 2|var|0-255|I|E*|
        80|responseMessageTemplateFormat1|Response Message Template Format 1|var|0-255|I|E*|
        81|amountAuthorisedBinary|Amount, Authorised (Binary)|b|4|T|E|
        82|applicationInterchangeProfile|Application Interchange Profile (AIP)|b|2|I|E*|
        83|commandTemplate|Command Template|b|0-255|T|E*|
        84|dedicatedFileName|Dedicated File (DF) Name|b|5-16|I|EB*|
        86|issuerScriptCommand|Issuer Script Command|b|0-261|S|E|
        87|applicationPriorityIndicator|Application Priority Indicator|b|1|I|EB*|
        88|shortFileIdentifier|Short File Identifier (SFI)|b|1|I|E|
        89|authorisationCode|Authorisation Code|var|6|S|E3|
        8A|authorisationResponseCode|Authorisation Response Code|an|2|ST|E*|
        8C|cardRiskManagementDataObjectList1|Card Risk Management Data Object List 1 (CDOL1)|b|0-252|I|E2458|
        8D|cardRiskManagementDataObjectList2|Card Risk Management Data Object List 2 (CDOL2)|b|0-252|I|E4|
        8E|cvmList|Cardholder Verification Method (CVM) List|b|10-252|I|E2467|
        8F|certificationAuthorityPublicKeyIndex|Certification Authority Public Key Index|b|1|I|E*|
        90|issuerPublicKeyCertificate|Issuer Public Key Certificate|b|0-248|I|E*|
        91|issuerAuthenticationData|Issuer Authentication Data|b|8-16|S|E*|
        92|issuerPublicKeyRemainder|Issuer Public Key Remainder|b|0-248|I|E*|
        93|signedStaticApplicationData|Signed Static Application Data|b|0-248|I|E|
        94|applicationFileLocator|Application File Locator (AFL)|var|0-252|I|E*|
        95|terminalVerificationResults|Terminal Verification Results (TVR)|b|5|T|E*|
        97|transactionCertificateDataObjectList|Transaction Certificate Data Object List (TDOL)|b|0-252|I|E|
        98|transactionCertificateHashValue|Transaction Certificate (TC) Hash Value|b|20|T|E|
        99|transactionPINData|Transaction Personal Identification Number (PIN) Data|b|0-255|T|E|s
        9A|transactionDate|Transaction Date|n6|3|T|EB*|
        9B|transactionStatusInformation|Transaction Status Information (TSI)|b|2|T|E|
        9C|transactionType|Transaction Type|n2|1|T|EB*|
        9D|directoryDefinitionFileName|Directory Definition File (DDF) Name|b|5-16|I|E|
        A5|fciProprietaryTemplate|File Control Information (FCI) Proprietary Template|var|0-252|I|EB*|
        9F01|acquirerIdentifier|Acquirer Identifier|n11|6|T|E*|
        9F02|amountAuthorisedNumeric|Amount, Authorised (Numeric)|n12|6|T|EB*|
        9F03|amountOtherNumeric|Amount, Other (Numeric)|n12|6|T|EB*|
        9F04|amountOtherBinary|Amount, Other (Binary)|b|4|T|E|
        9F05|applicationDiscretionaryData|Application Discretionary Data|b|1-32|I|E|
        9F06|applicationIdentifierTerminal|Application Identifier (AID) - terminal|b|5-16|T|EB*|
        9F07|applicationUsageControl|Application Usage Control|b|2|I|E*|
        9F08|applicationVersionNumber|Application Version Number|b|2|I|E*|
        9F09|applicationVersionNumberTerminal|Application Version Number - terminal|b|2|T|E*|
        9F0A|applicationSelectionRegisteredProprietaryData|Application Selection Registered Proprietary Data (ASRPD)|b|0-255|I|EB28|
        9F0B|cardholderNameExtended|Cardholder Name Extended|ans|27-45|I|E|s
        9F0C|issuerIdentificationNumberExtended|Issuer Identification Number Extended (IINE)|n8|3-4|I|E|
        9F0D|issuerActionCodeDefault|Issuer Action Code - Default|b|5|I|E2467|
        9F0E|issuerActionCodeDenial|Issuer Action Code - Denial|b|5|I|E2467|
        9F0F|issuerActionCodeOnline|Issuer Action Code - Online|b|5|I|E2467|
        9F10|issuerApplicationData|Issuer Application Data (IAD)|b|0-32|I|E*|
        9F11|issuerCodeTableIndex|Issuer Code Table Index|n2|1|I|E*|
        9F12|applicationPreferredName|Application Preferred Name|ans|1-16|I|E*|
        9F13|lastOnlineATCRegister|Last Online Application Transaction Counter (ATC) Register|b|2|I|E|
        9F14|lowerConsecutiveOfflineLimit|Lower Consecutive Offline Limit|b|1|I|E|
        9F15|merchantCategoryCode|Merchant Category Code|n4|2|T|E*|
        9F16|merchantIdentifier|Merchant Identifier|ans|15|T|E*|
        9F17|pinTryCounter|Personal Identification Number (PIN) Try Counter|b|1|I|E|
        9F18|issuerScriptIdentifier|Issuer Script Identifier|b|4|S|E|
        9F19|tokenRequestorID|Token Requestor ID|n11|6|I|E*|
        9F1A|terminalCountryCode|Terminal Country Code|n3|2|T|EB*|
        9F1B|terminalFloorLimit|Terminal Floor Limit|b|4|T|E|
        9F1C|terminalIdentification|Terminal Identification|an|8|T|E*|
        9F1D|terminalRiskManagementData|Terminal Risk Management Data|b|1-8|T|E28|
        9F1E|interfaceDeviceSerialNumber|Interface Device (IFD) Serial Number|an|8|T|E*|
        9F1F|track1DiscretionaryData|Track 1 Discretionary Data|ans|0-54|I|E2|s
        9F20|track2DiscretionaryData|Track 2 Discretionary Data|cn|0-16|I|E2|s
        9F21|transactionTime|Transaction Time|n6|3|T|E*|
        9F22|certificationAuthorityPublicKeyIndexTerminal|Certification Authority Public Key Index - terminal|b|1|T|E|
        9F23|upperConsecutiveOfflineLimit|Upper Consecutive Offline Limit|b|1|I|E|
        9F24|paymentAccountReference|Payment Account Reference (PAR)|an|29|I|E*|
        9F25|last4DigitsOfPAN|Last 4 Digits of PAN|n4|2|I|E*|
        9F26|applicationCryptogram|Application Cryptogram|b|8|I|E*|
        9F27|cryptogramInformationData|Cryptogram Information Data (CID)|b|1|I|E*|
        9F2D|iccPINEnciphermentPublicKeyCertificate|Integrated Circuit Card (ICC) PIN Encipherment or ODE Public Key Certificate|b|0-248|I|E|
        9F2E|iccPINEnciphermentPublicKeyExponent|Integrated Circuit Card (ICC) PIN Encipherment or ODE Public Key Exponent|b|1-3|I|E|
        9F2F|iccPINEnciphermentPublicKeyRemainder|Integrated Circuit Card (ICC) PIN Encipherment or ODE Public Key Remainder|b|0-248|I|E|
        9F30|biometricTerminalCapabilities|Biometric Terminal Capabilities|b|3|T|E|
        9F31|cardBITGroupTemplate|Card BIT Group Template|b|0-255|I|E|
        9F32|issuerPublicKeyExponent|Issuer Public Key Exponent|b|1-3|I|E*|
        9F33|terminalCapabilities|Terminal Capabilities|b|3|T|E*|
        9F34|cvmResults|Cardholder Verification Method (CVM) Results|b|3|T|E*|
        9F35|terminalType|Terminal Type|n2|1|T|E*|
        9F36|applicationTransactionCounter|Application Transaction Counter (ATC)|b|2|I|E*|
        9F37|unpredictableNumber|Unpredictable Number|b|4|T|EB*|
        9F38|processingOptionsDataObjectList|Processing Options Data Object List (PDOL)|b|0-252|I|E*|
        9F39|posEntryMode|Point-of-Service (POS) Entry Mode|n2|1|T|E*|
        9F3A|amountReferenceCurrency|Amount, Reference Currency|b|4|T|E|
        9F3B|applicationReferenceCurrency|Application Reference Currency|n3|2-8|I|E|
        9F3C|transactionReferenceCurrencyCode|Transaction Reference Currency Code|n3|2|T|E|
        9F3D|transactionReferenceCurrencyExponent|Transaction Reference Currency Exponent|n1|1|T|E|
        9F40|additionalTerminalCapabilities|Additional Terminal Capabilities|b|5|T|E*|
        9F41|transactionSequenceCounter|Transaction Sequence Counter|n8|2-4|T|E*|
        9F42|applicationCurrencyCode|Application Currency Code|n3|2|I|E*|
        9F43|applicationReferenceCurrencyExponent|Application Reference Currency Exponent|n1|1-4|I|E|
        9F44|applicationCurrencyExponent|Application Currency Exponent|n1|1|I|E28|
        9F45|dataAuthenticationCode|Data Authentication Code|b|2|I|E|
        9F46|iccPublicKeyCertificate|Integrated Circuit Card (ICC) Public Key Certificate|b|0-248|I|E*|
        9F47|iccPublicKeyExponent|Integrated Circuit Card (ICC) Public Key Exponent|b|1-3|I|E*|
        9F48|iccPublicKeyRemainder|Integrated Circuit Card (ICC) Public Key Remainder|b|0-248|I|E*|
        9F49|dynamicDataAuthenticationDataObjectList|Dynamic Data Authentication Data Object List (DDOL)|b|0-252|I|E|
        9F4A|sdaTagList|Static Data Authentication (SDA) Tag List|var|0-255|I|E*|
        9F4B|signedDynamicApplicationData|Signed Dynamic Application Data (SDAD)|b|0-248|I|E*|
        9F4C|iccDynamicNumber|Integrated Circuit Card (ICC) Dynamic Number|b|2-8|I|E*|
        9F4D|logEntry|Log Entry|b|2|I|E|
        9F4E|merchantNameAndLocation|Merchant Name and Location|ans|0-255|T|E*|
        9F4F|logFormat|Log Format|b|0-255|I|E|
        BF0C|fciIssuerDiscretionaryData|File Control Information (FCI) Issuer Discretionary Data|var|0-222|I|EB*|
        BF4A|offlineBITGroupTemplate|Offline BIT Group Template|b|0-255|I|E|
        BF4B|onlineBITGroupTemplate|Online BIT Group Template|b|0-255|I|E|
        BF4C|biometricTryCountersTemplate|Biometric Try Counters Template|b|0-255|I|E|
        BF4D|preferredAttemptsTemplate|Preferred Attempts Template|b|0-255|I|E|
        BF4E|biometricVerificationDataTemplate|Biometric Verification Data Template|b|0-255|T|E|
        7F60|biometricInformationTemplate|Biometric Information Template (BIT)|b|0-255|IT|E|
        A1|biometricHeaderTemplate|Biometric Header Template (BHT)|b|0-255|IT|E|p7F60
        81|biometricType|Biometric Type|b|1-3|IT|E|pA1,BF4E
        82|biometricSubtype|Biometric Subtype|b|1|IT|E|pA1
        90|biometricSolutionID|Biometric Solution ID|b|0-255|IT|E|pA1,BF4E
        DF50|facialTryCounter|Facial Try Counter|b|1|I|E|pBF4C
        DF51|fingerTryCounter|Finger Try Counter|b|1|I|E|pBF4C
        DF52|irisTryCounter|Iris Try Counter|b|1|I|E|pBF4C
        DF53|palmTryCounter|Palm Try Counter|b|1|I|E|pBF4C
        DF54|voiceTryCounter|Voice Try Counter|b|1|I|E|pBF4C
        DF50|preferredFacialAttempts|Preferred Facial Attempts|b|1|I|E|pBF4D
        DF51|preferredFingerAttempts|Preferred Finger Attempts|b|1|I|E|pBF4D
        DF52|preferredIrisAttempts|Preferred Iris Attempts|b|1|I|E|pBF4D
        DF53|preferredPalmAttempts|Preferred Palm Attempts|b|1|I|E|pBF4D
        DF54|preferredVoiceAttempts|Preferred Voice Attempts|b|1|I|E|pBF4D
        DF50|encipheredBiometricKeySeed|Enciphered Biometric Key Seed|b|0-248|T|E|s,pBF4E
        DF51|encipheredBiometricData|Enciphered Biometric Data|b|0-255|T|E|s,pBF4E
        DF52|macOfEncipheredBiometricData|MAC of Enciphered Biometric Data|b|8|T|E|pBF4E
        """

    /// Books A and B (Entry Point).
    static let booksAAndB = """
        8B|poiInformation|POI Information|b|0-64|T|B|
        96|kernelIdentifierTerminal|Kernel Identifier - Terminal|b|1-8|T|B|
        9F29|extendedSelection|Extended Selection|b|0-16|I|B|
        9F2A|kernelIdentifier|Kernel Identifier|b|1-8|I|B|
        9F3E|terminalCategoriesSupportedList|Terminal Categories Supported List|b|2-32|I|B|
        9F3F|selectionDataObjectList|Selection Data Object List (SDOL)|b|0-252|I|B|
        9F66|terminalTransactionQualifiers|Terminal Transaction Qualifiers (TTQ)|b|4|T|B367|
        """

    /// Kernel 2 (Book C-2).
    static let kernel2 = """
        56|track1Data|Track 1 Data|ans|0-76|I|2|s
        9F50|offlineAccumulatorBalance|Offline Accumulator Balance|n12|6|I|2M|
        9F51|drdol|DRDOL|b|0-250|I|2M|
        9F53|transactionCategoryCode|Transaction Category Code|an|1|T|2M|
        9F54|dsODSCard|DS ODS Card|b|0-160|I|2M|
        9F5B|dsdol|DSDOL|b|0-250|I|2M|
        9F5C|dsRequestedOperatorID|DS Requested Operator ID|b|8|T|2M|
        9F5D|applicationCapabilitiesInformation|Application Capabilities Information|b|3|I|2M|
        9F5E|dsID|DS ID|n22|8-11|I|2M|s
        9F5F|dsSlotAvailability|DS Slot Availability|b|1|I|2M|
        9F60|cvc3Track1|CVC3 (Track1)|b|2|I|2M|s
        9F61|cvc3Track2|CVC3 (Track2)|b|2|I|2M|s
        9F62|pcvc3Track1|PCVC3 (Track1)|b|6|I|2M|
        9F63|punatcTrack1|PUNATC (Track1)|b|6|I|2M|
        9F64|natcTrack1|NATC (Track1)|b|1|I|2M|
        9F65|pcvc3Track2|PCVC3 (Track2)|b|2|I|2M|
        9F66|punatcTrack2|PUNATC (Track2)|b|2|I|2M|
        9F67|natcTrack2|NATC (Track2)|b|1|I|2M|
        9F69|udol|UDOL|b|0-250|I|2M|
        9F6A|unpredictableNumberNumeric|Unpredictable Number (Numeric)|n8|4|K|2M|
        9F6B|track2Data|Track 2 Data|b|0-19|I|2M|s
        9F6D|magStripeApplicationVersionNumberReader|Mag-stripe Application Version Number (Reader)|b|2|T|2M|
        9F6E|thirdPartyData|Third Party Data|b|5-32|I|2M|
        9F6F|dsSlotManagementControl|DS Slot Management Control|b|1|I|2M|
        9F70|protectedDataEnvelope1|Protected Data Envelope 1|b|0-192|I|2M|
        9F71|protectedDataEnvelope2|Protected Data Envelope 2|b|0-192|I|2M|
        9F72|protectedDataEnvelope3|Protected Data Envelope 3|b|0-192|I|2M|
        9F73|protectedDataEnvelope4|Protected Data Envelope 4|b|0-192|I|2M|
        9F74|protectedDataEnvelope5|Protected Data Envelope 5|b|0-192|I|2M|
        9F75|unprotectedDataEnvelope1|Unprotected Data Envelope 1|b|0-192|I|2M|
        9F76|unprotectedDataEnvelope2|Unprotected Data Envelope 2|b|0-192|I|2M|
        9F77|unprotectedDataEnvelope3|Unprotected Data Envelope 3|b|0-192|I|2M|
        9F78|unprotectedDataEnvelope4|Unprotected Data Envelope 4|b|0-192|I|2M|
        9F79|unprotectedDataEnvelope5|Unprotected Data Envelope 5|b|0-192|I|2M|
        9F7C|merchantCustomData|Merchant Custom Data|b|20|T|2M|
        9F7D|dsSummary1|DS Summary 1|b|8-16|I|2M|
        9F7E|mobileSupportIndicator|Mobile Support Indicator|b|1|T|2|
        9F7F|dsUnpredictableNumber|DS Unpredictable Number|b|4|I|2M|
        DF4B|posCardholderInteractionInformation|POS Cardholder Interaction Information|b|3|I|2M|
        DF60|dsInputCard|DS Input (Card)|b|8|K|2|
        DF61|dsDigestH|DS Digest H|b|8|K|2|
        DF62|dsODSInfo|DS ODS Info|b|1|T|2|
        DF63|dsODSTerm|DS ODS Term|b|0-160|T|2|
        DF8101|dsSummary2|DS Summary 2|b|8-16|I|2|
        DF8102|dsSummary3|DS Summary 3|b|8-16|I|2|
        DF8104|balanceReadBeforeGenAC|Balance Read Before Gen AC|n12|0-6|K|2|
        DF8105|balanceReadAfterGenAC|Balance Read After Gen AC|n12|0-6|K|2|
        DF8106|dataNeeded|Data Needed|b|0-255|K|2|
        DF8107|cdol1RelatedData|CDOL1 Related Data|b|0-255|K|2|
        DF8108|dsACType|DS AC Type|b|1|T|2|
        DF8109|dsInputTerm|DS Input (Term)|b|8|T|2|
        DF810A|dsODSInfoForReader|DS ODS Info For Reader|b|1|T|2|
        DF810B|dsSummaryStatus|DS Summary Status|b|1|K|2|
        DF810C|kernelID|Kernel ID|b|1|T|2|
        DF810D|dsvnTerm|DSVN Term|b|0-255|T|2|
        DF810E|postGenACPutDataStatus|Post-Gen AC Put Data Status|b|1|K|2|
        DF810F|preGenACPutDataStatus|Pre-Gen AC Put Data Status|b|1|K|2|
        DF8110|proceedToFirstWriteFlag|Proceed To First Write Flag|b|0-1|T|2|
        DF8111|pdolRelatedData|PDOL Related Data|b|0-255|K|2|
        DF8112|tagsToRead|Tags To Read|b|0-255|T|2|
        DF8113|drdolRelatedData|DRDOL Related Data|b|0-255|K|2|
        DF8114|referenceControlParameter|Reference Control Parameter|b|1|K|2|
        DF8115|errorIndication|Error Indication|b|6|K|2|
        DF8116|userInterfaceRequestData|User Interface Request Data|b|22|K|2|
        DF8117|cardDataInputCapability|Card Data Input Capability|b|1|T|2|
        DF8118|cvmCapabilityCVMRequired|CVM Capability - CVM Required|b|1|T|2|
        DF8119|cvmCapabilityNoCVMRequired|CVM Capability - No CVM Required|b|1|T|2|
        DF811A|defaultUDOL|Default UDOL|b|3|T|2|
        DF811B|kernelConfiguration|Kernel Configuration|b|1|T|2|
        DF811C|maxLifetimeOfTornTransactionLogRecord|Max Lifetime of Torn Transaction Log Record|b|2|T|2|
        DF811D|maxNumberOfTornTransactionLogRecords|Max Number of Torn Transaction Log Records|b|1|T|2|
        DF811E|magStripeCVMCapabilityCVMRequired|Mag-stripe CVM Capability - CVM Required|b|1|T|2|
        DF811F|securityCapability|Security Capability|b|1|T|2|
        DF8120|terminalActionCodeDefault|Terminal Action Code - Default|b|5|T|2|
        DF8121|terminalActionCodeDenial|Terminal Action Code - Denial|b|5|T|2|
        DF8122|terminalActionCodeOnline|Terminal Action Code - Online|b|5|T|2|
        DF8123|readerContactlessFloorLimit|Reader Contactless Floor Limit|n12|6|T|2|
        DF8124|readerContactlessTransactionLimitNoOnDeviceCVM|Reader Contactless Transaction Limit (No On-device CVM)|n12|6|T|2|
        DF8125|readerContactlessTransactionLimitOnDeviceCVM|Reader Contactless Transaction Limit (On-device CVM)|n12|6|T|2|
        DF8126|readerCVMRequiredLimit|Reader CVM Required Limit|n12|6|T|2|
        DF8127|timeOutValue|Time Out Value|b|2|T|2|
        DF8128|idsStatus|IDS Status|b|1|K|2|
        DF8129|outcomeParameterSet|Outcome Parameter Set|b|8|K|2|
        DF812A|ddCardTrack1|DD Card (Track1)|ans|0-56|K|2|s
        DF812B|ddCardTrack2|DD Card (Track2)|cn|0-11|K|2|s
        DF812C|magStripeCVMCapabilityNoCVMRequired|Mag-stripe CVM Capability - No CVM Required|b|1|T|2|
        DF812D|messageHoldTime|Message Hold Time|n6|3|T|2|
        DF8130|holdTimeValue|Hold Time Value|b|1|T|2|
        DF8131|phoneMessageTable|Phone Message Table|b|0-255|T|2|
        DF8132|minimumRelayResistanceGracePeriod|Minimum Relay Resistance Grace Period|b|2|T|2|
        DF8133|maximumRelayResistanceGracePeriod|Maximum Relay Resistance Grace Period|b|2|T|2|
        DF8134|terminalExpectedTransmissionTimeForRelayResistanceCAPDU|Terminal Expected Transmission Time For Relay Resistance C-APDU|b|2|T|2|
        DF8135|terminalExpectedTransmissionTimeForRelayResistanceRAPDU|Terminal Expected Transmission Time For Relay Resistance R-APDU|b|2|T|2|
        DF8136|relayResistanceAccuracyThreshold|Relay Resistance Accuracy Threshold|b|2|T|2|
        DF8137|relayResistanceTransmissionTimeMismatchThreshold|Relay Resistance Transmission Time Mismatch Threshold|b|1|T|2|
        DF8301|terminalRelayResistanceEntropy|Terminal Relay Resistance Entropy|b|4|K|2|
        DF8302|deviceRelayResistanceEntropy|Device Relay Resistance Entropy|b|4|I|2|
        DF8303|minTimeForProcessingRelayResistanceAPDU|Min Time For Processing Relay Resistance APDU|b|2|I|2|
        DF8304|maxTimeForProcessingRelayResistanceAPDU|Max Time For Processing Relay Resistance APDU|b|2|I|2|
        DF8305|deviceEstimatedTransmissionTimeForRelayResistanceRAPDU|Device Estimated Transmission Time For Relay Resistance R-APDU|b|2|I|2|
        DF8306|measuredRelayResistanceProcessingTime|Measured Relay Resistance Processing Time|b|2|K|2|
        DF8307|rrpCounter|RRP Counter|b|1|K|2|
        FF8101|tornRecord|Torn Record|var|0-255|K|2|s
        FF8102|tagsToWriteBeforeGenAC|Tags To Write Before Gen AC|var|0-255|T|2|
        FF8103|tagsToWriteAfterGenAC|Tags To Write After Gen AC|var|0-255|T|2|
        FF8104|dataToSend|Data To Send|var|0-255|K|2|
        FF8105|dataRecord|Data Record|var|0-255|K|2|
        FF8106|discretionaryData|Discretionary Data|var|0-255|K|2|
        """

    /// Kernel 3 (Book C-3).
    static let kernel3 = """
        9F50|visaOfflineAccumulatorBalance|Offline Accumulator Balance|n12|6|I|3V|
        9F51|visaApplicationCurrencyCode|Application Currency Code (card risk management)|n3|2|I|3V|
        9F52|applicationDefaultAction|Application Default Action (ADA)|b|4-6|I|3V|
        9F53|consecutiveTransactionCounterInternationalLimit|Consecutive Transaction Counter International Limit (CTCIL)|b|1|I|3V|
        9F54|cumulativeTotalTransactionAmountLimit|Cumulative Total Transaction Amount Limit (CTTAL)|n12|6|I|3V|
        9F55|geographicIndicator|Geographic Indicator|b|1|I|3V|
        9F56|issuerAuthenticationIndicator|Issuer Authentication Indicator|b|1|I|3V|
        9F57|visaIssuerCountryCode|Issuer Country Code (card risk management)|n3|2|I|3V|
        9F58|consecutiveTransactionCounterLimit|Consecutive Transaction Counter Limit (CTCL)|b|1|I|3V|
        9F59|consecutiveTransactionCounterUpperLimit|Consecutive Transaction Counter Upper Limit (CTCUL)|b|1|I|3V|
        9F5A|applicationProgramIdentifier|Application Program Identifier (Program ID)|b|1-16|I|3V|
        9F5B|issuerScriptResults|Issuer Script Results|b|5-20|T|3VE|
        9F5C|cumulativeTotalTransactionAmountUpperLimit|Cumulative Total Transaction Amount Upper Limit (CTTAUL)|n12|6|I|3V|
        9F5D|availableOfflineSpendingAmount|Available Offline Spending Amount (AOSA)|n12|6|I|3V|
        9F5E|consecutiveTransactionInternationalUpperLimit|Consecutive Transaction International Upper Limit (CTIUL)|b|1|I|3V|
        9F63|offlineCounterInitialValue|Offline Counter Initial Value|b|1|I|3V|
        9F67|msdOffset|MSD Offset|b|1|I|3V|
        9F68|cardAdditionalProcesses|Card Additional Processes (CAP)|b|4|I|37VU|
        9F69|cardAuthenticationRelatedData|Card Authentication Related Data|b|5-16|I|37VU|
        9F6B|cardCVMLimit|Card CVM Limit|n12|6|I|37VU|
        9F6C|cardTransactionQualifiers|Card Transaction Qualifiers (CTQ)|b|2|I|37VU|
        9F6D|vlpResetThreshold|VLP Reset Threshold|n12|6|I|3V|
        9F6E|formFactorIndicator|Form Factor Indicator (FFI)|b|4|I|3V|
        9F72|consecutiveTransactionCounterInternationalCountryLimit|Consecutive Transaction Counter International Country Limit (CTCICL)|b|1|I|3V|
        9F73|currencyConversionParameters|Currency Conversion Parameters|b|4-16|I|3V|
        9F75|cumulativeTotalTransactionAmountLimitDualCurrency|Cumulative Total Transaction Amount Limit - Dual Currency (CTTALDC)|n12|6|I|3V|
        9F76|secondaryApplicationCurrencyCode|Secondary Application Currency Code|n3|2-10|I|3V|
        9F77|vlpFundsLimit|VLP Funds Limit|n12|6|I|3V|
        9F78|vlpSingleTransactionLimit|VLP Single Transaction Limit|n12|6|I|3V|
        9F79|vlpAvailableFunds|VLP Available Funds|n12|6|I|3V|
        9F7A|vlpTerminalSupportIndicator|VLP Terminal Support Indicator|n1|1|T|3V|
        9F7B|vlpTerminalTransactionLimit|VLP Terminal Transaction Limit|n12|6|T|3V|
        9F7C|customerExclusiveData|Customer Exclusive Data (CED)|b|0-32|I|3V|
        9F7E|applicationLifeCycleData|Application Life Cycle Data|b|48|I|V|
        9F7F|cardProductionLifeCycleData|Card Production Life Cycle (CPLC) Data|b|42|I|VG|
        DF60|visaLogEntry|Log Entry (Visa)|b|2|I|V|
        BF50|visaFleetTemplate|Visa Fleet Template|var|0-255|I|V|
        BF55|contactlessCountersDataTemplate|Contactless Counters Data Template|var|0-255|I|V|
        BF56|countersDataTemplate|Counters Data Template|var|0-255|I|V|
        BF57|internationalCountersDataTemplate|International Counters Data Template|var|0-255|I|V|
        BF58|amountsDataTemplate|Amounts Data Template|var|0-255|I|V|
        BF59|profileControlsTemplate|Profile Controls Template|var|0-255|I|V|
        BF5A|aipAFLEntriesTemplate|AIP/AFL Entries Template|var|0-255|I|V|
        BF5B|applicationInternalDataTemplate|Application Internal Data Template|var|0-255|I|V|
        BF60|idsRecordUpdateTemplate|Integrated Data Storage Record Update Template|var|0-255|T|3V|
        """

    // Unconfirmed: lengths and formats of the scheme-proprietary tags come from secondary public lists.
    /// M/Chip (contact card data).
    static let mChip = """
        9F7E|mchipApplicationLifeCycleData|Application Life Cycle Data (M/Chip)|b|48|I|M|
        C3|mchipCardIssuerActionCodeDecline|Card Issuer Action Code - Decline|b|3|I|M|
        C4|mchipCardIssuerActionCodeDefault|Card Issuer Action Code - Default|b|3|I|M|
        C5|mchipCardIssuerActionCodeOnline|Card Issuer Action Code - Online|b|3|I|M|
        C6|mchipPINTryLimit|PIN Try Limit|b|1|I|M|
        C7|mchipCDOL1RelatedDataLength|CDOL 1 Related Data Length|b|1|I|M|
        C8|mchipCRMCountryCode|Card Risk Management Country Code|n3|2|I|M|
        C9|mchipCRMCurrencyCode|Card Risk Management Currency Code|n3|2|I|M|
        CA|mchipLowerCumulativeOfflineTransactionAmount|Lower Cumulative Offline Transaction Amount|n12|6|I|M|
        CB|mchipUpperCumulativeOfflineTransactionAmount|Upper Cumulative Offline Transaction Amount|n12|6|I|M|
        CD|paypassCardIssuerActionCodeDefault|Card Issuer Action Code (contactless) - Default|b|3|I|M|
        CE|paypassCardIssuerActionCodeOnline|Card Issuer Action Code (contactless) - Online|b|3|I|M|
        CF|paypassCardIssuerActionCodeDecline|Card Issuer Action Code (contactless) - Decline|b|3|I|M|
        D1|mchipCurrencyConversionTable|Currency Conversion Table|b|25|I|M|
        D3|mchipAdditionalCheckTable|Additional Check Table|b|18|I|M|
        D5|mchipApplicationControl|Application Control|b|2-6|I|M|
        D6|mchipDefaultARPCResponseCode|Default ARPC Response Code|b|2|I|M|
        D7|paypassApplicationControl|Application Control (contactless)|b|3-6|I|M|
        D8|paypassApplicationInterchangeProfile|Application Interchange Profile (contactless)|b|2|I|M|
        D9|paypassApplicationFileLocator|Application File Locator (contactless)|b|4-32|I|M|
        DA|paypassStaticCVC3Track1|Static CVC3 (Track1)|b|2|I|M|s
        DB|paypassStaticCVC3Track2|Static CVC3 (Track2)|b|2|I|M|s
        DC|paypassIVCVC3Track1|IVCVC3 (Track1)|b|2|I|M|s
        DD|paypassIVCVC3Track2|IVCVC3 (Track2)|b|2|I|M|s
        DE|mchipLogDataTable|Log Data Table|b|0-32|I|M|
        DF01|mchipPreviousTransactionHistory|Previous Transaction History|b|1|I|M|
        DF02|mchipSecurityLimitsStatus|Security Limits Status|b|1|I|M|
        """

    // Unconfirmed: lengths and formats of the scheme-proprietary tags come from secondary public lists.
    /// Kernel 4 (Book C-4).
    static let kernel4 = """
        9F5A|membershipProductIdentifier|Membership Product Identifier|an|1-8|I|4A|
        9F5B|productMembershipNumber|Product Membership Number|ans|1-32|I|4A|s
        9F67|amexFormFactor|Form Factor|b|4|I|4A|
        9F6D|contactlessReaderCapabilities|Contactless Reader Capabilities|b|1|T|4A|
        9F6E|enhancedContactlessReaderCapabilities|Enhanced Contactless Reader Capabilities|b|4|T|4A|
        9F70|cardInterfaceAndPaymentCapabilities|Card Interface and Payment Capabilities|b|2|I|4A|
        9F71|mobileCVMResults|Mobile CVM Results|b|3|I|4A|
        """

    // Unconfirmed: lengths and formats of the scheme-proprietary tags come from secondary public lists.
    /// Kernel 5 (Book C-5).
    static let kernel5 = """
        9F50|cardholderVerificationStatus|Cardholder Verification Status|b|1|I|5J|
        9F52|terminalCompatibilityIndicator|Terminal Compatibility Indicator|b|1|T|5J|
        9F53|terminalInterchangeProfile|Terminal Interchange Profile|b|3|T|5J|
        9F60|issuerUpdateParameter|Issuer Update Parameter|b|1|T|5J|
        9F5F|offlineBalance|Offline Balance|n12|6|I|5J|
        9F7C|partnerDiscretionaryData|Partner Discretionary Data|b|0-32|I|5J|
        9F70|jcbProtectedDataEnvelope1|Protected Data Envelope 1|b|0-192|I|5J|
        9F71|jcbProtectedDataEnvelope2|Protected Data Envelope 2|b|0-192|I|5J|
        9F72|jcbProtectedDataEnvelope3|Protected Data Envelope 3|b|0-192|I|5J|
        9F73|jcbProtectedDataEnvelope4|Protected Data Envelope 4|b|0-192|I|5J|
        9F74|jcbProtectedDataEnvelope5|Protected Data Envelope 5|b|0-192|I|5J|
        9F75|jcbUnprotectedDataEnvelope1|Unprotected Data Envelope 1|b|0-192|I|5J|
        9F76|jcbUnprotectedDataEnvelope2|Unprotected Data Envelope 2|b|0-192|I|5J|
        9F77|jcbUnprotectedDataEnvelope3|Unprotected Data Envelope 3|b|0-192|I|5J|
        9F78|jcbUnprotectedDataEnvelope4|Unprotected Data Envelope 4|b|0-192|I|5J|
        9F79|jcbUnprotectedDataEnvelope5|Unprotected Data Envelope 5|b|0-192|I|5J|
        """

    // Unconfirmed: lengths and formats of the scheme-proprietary tags come from secondary public lists.
    /// Kernel 6 (Book C-6).
    static let kernel6 = """
        9F71|cardProcessingRequirements|Card Processing Requirements (CPR)|b|2|I|6D|
        9F7C|discoverCustomerExclusiveData|Customer Exclusive Data|b|0-32|I|6D|
        9F5B|discoverIssuerScriptResults|Issuer Script Results|b|5-20|T|6D|
        DF30|dpasCardActionCodeSwitchInterface|CRM Card Action Code - Switch Interface|b|3|I|D|
        DF31|dpasCardActionCodeDenial|CRM Card Action Code - Denial|b|3|I|D|
        DF32|dpasCardActionCodeOnline|CRM Card Action Code - Online|b|3|I|D|
        DF33|dpasCardActionCodeDefault|CRM Card Action Code - Default|b|3|I|D|
        DF34|dpasCVMCardActionCodeOnlinePIN|CVM Card Action Code - Online PIN|b|2|I|D|
        DF35|dpasCVMCardActionCodeSignature|CVM Card Action Code - Signature|b|2|I|D|
        DF3C|dpasExtendedLoggingData|Extended Logging Data|b|1-32|I|D|
        """

    // Unconfirmed: lengths and formats of the scheme-proprietary tags come from secondary public lists.
    /// Kernel 7 (Book C-7).
    static let kernel7 = """
        9F51|unionPayApplicationCurrencyCode|Application Currency Code (card risk management)|n3|2|I|7U|
        9F5D|unionPayAvailableOfflineSpendingAmount|Available Offline Spending Amount|n12|6|I|7U|
        9F61|cardholderIDNumber|Cardholder ID Number|ans|0-40|I|7U|s
        9F62|cardholderIDType|Cardholder ID Type|an|1|I|7U|
        9F63|productIdentificationInformation|Product Identification Information|b|16|I|7U|
        9F6D|electronicCashResetThreshold|Electronic Cash Reset Threshold|n12|6|I|7U|
        9F74|electronicCashIssuerAuthorisationCode|Electronic Cash Issuer Authorisation Code|an|6|I|7U|
        9F77|electronicCashBalanceLimit|Electronic Cash Balance Limit|n12|6|I|7U|
        9F78|electronicCashSingleTransactionLimit|Electronic Cash Single Transaction Limit|n12|6|I|7U|
        9F79|electronicCashBalance|Electronic Cash Balance|n12|6|I|7U|
        9F7A|electronicCashTerminalSupportIndicator|Electronic Cash Terminal Support Indicator|b|1|T|7U|
        9F7B|electronicCashTerminalTransactionLimit|Electronic Cash Terminal Transaction Limit|n12|6|T|7U|
        DF31|unionPayIssuerScriptResults|Issuer Script Results|b|5|T|7U|
        DF32|unionPayChipProcessResult|Chip Processing Result|b|1|T|U|
        DF60|cappTransactionIndicator|CAPP Transaction Indicator|b|1|T|7U|
        DF61|segmentedDeductionIndicator|Segmented Deduction Indicator|b|1|I|7U|
        DF62|segmentedDeductionLimit|Electronic Cash Segmented Deduction Limit|n12|6|I|7U|
        DF63|segmentedDeductionDeductedAmount|Electronic Cash Segmented Deduction Deducted Amount|n12|6|I|7U|
        DF69|smAlgorithmSupportIndicator|SM Algorithm Support Indicator|b|1|T|7U|
        DF71|electronicCashSecondCurrencyCode|Electronic Cash Second Currency Code|n3|2|I|U|
        DF72|electronicCashSecondCurrencyResetThreshold|Electronic Cash Second Currency Reset Threshold|n12|6|I|U|
        DF77|electronicCashSecondCurrencyBalanceLimit|Electronic Cash Second Currency Balance Limit|n12|6|I|U|
        DF78|electronicCashSecondCurrencySingleTransactionLimit|Electronic Cash Second Currency Single Transaction Limit|n12|6|I|U|
        DF79|electronicCashSecondCurrencyBalance|Electronic Cash Second Currency Balance|n12|6|I|U|
        """

    // Unconfirmed: lengths and formats of the scheme-proprietary tags come from secondary public lists.
    /// Interac.
    static let interac = """
        9F58|merchantTypeIndicator|Merchant Type Indicator|b|1|T|N|
        9F59|terminalTransactionInformation|Terminal Transaction Information (TTI)|b|3|T|N|
        9F5A|terminalTransactionType|Terminal Transaction Type (TTT)|b|1|T|N|
        9F5E|terminalOptionStatus|Terminal Option Status (TOS)|b|2|T|N|
        DF62|applicationSelectionFlag|Application Selection Flag (ASF)|b|2|I|N|
        """

    /// Kernel 8 (Book C-8).
    static let kernel8 = """
        9E|kernelKeyData|Kernel Key Data|b|64-132|K|8|
        9F2B|kernelQualifier|Kernel Qualifier|b|8|K|8|
        9F2C|cardQualifier|Card Qualifier|b|7|I|8|
        9F8102|cardholderVerificationDecision|Cardholder Verification Decision|b|1|I|8|
        9F8103|cardKeyData|Card Key Data|b|64-132|I|8|
        9F8104|cardTVR|Card TVR|b|5|I|8|
        9F8105|enhancedDataAuthenticationMAC|Enhanced Data Authentication MAC|b|8|I|8|
        9F8106|authenticatedApplicationData|Authenticated Application Data|b|0-128|I|8|
        9F8107|iadMACOffset|IAD MAC Offset|b|1|I|8|
        9F8108|restartIndicator|Restart Indicator|b|2-5|I|8|
        9F8109|issuerApplicationDataMAC|Issuer Application Data MAC|b|8|K|8|
        9F810A|extendedSDATagList|Extended SDA Tag List|b|0-255|I|8|
        9F810B|iccECCPublicKeyForRSACertificates|ICC ECC Public Key (for RSA Certificates)|b|32-66|I|8|
        9F810C|relayResistanceTimeExcess|Relay Resistance Time Excess|b|2|I|8|
        9F810D|cardCapabilitiesInformation|Card Capabilities Information|b|2|I|8|
        9F8111|dataEnvelope1|Data Envelope 1|b|0-243|I|8|
        9F8112|dataEnvelope2|Data Envelope 2|b|0-243|I|8|
        9F8113|dataEnvelope3|Data Envelope 3|b|0-243|I|8|
        9F8114|dataEnvelope4|Data Envelope 4|b|0-243|I|8|
        9F8115|dataEnvelope5|Data Envelope 5|b|0-243|I|8|
        9F8116|dataEnvelope6|Data Envelope 6|b|0-243|I|8|
        9F8117|dataEnvelope7|Data Envelope 7|b|0-243|I|8|
        9F8118|dataEnvelope8|Data Envelope 8|b|0-243|I|8|
        9F8119|dataEnvelope9|Data Envelope 9|b|0-243|I|8|
        9F811A|dataEnvelope10|Data Envelope 10|b|0-243|I|8|
        9F8201|kernel8DataNeeded|Data Needed|b|0-65535|K|8|
        9F8202|kernel8ProceedToFirstWriteFlag|Proceed To First Write Flag|b|1|T|8|
        9F8203|kernel8TagsToRead|Tags To Read|b|0-65535|T|8|
        9F8204|kernel8ErrorIndication|Error Indication|b|6|K|8|
        9F8205|userInterfaceRequestData1|User Interface Request Data 1|b|13|K|8|
        9F8206|kernel8CardDataInputCapability|Card Data Input Capability|b|1|T|8|
        9F8207|kernel8CVMCapabilityCVMRequired|CVM Capability - CVM Required|b|1|T|8|
        9F8208|kernel8CVMCapabilityNoCVMRequired|CVM Capability - No CVM Required|b|1|T|8|
        9F8209|kernel8KernelConfiguration|Kernel Configuration|b|2|T|8|
        9F820A|kernel8SecurityCapability|Security Capability|b|1|T|8|
        9F820B|kernel8TerminalActionCodeDenial|Terminal Action Code - Denial|b|5|T|8|
        9F820C|kernel8TerminalActionCodeOnline|Terminal Action Code - Online|b|5|T|8|
        9F820D|kernel8ReaderContactlessFloorLimit|Reader Contactless Floor Limit|n12|6|T|8|
        9F820E|kernel8ReaderCVMRequiredLimit|Reader CVM Required Limit|n12|6|T|8|
        9F820F|kernel8TimeoutValue|Timeout Value|b|2|T|8|
        9F8210|kernel8OutcomeParameterSet|Outcome Parameter Set|b|8|K|8|
        9F8211|kernel8MessageHoldTime|Message Hold Time|n6|3|T|8|
        9F8212|kernel8HoldTimeValue|Hold Time Value|b|1|T|8|
        9F8213|kernel8MinimumRelayResistanceGracePeriod|Minimum Relay Resistance Grace Period|b|2|T|8|
        9F8214|kernel8MaximumRelayResistanceGracePeriod|Maximum Relay Resistance Grace Period|b|2|T|8|
        9F8215|kernel8TerminalExpectedTransmissionTimeForRelayResistanceCAPDU|Terminal Expected Transmission Time For Relay Resistance C-APDU|b|2|T|8|
        9F8216|kernel8TerminalExpectedTransmissionTimeForRelayResistanceRAPDU|Terminal Expected Transmission Time For Relay Resistance R-APDU|b|2|T|8|
        9F8217|kernel8RelayResistanceAccuracyThreshold|Relay Resistance Accuracy Threshold|b|2|T|8|
        9F8218|kernel8RelayResistanceTransmissionTimeMismatchThreshold|Relay Resistance Transmission Time Mismatch Threshold|b|1|T|8|
        9F8219|userInterfaceRequestData2|User Interface Request Data 2|b|13|K|8|
        9F821A|kernelReservedTVRMask|Kernel Reserved TVR Mask|b|5|T|8|
        9F821B|writeDataStatus|Write Data Status|b|1|K|8|
        9F821C|readDataStatus|Read Data Status|b|1|K|8|
        9F821D|messageIdentifiersOnRestart|Message Identifiers On Restart|b|0-32|T|8|
        9F821E|defaultIADMACOffset|Default IAD MAC Offset|b|1|T|8|
        9F821F|discretionaryDataTagList|Discretionary Data Tag List|b|0-65535|T|8|
        9F8220|defaultCDOL1|Default CDOL1|b|0-250|T|8|
        9F8221|tagMappingList|Tag Mapping List|b|0-65535|T|8|
        BF8101|kernel8DataToSend|Data To Send|var|0-65535|K|8|
        BF8102|kernel8DataRecord|Data Record|var|0-65535|K|8|
        BF8103|kernel8DiscretionaryData|Discretionary Data|var|0-65535|K|8|
        BF8104|dataEnvelopesToWrite|Data Envelopes To Write|var|0-65535|T|8|
        """

    /// ISO interindustry.
    static let isoInterindustry = """
        06|objectIdentifier|Object Identifier (OID)|b|1-127|I|I|
        41|countryCodeAndNationalData|Country Code and National Data|var|1-127|I|I|
        43|cardServiceData|Card Service Data|b|1|I|I|
        44|initialAccessData|Initial Access Data|b|1-127|I|I|
        45|cardIssuersData|Card Issuer's Data|b|0-127|I|I|
        46|preIssuingData|Pre-issuing Data|b|0-127|I|I|
        47|cardCapabilities|Card Capabilities|b|1-3|I|I|
        48|statusInformation|Status Information|b|1-3|I|I|
        49|applicationFamilyIdentifier|Application Family Identifier|b|0-127|I|I|
        4D|extendedHeaderList|Extended Header List|b|0-255|IT|I|
        51|fileReference|File Reference (Path)|b|0-127|I|I|
        52|commandToPerform|Command to Perform|b|4-255|I|I|
        53|discretionaryDataInterindustry|Discretionary Data|b|0-65535|I|I|
        54|offsetDataObject|Offset Data Object|b|1-4|IT|I|
        58|track3Card|Track 3 (card)|b|0-54|I|I|s
        59|cardExpirationDate|Card Expiration Date|n4|2|I|I|
        5B|holderName|Name (of an individual)|ans|2-39|I|I|s
        5C|tagList|Tag List|b|0-255|IT|I|
        5D|headerList|Header List (tag and length list)|b|0-255|IT|I|
        5E|proprietaryLoginData|Proprietary Login Data|b|0-127|I|I|s
        62|fcpTemplate|File Control Parameters (FCP) Template|var|0-255|I|I|
        63|wrapper|Wrapper|var|0-255|I|I|
        64|fmdTemplate|File Management Data (FMD) Template|var|0-255|I|I|
        65|cardholderRelatedData|Cardholder Related Data|var|0-255|I|I|s
        66|cardData|Card Data Template|var|0-255|I|IG|
        67|authenticationData|Authentication Data|var|0-255|I|I|s
        68|specialUserRequirements|Special User Requirements|var|0-255|I|I|
        6A|loginTemplate|Login Template|var|0-255|I|I|s
        6B|qualifiedNameTemplate|Qualified Name Template|var|0-255|I|I|
        6C|cardholderImageTemplate|Cardholder Image Template|var|0-255|I|I|s
        6D|applicationImageTemplate|Application Image Template|var|0-255|I|I|
        6E|applicationRelatedData|Application Related Data|var|0-255|I|I|
        78|compatibleTagAllocationAuthority|Compatible Tag Allocation Authority|var|0-255|I|I|
        79|coexistentTagAllocationAuthority|Coexistent Tag Allocation Authority|var|0-255|I|I|
        7A|securitySupportTemplate|Security Support Template|var|0-255|I|I|
        7B|securityEnvironmentTemplate|Security Environment Template|var|0-255|I|I|
        7D|secureMessagingTemplate|Secure Messaging Template|var|0-255|IT|I|
        7E|interindustryDataObjectTemplate|Interindustry Data Object Nesting Template|var|0-255|I|I|
        80|fcpNumberOfDataBytes|Number of Data Bytes in the File|b|1-8|I|I|p62,64
        81|fcpNumberOfDataBytesWithStructure|Number of Data Bytes in the File, with structure|b|2-8|I|I|p62,64
        82|fcpFileDescriptor|File Descriptor|b|1-6|I|I|p62,64
        83|fcpFileIdentifier|File Identifier|b|2|I|I|p62,64
        85|fcpProprietaryInformation|Proprietary Information|b|0-255|I|I|
        86|fcpSecurityAttributesProprietary|Security Attribute (proprietary)|b|0-255|I|I|p62,64
        87|fcpExtendedFileControlInformation|Identifier of an EF with more File Control Information|b|2|I|I|p62,64
        88|fcpShortEFIdentifier|Short EF Identifier|b|0-1|I|I|p62,64
        8A|fcpLifeCycleStatus|Life Cycle Status Byte|b|1|I|I|p62,64
        8B|fcpSecurityAttributesExpanded|Security Attribute (reference to expanded format)|b|0-255|I|I|p62,64
        8C|fcpSecurityAttributesCompact|Security Attribute (compact format)|b|0-255|I|I|p62,64
        8D|fcpSecurityEnvironmentIdentifier|Identifier of an EF with Security Environment Templates|b|2|I|I|p62,64
        8E|fcpChannelSecurityAttribute|Channel Security Attribute|b|1|I|I|p62,64
        A0|fcpSecurityAttributesDataObjects|Security Attribute Template for Data Objects|var|0-255|I|I|
        A2|fcpShortEFReferences|EF References Template|var|0-255|I|I|
        AB|fcpSecurityAttributesExpandedTemplate|Security Attribute Template in expanded format|var|0-255|I|I|
        AC|cryptographicMechanismTemplate|Cryptographic Mechanism Identifier Template|var|0-255|I|I|
        5F21|track1Card|Track 1 (card)|ans|0-76|I|I|s
        5F22|track2Card|Track 2 (card)|cn|0-20|I|I|s
        5F23|track3Application|Track 3 (application)|cn|0-54|I|I|s
        5F26|cardEffectiveDate|Card Effective Date|n6|3|I|I|
        5F27|interchangeControl|Interchange Control|n1|1|I|I|
        5F29|interchangeProfile|Interchange Profile|b|0-127|I|I|
        5F2B|dateOfBirth|Date of Birth|n8|4|I|I|s
        5F2C|cardholderNationality|Cardholder Nationality|n3|2|I|I|s
        5F2E|biometricDataBlock|Biometric Data Block|b|0-65535|I|I|s
        5F2F|pinUsagePolicy|PIN Usage Policy|b|2|I|I|
        5F31|transactionCounterInterindustry|Transaction Counter|b|0-127|I|I|
        5F32|transactionDateInterindustry|Transaction Date (interindustry)|n8|3-4|T|I|
        5F33|cardSequenceNumber|Card Sequence Number|n2|1|I|I|
        5F35|sexInterindustry|Sex (ISO 5218)|n1|1|I|I|s
        5F37|staticInternalAuthenticationOneStep|Static Internal Authentication (one step)|b|0-255|I|I|
        5F38|staticInternalAuthenticationFirst|Static Internal Authentication - First Associated Data|b|0-255|I|I|
        5F39|staticInternalAuthenticationSecond|Static Internal Authentication - Second Associated Data|b|0-255|I|I|
        5F3A|dynamicInternalAuthentication|Dynamic Internal Authentication|b|0-255|I|I|
        5F3B|dynamicExternalAuthentication|Dynamic External Authentication|b|0-255|I|I|
        5F3C|dynamicMutualAuthentication|Dynamic Mutual Authentication|b|0-255|I|I|
        5F40|cardholderPortraitImage|Cardholder Portrait Image|b|0-65535|I|I|s
        5F41|elementList|Element List|b|0-255|IT|I|
        5F42|address|Address|ans|0-255|I|I|s
        5F43|handwrittenSignatureImage|Handwritten Signature Image|b|0-65535|I|I|s
        5F44|applicationImage|Application Image|b|0-65535|I|I|
        5F45|displayMessage|Display Message|ans|0-255|I|I|
        5F46|timer|Timer|b|2|I|I|
        5F47|messageReference|Message Reference|b|0-127|I|I|
        5F48|cardholderPrivateKey|Cardholder Private Key|b|0-65535|I|I|s
        5F49|cardholderPublicKey|Cardholder Public Key|b|0-65535|I|I|
        5F4A|certificationAuthorityPublicKey|Public Key of a Certification Authority|b|0-65535|I|I|
        5F4C|certificateHolderAuthorization|Certificate Holder Authorization|b|0-255|I|I|
        5F4D|integratedCircuitManufacturerIdentifier|Integrated Circuit Manufacturer Identifier|b|1|I|I|
        5F4E|certificateContent|Certificate Content|b|0-65535|I|I|
        5F52|historicalBytes|Historical Bytes|b|0-15|I|I|
        7F21|cardholderCertificate|Cardholder Certificate|var|0-65535|I|I|
        7F2E|biometricDataTemplate|Biometric Data Template|var|0-65535|I|I|s
        7F49|publicKeyTemplate|Public Key Template|var|0-65535|I|I|
        7F4C|certificateHolderAuthorizationTemplate|Certificate Holder Authorization Template|var|0-255|I|I|
        7F4E|certificateBody|Certificate Body|var|0-65535|I|I|
        7F61|biometricInformationGroupTemplate|Biometric Information Data Objects Group Template|var|0-65535|I|I|
        """

    // Unconfirmed: lengths and formats of the scheme-proprietary tags come from secondary public lists.
    /// GlobalPlatform.
    static let globalplatform = """
        C1|-|Key Version and Sequence Counter|b|1-8|I|G|
        CF|-|Key Diversification Data|b|10|I|G|
        E0|keyInformationTemplate|Key Information Template|var|0-255|I|G|
        E3|applicationRegistryTemplate|GlobalPlatform Registry Related Data|var|0-255|I|G|
        9F65|maximumLengthOfCommandDataField|Maximum Length of Data Field in Command Message|b|1-2|I|G|
        9F6E|applicationProductionLifeCycleData|Application Production Life Cycle Data|b|0-255|I|G|
        9F70|lifeCycleState|Life Cycle State|b|1-2|I|G|
        """
}
