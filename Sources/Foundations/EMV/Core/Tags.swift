public import BERTLV

// Named tags. A tag that kernels or schemes use for different things has one name for each meaning; the
// meanings of a tag are told apart by `DataDictionary`.

// MARK: - EMV Books 1-4
extension Tag {
    /// `42` Issuer Identification Number (IIN).
    @inlinable public static var issuerIdentificationNumber: Tag { Tag(0x42) }
    /// `4F` Application Dedicated File (ADF) Name.
    @inlinable public static var applicationDedicatedFileName: Tag { Tag(0x4F) }
    /// `50` Application Label.
    @inlinable public static var applicationLabel: Tag { Tag(0x50) }
    /// `57` Track 2 Equivalent Data.
    @inlinable public static var track2EquivalentData: Tag { Tag(0x57) }
    /// `5A` Application Primary Account Number (PAN).
    @inlinable public static var applicationPAN: Tag { Tag(0x5A) }
    /// `5F20` Cardholder Name.
    @inlinable public static var cardholderName: Tag { Tag(0x5F20) }
    /// `5F24` Application Expiration Date.
    @inlinable public static var applicationExpirationDate: Tag { Tag(0x5F24) }
    /// `5F25` Application Effective Date.
    @inlinable public static var applicationEffectiveDate: Tag { Tag(0x5F25) }
    /// `5F28` Issuer Country Code.
    @inlinable public static var issuerCountryCode: Tag { Tag(0x5F28) }
    /// `5F2A` Transaction Currency Code.
    @inlinable public static var transactionCurrencyCode: Tag { Tag(0x5F2A) }
    /// `5F2D` Language Preference.
    @inlinable public static var languagePreference: Tag { Tag(0x5F2D) }
    /// `5F30` Service Code.
    @inlinable public static var serviceCode: Tag { Tag(0x5F30) }
    /// `5F34` Application Primary Account Number (PAN) Sequence Number.
    @inlinable public static var applicationPANSequenceNumber: Tag { Tag(0x5F34) }
    /// `5F36` Transaction Currency Exponent.
    @inlinable public static var transactionCurrencyExponent: Tag { Tag(0x5F36) }
    /// `5F50` Issuer URL.
    @inlinable public static var issuerURL: Tag { Tag(0x5F50) }
    /// `5F53` International Bank Account Number (IBAN).
    @inlinable public static var internationalBankAccountNumber: Tag { Tag(0x5F53) }
    /// `5F54` Bank Identifier Code (BIC).
    @inlinable public static var bankIdentifierCode: Tag { Tag(0x5F54) }
    /// `5F55` Issuer Country Code (alpha2 format).
    @inlinable public static var issuerCountryCodeAlpha2: Tag { Tag(0x5F55) }
    /// `5F56` Issuer Country Code (alpha3 format).
    @inlinable public static var issuerCountryCodeAlpha3: Tag { Tag(0x5F56) }
    /// `5F57` Account Type.
    @inlinable public static var accountType: Tag { Tag(0x5F57) }
    /// `61` Application Template.
    @inlinable public static var applicationTemplate: Tag { Tag(0x61) }
    /// `6F` File Control Information (FCI) Template.
    @inlinable public static var fciTemplate: Tag { Tag(0x6F) }
    /// `70` READ RECORD Response Message Template.
    @inlinable public static var readRecordResponseMessageTemplate: Tag { Tag(0x70) }
    /// `71` Issuer Script Template 1.
    @inlinable public static var issuerScriptTemplate1: Tag { Tag(0x71) }
    /// `72` Issuer Script Template 2.
    @inlinable public static var issuerScriptTemplate2: Tag { Tag(0x72) }
    /// `73` Directory Discretionary Template.
    @inlinable public static var directoryDiscretionaryTemplate: Tag { Tag(0x73) }
    /// `77` Response Message Template Format 2.
    @inlinable public static var responseMessageTemplateFormat2: Tag { Tag(0x77) }
    /// `80` Response Message Template Format 1.
    @inlinable public static var responseMessageTemplateFormat1: Tag { Tag(0x80) }
    /// `81` Amount, Authorised (Binary).
    @inlinable public static var amountAuthorisedBinary: Tag { Tag(0x81) }
    /// `82` Application Interchange Profile (AIP).
    @inlinable public static var applicationInterchangeProfile: Tag { Tag(0x82) }
    /// `83` Command Template.
    @inlinable public static var commandTemplate: Tag { Tag(0x83) }
    /// `84` Dedicated File (DF) Name.
    @inlinable public static var dedicatedFileName: Tag { Tag(0x84) }
    /// `86` Issuer Script Command.
    @inlinable public static var issuerScriptCommand: Tag { Tag(0x86) }
    /// `87` Application Priority Indicator.
    @inlinable public static var applicationPriorityIndicator: Tag { Tag(0x87) }
    /// `88` Short File Identifier (SFI).
    @inlinable public static var shortFileIdentifier: Tag { Tag(0x88) }
    /// `89` Authorisation Code.
    @inlinable public static var authorisationCode: Tag { Tag(0x89) }
    /// `8A` Authorisation Response Code.
    @inlinable public static var authorisationResponseCode: Tag { Tag(0x8A) }
    /// `8C` Card Risk Management Data Object List 1 (CDOL1).
    @inlinable public static var cardRiskManagementDataObjectList1: Tag { Tag(0x8C) }
    /// `8D` Card Risk Management Data Object List 2 (CDOL2).
    @inlinable public static var cardRiskManagementDataObjectList2: Tag { Tag(0x8D) }
    /// `8E` Cardholder Verification Method (CVM) List.
    @inlinable public static var cvmList: Tag { Tag(0x8E) }
    /// `8F` Certification Authority Public Key Index.
    @inlinable public static var certificationAuthorityPublicKeyIndex: Tag { Tag(0x8F) }
    /// `90` Issuer Public Key Certificate.
    @inlinable public static var issuerPublicKeyCertificate: Tag { Tag(0x90) }
    /// `91` Issuer Authentication Data.
    @inlinable public static var issuerAuthenticationData: Tag { Tag(0x91) }
    /// `92` Issuer Public Key Remainder.
    @inlinable public static var issuerPublicKeyRemainder: Tag { Tag(0x92) }
    /// `93` Signed Static Application Data.
    @inlinable public static var signedStaticApplicationData: Tag { Tag(0x93) }
    /// `94` Application File Locator (AFL).
    @inlinable public static var applicationFileLocator: Tag { Tag(0x94) }
    /// `95` Terminal Verification Results (TVR).
    @inlinable public static var terminalVerificationResults: Tag { Tag(0x95) }
    /// `97` Transaction Certificate Data Object List (TDOL).
    @inlinable public static var transactionCertificateDataObjectList: Tag { Tag(0x97) }
    /// `98` Transaction Certificate (TC) Hash Value.
    @inlinable public static var transactionCertificateHashValue: Tag { Tag(0x98) }
    /// `99` Transaction Personal Identification Number (PIN) Data.
    @inlinable public static var transactionPINData: Tag { Tag(0x99) }
    /// `9A` Transaction Date.
    @inlinable public static var transactionDate: Tag { Tag(0x9A) }
    /// `9B` Transaction Status Information (TSI).
    @inlinable public static var transactionStatusInformation: Tag { Tag(0x9B) }
    /// `9C` Transaction Type.
    @inlinable public static var transactionType: Tag { Tag(0x9C) }
    /// `9D` Directory Definition File (DDF) Name.
    @inlinable public static var directoryDefinitionFileName: Tag { Tag(0x9D) }
    /// `A5` File Control Information (FCI) Proprietary Template.
    @inlinable public static var fciProprietaryTemplate: Tag { Tag(0xA5) }
    /// `9F01` Acquirer Identifier.
    @inlinable public static var acquirerIdentifier: Tag { Tag(0x9F01) }
    /// `9F02` Amount, Authorised (Numeric).
    @inlinable public static var amountAuthorisedNumeric: Tag { Tag(0x9F02) }
    /// `9F03` Amount, Other (Numeric).
    @inlinable public static var amountOtherNumeric: Tag { Tag(0x9F03) }
    /// `9F04` Amount, Other (Binary).
    @inlinable public static var amountOtherBinary: Tag { Tag(0x9F04) }
    /// `9F05` Application Discretionary Data.
    @inlinable public static var applicationDiscretionaryData: Tag { Tag(0x9F05) }
    /// `9F06` Application Identifier (AID) - terminal.
    @inlinable public static var applicationIdentifierTerminal: Tag { Tag(0x9F06) }
    /// `9F07` Application Usage Control.
    @inlinable public static var applicationUsageControl: Tag { Tag(0x9F07) }
    /// `9F08` Application Version Number.
    @inlinable public static var applicationVersionNumber: Tag { Tag(0x9F08) }
    /// `9F09` Application Version Number - terminal.
    @inlinable public static var applicationVersionNumberTerminal: Tag { Tag(0x9F09) }
    /// `9F0A` Application Selection Registered Proprietary Data (ASRPD).
    @inlinable public static var applicationSelectionRegisteredProprietaryData: Tag { Tag(0x9F0A) }
    /// `9F0B` Cardholder Name Extended.
    @inlinable public static var cardholderNameExtended: Tag { Tag(0x9F0B) }
    /// `9F0C` Issuer Identification Number Extended (IINE).
    @inlinable public static var issuerIdentificationNumberExtended: Tag { Tag(0x9F0C) }
    /// `9F0D` Issuer Action Code - Default.
    @inlinable public static var issuerActionCodeDefault: Tag { Tag(0x9F0D) }
    /// `9F0E` Issuer Action Code - Denial.
    @inlinable public static var issuerActionCodeDenial: Tag { Tag(0x9F0E) }
    /// `9F0F` Issuer Action Code - Online.
    @inlinable public static var issuerActionCodeOnline: Tag { Tag(0x9F0F) }
    /// `9F10` Issuer Application Data (IAD).
    @inlinable public static var issuerApplicationData: Tag { Tag(0x9F10) }
    /// `9F11` Issuer Code Table Index.
    @inlinable public static var issuerCodeTableIndex: Tag { Tag(0x9F11) }
    /// `9F12` Application Preferred Name.
    @inlinable public static var applicationPreferredName: Tag { Tag(0x9F12) }
    /// `9F13` Last Online Application Transaction Counter (ATC) Register.
    @inlinable public static var lastOnlineATCRegister: Tag { Tag(0x9F13) }
    /// `9F14` Lower Consecutive Offline Limit.
    @inlinable public static var lowerConsecutiveOfflineLimit: Tag { Tag(0x9F14) }
    /// `9F15` Merchant Category Code.
    @inlinable public static var merchantCategoryCode: Tag { Tag(0x9F15) }
    /// `9F16` Merchant Identifier.
    @inlinable public static var merchantIdentifier: Tag { Tag(0x9F16) }
    /// `9F17` Personal Identification Number (PIN) Try Counter.
    @inlinable public static var pinTryCounter: Tag { Tag(0x9F17) }
    /// `9F18` Issuer Script Identifier.
    @inlinable public static var issuerScriptIdentifier: Tag { Tag(0x9F18) }
    /// `9F19` Token Requestor ID.
    @inlinable public static var tokenRequestorID: Tag { Tag(0x9F19) }
    /// `9F1A` Terminal Country Code.
    @inlinable public static var terminalCountryCode: Tag { Tag(0x9F1A) }
    /// `9F1B` Terminal Floor Limit.
    @inlinable public static var terminalFloorLimit: Tag { Tag(0x9F1B) }
    /// `9F1C` Terminal Identification.
    @inlinable public static var terminalIdentification: Tag { Tag(0x9F1C) }
    /// `9F1D` Terminal Risk Management Data.
    @inlinable public static var terminalRiskManagementData: Tag { Tag(0x9F1D) }
    /// `9F1E` Interface Device (IFD) Serial Number.
    @inlinable public static var interfaceDeviceSerialNumber: Tag { Tag(0x9F1E) }
    /// `9F1F` Track 1 Discretionary Data.
    @inlinable public static var track1DiscretionaryData: Tag { Tag(0x9F1F) }
    /// `9F20` Track 2 Discretionary Data.
    @inlinable public static var track2DiscretionaryData: Tag { Tag(0x9F20) }
    /// `9F21` Transaction Time.
    @inlinable public static var transactionTime: Tag { Tag(0x9F21) }
    /// `9F22` Certification Authority Public Key Index - terminal.
    @inlinable public static var certificationAuthorityPublicKeyIndexTerminal: Tag { Tag(0x9F22) }
    /// `9F23` Upper Consecutive Offline Limit.
    @inlinable public static var upperConsecutiveOfflineLimit: Tag { Tag(0x9F23) }
    /// `9F24` Payment Account Reference (PAR).
    @inlinable public static var paymentAccountReference: Tag { Tag(0x9F24) }
    /// `9F25` Last 4 Digits of PAN.
    @inlinable public static var last4DigitsOfPAN: Tag { Tag(0x9F25) }
    /// `9F26` Application Cryptogram.
    @inlinable public static var applicationCryptogram: Tag { Tag(0x9F26) }
    /// `9F27` Cryptogram Information Data (CID).
    @inlinable public static var cryptogramInformationData: Tag { Tag(0x9F27) }
    /// `9F2D` Integrated Circuit Card (ICC) PIN Encipherment or ODE Public Key Certificate.
    @inlinable public static var iccPINEnciphermentPublicKeyCertificate: Tag { Tag(0x9F2D) }
    /// `9F2E` Integrated Circuit Card (ICC) PIN Encipherment or ODE Public Key Exponent.
    @inlinable public static var iccPINEnciphermentPublicKeyExponent: Tag { Tag(0x9F2E) }
    /// `9F2F` Integrated Circuit Card (ICC) PIN Encipherment or ODE Public Key Remainder.
    @inlinable public static var iccPINEnciphermentPublicKeyRemainder: Tag { Tag(0x9F2F) }
    /// `9F30` Biometric Terminal Capabilities.
    @inlinable public static var biometricTerminalCapabilities: Tag { Tag(0x9F30) }
    /// `9F31` Card BIT Group Template.
    @inlinable public static var cardBITGroupTemplate: Tag { Tag(0x9F31) }
    /// `9F32` Issuer Public Key Exponent.
    @inlinable public static var issuerPublicKeyExponent: Tag { Tag(0x9F32) }
    /// `9F33` Terminal Capabilities.
    @inlinable public static var terminalCapabilities: Tag { Tag(0x9F33) }
    /// `9F34` Cardholder Verification Method (CVM) Results.
    @inlinable public static var cvmResults: Tag { Tag(0x9F34) }
    /// `9F35` Terminal Type.
    @inlinable public static var terminalType: Tag { Tag(0x9F35) }
    /// `9F36` Application Transaction Counter (ATC).
    @inlinable public static var applicationTransactionCounter: Tag { Tag(0x9F36) }
    /// `9F37` Unpredictable Number.
    @inlinable public static var unpredictableNumber: Tag { Tag(0x9F37) }
    /// `9F38` Processing Options Data Object List (PDOL).
    @inlinable public static var processingOptionsDataObjectList: Tag { Tag(0x9F38) }
    /// `9F39` Point-of-Service (POS) Entry Mode.
    @inlinable public static var posEntryMode: Tag { Tag(0x9F39) }
    /// `9F3A` Amount, Reference Currency.
    @inlinable public static var amountReferenceCurrency: Tag { Tag(0x9F3A) }
    /// `9F3B` Application Reference Currency.
    @inlinable public static var applicationReferenceCurrency: Tag { Tag(0x9F3B) }
    /// `9F3C` Transaction Reference Currency Code.
    @inlinable public static var transactionReferenceCurrencyCode: Tag { Tag(0x9F3C) }
    /// `9F3D` Transaction Reference Currency Exponent.
    @inlinable public static var transactionReferenceCurrencyExponent: Tag { Tag(0x9F3D) }
    /// `9F40` Additional Terminal Capabilities.
    @inlinable public static var additionalTerminalCapabilities: Tag { Tag(0x9F40) }
    /// `9F41` Transaction Sequence Counter.
    @inlinable public static var transactionSequenceCounter: Tag { Tag(0x9F41) }
    /// `9F42` Application Currency Code.
    @inlinable public static var applicationCurrencyCode: Tag { Tag(0x9F42) }
    /// `9F43` Application Reference Currency Exponent.
    @inlinable public static var applicationReferenceCurrencyExponent: Tag { Tag(0x9F43) }
    /// `9F44` Application Currency Exponent.
    @inlinable public static var applicationCurrencyExponent: Tag { Tag(0x9F44) }
    /// `9F45` Data Authentication Code.
    @inlinable public static var dataAuthenticationCode: Tag { Tag(0x9F45) }
    /// `9F46` Integrated Circuit Card (ICC) Public Key Certificate.
    @inlinable public static var iccPublicKeyCertificate: Tag { Tag(0x9F46) }
    /// `9F47` Integrated Circuit Card (ICC) Public Key Exponent.
    @inlinable public static var iccPublicKeyExponent: Tag { Tag(0x9F47) }
    /// `9F48` Integrated Circuit Card (ICC) Public Key Remainder.
    @inlinable public static var iccPublicKeyRemainder: Tag { Tag(0x9F48) }
    /// `9F49` Dynamic Data Authentication Data Object List (DDOL).
    @inlinable public static var dynamicDataAuthenticationDataObjectList: Tag { Tag(0x9F49) }
    /// `9F4A` Static Data Authentication (SDA) Tag List.
    @inlinable public static var sdaTagList: Tag { Tag(0x9F4A) }
    /// `9F4B` Signed Dynamic Application Data (SDAD).
    @inlinable public static var signedDynamicApplicationData: Tag { Tag(0x9F4B) }
    /// `9F4C` Integrated Circuit Card (ICC) Dynamic Number.
    @inlinable public static var iccDynamicNumber: Tag { Tag(0x9F4C) }
    /// `9F4D` Log Entry.
    @inlinable public static var logEntry: Tag { Tag(0x9F4D) }
    /// `9F4E` Merchant Name and Location.
    @inlinable public static var merchantNameAndLocation: Tag { Tag(0x9F4E) }
    /// `9F4F` Log Format.
    @inlinable public static var logFormat: Tag { Tag(0x9F4F) }
    /// `BF0C` File Control Information (FCI) Issuer Discretionary Data.
    @inlinable public static var fciIssuerDiscretionaryData: Tag { Tag(0xBF0C) }
    /// `BF4A` Offline BIT Group Template.
    @inlinable public static var offlineBITGroupTemplate: Tag { Tag(0xBF4A) }
    /// `BF4B` Online BIT Group Template.
    @inlinable public static var onlineBITGroupTemplate: Tag { Tag(0xBF4B) }
    /// `BF4C` Biometric Try Counters Template.
    @inlinable public static var biometricTryCountersTemplate: Tag { Tag(0xBF4C) }
    /// `BF4D` Preferred Attempts Template.
    @inlinable public static var preferredAttemptsTemplate: Tag { Tag(0xBF4D) }
    /// `BF4E` Biometric Verification Data Template.
    @inlinable public static var biometricVerificationDataTemplate: Tag { Tag(0xBF4E) }
    /// `7F60` Biometric Information Template (BIT).
    @inlinable public static var biometricInformationTemplate: Tag { Tag(0x7F60) }
    /// `A1` Biometric Header Template (BHT).
    @inlinable public static var biometricHeaderTemplate: Tag { Tag(0xA1) }
    /// `81` Biometric Type.
    @inlinable public static var biometricType: Tag { Tag(0x81) }
    /// `82` Biometric Subtype.
    @inlinable public static var biometricSubtype: Tag { Tag(0x82) }
    /// `90` Biometric Solution ID.
    @inlinable public static var biometricSolutionID: Tag { Tag(0x90) }
    /// `DF50` Facial Try Counter.
    @inlinable public static var facialTryCounter: Tag { Tag(0xDF50) }
    /// `DF51` Finger Try Counter.
    @inlinable public static var fingerTryCounter: Tag { Tag(0xDF51) }
    /// `DF52` Iris Try Counter.
    @inlinable public static var irisTryCounter: Tag { Tag(0xDF52) }
    /// `DF53` Palm Try Counter.
    @inlinable public static var palmTryCounter: Tag { Tag(0xDF53) }
    /// `DF54` Voice Try Counter.
    @inlinable public static var voiceTryCounter: Tag { Tag(0xDF54) }
    /// `DF50` Preferred Facial Attempts.
    @inlinable public static var preferredFacialAttempts: Tag { Tag(0xDF50) }
    /// `DF51` Preferred Finger Attempts.
    @inlinable public static var preferredFingerAttempts: Tag { Tag(0xDF51) }
    /// `DF52` Preferred Iris Attempts.
    @inlinable public static var preferredIrisAttempts: Tag { Tag(0xDF52) }
    /// `DF53` Preferred Palm Attempts.
    @inlinable public static var preferredPalmAttempts: Tag { Tag(0xDF53) }
    /// `DF54` Preferred Voice Attempts.
    @inlinable public static var preferredVoiceAttempts: Tag { Tag(0xDF54) }
    /// `DF50` Enciphered Biometric Key Seed.
    @inlinable public static var encipheredBiometricKeySeed: Tag { Tag(0xDF50) }
    /// `DF51` Enciphered Biometric Data.
    @inlinable public static var encipheredBiometricData: Tag { Tag(0xDF51) }
    /// `DF52` MAC of Enciphered Biometric Data.
    @inlinable public static var macOfEncipheredBiometricData: Tag { Tag(0xDF52) }
}

// MARK: - Books A and B (Entry Point)
extension Tag {
    /// `8B` POI Information.
    @inlinable public static var poiInformation: Tag { Tag(0x8B) }
    /// `96` Kernel Identifier - Terminal.
    @inlinable public static var kernelIdentifierTerminal: Tag { Tag(0x96) }
    /// `9F29` Extended Selection.
    @inlinable public static var extendedSelection: Tag { Tag(0x9F29) }
    /// `9F2A` Kernel Identifier.
    @inlinable public static var kernelIdentifier: Tag { Tag(0x9F2A) }
    /// `9F3E` Terminal Categories Supported List.
    @inlinable public static var terminalCategoriesSupportedList: Tag { Tag(0x9F3E) }
    /// `9F3F` Selection Data Object List (SDOL).
    @inlinable public static var selectionDataObjectList: Tag { Tag(0x9F3F) }
    /// `9F66` Terminal Transaction Qualifiers (TTQ).
    @inlinable public static var terminalTransactionQualifiers: Tag { Tag(0x9F66) }
}

// MARK: - Kernel 2 (Book C-2)
extension Tag {
    /// `56` Track 1 Data.
    @inlinable public static var track1Data: Tag { Tag(0x56) }
    /// `9F50` Offline Accumulator Balance.
    @inlinable public static var offlineAccumulatorBalance: Tag { Tag(0x9F50) }
    /// `9F51` DRDOL.
    @inlinable public static var drdol: Tag { Tag(0x9F51) }
    /// `9F53` Transaction Category Code.
    @inlinable public static var transactionCategoryCode: Tag { Tag(0x9F53) }
    /// `9F54` DS ODS Card.
    @inlinable public static var dsODSCard: Tag { Tag(0x9F54) }
    /// `9F5B` DSDOL.
    @inlinable public static var dsdol: Tag { Tag(0x9F5B) }
    /// `9F5C` DS Requested Operator ID.
    @inlinable public static var dsRequestedOperatorID: Tag { Tag(0x9F5C) }
    /// `9F5D` Application Capabilities Information.
    @inlinable public static var applicationCapabilitiesInformation: Tag { Tag(0x9F5D) }
    /// `9F5E` DS ID.
    @inlinable public static var dsID: Tag { Tag(0x9F5E) }
    /// `9F5F` DS Slot Availability.
    @inlinable public static var dsSlotAvailability: Tag { Tag(0x9F5F) }
    /// `9F60` CVC3 (Track1).
    @inlinable public static var cvc3Track1: Tag { Tag(0x9F60) }
    /// `9F61` CVC3 (Track2).
    @inlinable public static var cvc3Track2: Tag { Tag(0x9F61) }
    /// `9F62` PCVC3 (Track1).
    @inlinable public static var pcvc3Track1: Tag { Tag(0x9F62) }
    /// `9F63` PUNATC (Track1).
    @inlinable public static var punatcTrack1: Tag { Tag(0x9F63) }
    /// `9F64` NATC (Track1).
    @inlinable public static var natcTrack1: Tag { Tag(0x9F64) }
    /// `9F65` PCVC3 (Track2).
    @inlinable public static var pcvc3Track2: Tag { Tag(0x9F65) }
    /// `9F66` PUNATC (Track2).
    @inlinable public static var punatcTrack2: Tag { Tag(0x9F66) }
    /// `9F67` NATC (Track2).
    @inlinable public static var natcTrack2: Tag { Tag(0x9F67) }
    /// `9F69` UDOL.
    @inlinable public static var udol: Tag { Tag(0x9F69) }
    /// `9F6A` Unpredictable Number (Numeric).
    @inlinable public static var unpredictableNumberNumeric: Tag { Tag(0x9F6A) }
    /// `9F6B` Track 2 Data.
    @inlinable public static var track2Data: Tag { Tag(0x9F6B) }
    /// `9F6D` Mag-stripe Application Version Number (Reader).
    @inlinable public static var magStripeApplicationVersionNumberReader: Tag { Tag(0x9F6D) }
    /// `9F6E` Third Party Data.
    @inlinable public static var thirdPartyData: Tag { Tag(0x9F6E) }
    /// `9F6F` DS Slot Management Control.
    @inlinable public static var dsSlotManagementControl: Tag { Tag(0x9F6F) }
    /// `9F70` Protected Data Envelope 1.
    @inlinable public static var protectedDataEnvelope1: Tag { Tag(0x9F70) }
    /// `9F71` Protected Data Envelope 2.
    @inlinable public static var protectedDataEnvelope2: Tag { Tag(0x9F71) }
    /// `9F72` Protected Data Envelope 3.
    @inlinable public static var protectedDataEnvelope3: Tag { Tag(0x9F72) }
    /// `9F73` Protected Data Envelope 4.
    @inlinable public static var protectedDataEnvelope4: Tag { Tag(0x9F73) }
    /// `9F74` Protected Data Envelope 5.
    @inlinable public static var protectedDataEnvelope5: Tag { Tag(0x9F74) }
    /// `9F75` Unprotected Data Envelope 1.
    @inlinable public static var unprotectedDataEnvelope1: Tag { Tag(0x9F75) }
    /// `9F76` Unprotected Data Envelope 2.
    @inlinable public static var unprotectedDataEnvelope2: Tag { Tag(0x9F76) }
    /// `9F77` Unprotected Data Envelope 3.
    @inlinable public static var unprotectedDataEnvelope3: Tag { Tag(0x9F77) }
    /// `9F78` Unprotected Data Envelope 4.
    @inlinable public static var unprotectedDataEnvelope4: Tag { Tag(0x9F78) }
    /// `9F79` Unprotected Data Envelope 5.
    @inlinable public static var unprotectedDataEnvelope5: Tag { Tag(0x9F79) }
    /// `9F7C` Merchant Custom Data.
    @inlinable public static var merchantCustomData: Tag { Tag(0x9F7C) }
    /// `9F7D` DS Summary 1.
    @inlinable public static var dsSummary1: Tag { Tag(0x9F7D) }
    /// `9F7E` Mobile Support Indicator.
    @inlinable public static var mobileSupportIndicator: Tag { Tag(0x9F7E) }
    /// `9F7F` DS Unpredictable Number.
    @inlinable public static var dsUnpredictableNumber: Tag { Tag(0x9F7F) }
    /// `DF4B` POS Cardholder Interaction Information.
    @inlinable public static var posCardholderInteractionInformation: Tag { Tag(0xDF4B) }
    /// `DF60` DS Input (Card).
    @inlinable public static var dsInputCard: Tag { Tag(0xDF60) }
    /// `DF61` DS Digest H.
    @inlinable public static var dsDigestH: Tag { Tag(0xDF61) }
    /// `DF62` DS ODS Info.
    @inlinable public static var dsODSInfo: Tag { Tag(0xDF62) }
    /// `DF63` DS ODS Term.
    @inlinable public static var dsODSTerm: Tag { Tag(0xDF63) }
    /// `DF8101` DS Summary 2.
    @inlinable public static var dsSummary2: Tag { Tag(0xDF8101) }
    /// `DF8102` DS Summary 3.
    @inlinable public static var dsSummary3: Tag { Tag(0xDF8102) }
    /// `DF8104` Balance Read Before Gen AC.
    @inlinable public static var balanceReadBeforeGenAC: Tag { Tag(0xDF8104) }
    /// `DF8105` Balance Read After Gen AC.
    @inlinable public static var balanceReadAfterGenAC: Tag { Tag(0xDF8105) }
    /// `DF8106` Data Needed.
    @inlinable public static var dataNeeded: Tag { Tag(0xDF8106) }
    /// `DF8107` CDOL1 Related Data.
    @inlinable public static var cdol1RelatedData: Tag { Tag(0xDF8107) }
    /// `DF8108` DS AC Type.
    @inlinable public static var dsACType: Tag { Tag(0xDF8108) }
    /// `DF8109` DS Input (Term).
    @inlinable public static var dsInputTerm: Tag { Tag(0xDF8109) }
    /// `DF810A` DS ODS Info For Reader.
    @inlinable public static var dsODSInfoForReader: Tag { Tag(0xDF810A) }
    /// `DF810B` DS Summary Status.
    @inlinable public static var dsSummaryStatus: Tag { Tag(0xDF810B) }
    /// `DF810C` Kernel ID.
    @inlinable public static var kernelID: Tag { Tag(0xDF810C) }
    /// `DF810D` DSVN Term.
    @inlinable public static var dsvnTerm: Tag { Tag(0xDF810D) }
    /// `DF810E` Post-Gen AC Put Data Status.
    @inlinable public static var postGenACPutDataStatus: Tag { Tag(0xDF810E) }
    /// `DF810F` Pre-Gen AC Put Data Status.
    @inlinable public static var preGenACPutDataStatus: Tag { Tag(0xDF810F) }
    /// `DF8110` Proceed To First Write Flag.
    @inlinable public static var proceedToFirstWriteFlag: Tag { Tag(0xDF8110) }
    /// `DF8111` PDOL Related Data.
    @inlinable public static var pdolRelatedData: Tag { Tag(0xDF8111) }
    /// `DF8112` Tags To Read.
    @inlinable public static var tagsToRead: Tag { Tag(0xDF8112) }
    /// `DF8113` DRDOL Related Data.
    @inlinable public static var drdolRelatedData: Tag { Tag(0xDF8113) }
    /// `DF8114` Reference Control Parameter.
    @inlinable public static var referenceControlParameter: Tag { Tag(0xDF8114) }
    /// `DF8115` Error Indication.
    @inlinable public static var errorIndication: Tag { Tag(0xDF8115) }
    /// `DF8116` User Interface Request Data.
    @inlinable public static var userInterfaceRequestData: Tag { Tag(0xDF8116) }
    /// `DF8117` Card Data Input Capability.
    @inlinable public static var cardDataInputCapability: Tag { Tag(0xDF8117) }
    /// `DF8118` CVM Capability - CVM Required.
    @inlinable public static var cvmCapabilityCVMRequired: Tag { Tag(0xDF8118) }
    /// `DF8119` CVM Capability - No CVM Required.
    @inlinable public static var cvmCapabilityNoCVMRequired: Tag { Tag(0xDF8119) }
    /// `DF811A` Default UDOL.
    @inlinable public static var defaultUDOL: Tag { Tag(0xDF811A) }
    /// `DF811B` Kernel Configuration.
    @inlinable public static var kernelConfiguration: Tag { Tag(0xDF811B) }
    /// `DF811C` Max Lifetime of Torn Transaction Log Record.
    @inlinable public static var maxLifetimeOfTornTransactionLogRecord: Tag { Tag(0xDF811C) }
    /// `DF811D` Max Number of Torn Transaction Log Records.
    @inlinable public static var maxNumberOfTornTransactionLogRecords: Tag { Tag(0xDF811D) }
    /// `DF811E` Mag-stripe CVM Capability - CVM Required.
    @inlinable public static var magStripeCVMCapabilityCVMRequired: Tag { Tag(0xDF811E) }
    /// `DF811F` Security Capability.
    @inlinable public static var securityCapability: Tag { Tag(0xDF811F) }
    /// `DF8120` Terminal Action Code - Default.
    @inlinable public static var terminalActionCodeDefault: Tag { Tag(0xDF8120) }
    /// `DF8121` Terminal Action Code - Denial.
    @inlinable public static var terminalActionCodeDenial: Tag { Tag(0xDF8121) }
    /// `DF8122` Terminal Action Code - Online.
    @inlinable public static var terminalActionCodeOnline: Tag { Tag(0xDF8122) }
    /// `DF8123` Reader Contactless Floor Limit.
    @inlinable public static var readerContactlessFloorLimit: Tag { Tag(0xDF8123) }
    /// `DF8124` Reader Contactless Transaction Limit (No On-device CVM).
    @inlinable public static var readerContactlessTransactionLimitNoOnDeviceCVM: Tag { Tag(0xDF8124) }
    /// `DF8125` Reader Contactless Transaction Limit (On-device CVM).
    @inlinable public static var readerContactlessTransactionLimitOnDeviceCVM: Tag { Tag(0xDF8125) }
    /// `DF8126` Reader CVM Required Limit.
    @inlinable public static var readerCVMRequiredLimit: Tag { Tag(0xDF8126) }
    /// `DF8127` Time Out Value.
    @inlinable public static var timeOutValue: Tag { Tag(0xDF8127) }
    /// `DF8128` IDS Status.
    @inlinable public static var idsStatus: Tag { Tag(0xDF8128) }
    /// `DF8129` Outcome Parameter Set.
    @inlinable public static var outcomeParameterSet: Tag { Tag(0xDF8129) }
    /// `DF812A` DD Card (Track1).
    @inlinable public static var ddCardTrack1: Tag { Tag(0xDF812A) }
    /// `DF812B` DD Card (Track2).
    @inlinable public static var ddCardTrack2: Tag { Tag(0xDF812B) }
    /// `DF812C` Mag-stripe CVM Capability - No CVM Required.
    @inlinable public static var magStripeCVMCapabilityNoCVMRequired: Tag { Tag(0xDF812C) }
    /// `DF812D` Message Hold Time.
    @inlinable public static var messageHoldTime: Tag { Tag(0xDF812D) }
    /// `DF8130` Hold Time Value.
    @inlinable public static var holdTimeValue: Tag { Tag(0xDF8130) }
    /// `DF8131` Phone Message Table.
    @inlinable public static var phoneMessageTable: Tag { Tag(0xDF8131) }
    /// `DF8132` Minimum Relay Resistance Grace Period.
    @inlinable public static var minimumRelayResistanceGracePeriod: Tag { Tag(0xDF8132) }
    /// `DF8133` Maximum Relay Resistance Grace Period.
    @inlinable public static var maximumRelayResistanceGracePeriod: Tag { Tag(0xDF8133) }
    /// `DF8134` Terminal Expected Transmission Time For Relay Resistance C-APDU.
    @inlinable public static var terminalExpectedTransmissionTimeForRelayResistanceCAPDU: Tag {
        Tag(0xDF8134)
    }
    /// `DF8135` Terminal Expected Transmission Time For Relay Resistance R-APDU.
    @inlinable public static var terminalExpectedTransmissionTimeForRelayResistanceRAPDU: Tag {
        Tag(0xDF8135)
    }
    /// `DF8136` Relay Resistance Accuracy Threshold.
    @inlinable public static var relayResistanceAccuracyThreshold: Tag { Tag(0xDF8136) }
    /// `DF8137` Relay Resistance Transmission Time Mismatch Threshold.
    @inlinable public static var relayResistanceTransmissionTimeMismatchThreshold: Tag { Tag(0xDF8137) }
    /// `DF8301` Terminal Relay Resistance Entropy.
    @inlinable public static var terminalRelayResistanceEntropy: Tag { Tag(0xDF8301) }
    /// `DF8302` Device Relay Resistance Entropy.
    @inlinable public static var deviceRelayResistanceEntropy: Tag { Tag(0xDF8302) }
    /// `DF8303` Min Time For Processing Relay Resistance APDU.
    @inlinable public static var minTimeForProcessingRelayResistanceAPDU: Tag { Tag(0xDF8303) }
    /// `DF8304` Max Time For Processing Relay Resistance APDU.
    @inlinable public static var maxTimeForProcessingRelayResistanceAPDU: Tag { Tag(0xDF8304) }
    /// `DF8305` Device Estimated Transmission Time For Relay Resistance R-APDU.
    @inlinable public static var deviceEstimatedTransmissionTimeForRelayResistanceRAPDU: Tag { Tag(0xDF8305) }
    /// `DF8306` Measured Relay Resistance Processing Time.
    @inlinable public static var measuredRelayResistanceProcessingTime: Tag { Tag(0xDF8306) }
    /// `DF8307` RRP Counter.
    @inlinable public static var rrpCounter: Tag { Tag(0xDF8307) }
    /// `FF8101` Torn Record.
    @inlinable public static var tornRecord: Tag { Tag(0xFF8101) }
    /// `FF8102` Tags To Write Before Gen AC.
    @inlinable public static var tagsToWriteBeforeGenAC: Tag { Tag(0xFF8102) }
    /// `FF8103` Tags To Write After Gen AC.
    @inlinable public static var tagsToWriteAfterGenAC: Tag { Tag(0xFF8103) }
    /// `FF8104` Data To Send.
    @inlinable public static var dataToSend: Tag { Tag(0xFF8104) }
    /// `FF8105` Data Record.
    @inlinable public static var dataRecord: Tag { Tag(0xFF8105) }
    /// `FF8106` Discretionary Data.
    @inlinable public static var discretionaryData: Tag { Tag(0xFF8106) }
}

// MARK: - Kernel 3 (Book C-3)
extension Tag {
    /// `9F50` Offline Accumulator Balance.
    @inlinable public static var visaOfflineAccumulatorBalance: Tag { Tag(0x9F50) }
    /// `9F51` Application Currency Code (card risk management).
    @inlinable public static var visaApplicationCurrencyCode: Tag { Tag(0x9F51) }
    /// `9F52` Application Default Action (ADA).
    @inlinable public static var applicationDefaultAction: Tag { Tag(0x9F52) }
    /// `9F53` Consecutive Transaction Counter International Limit (CTCIL).
    @inlinable public static var consecutiveTransactionCounterInternationalLimit: Tag { Tag(0x9F53) }
    /// `9F54` Cumulative Total Transaction Amount Limit (CTTAL).
    @inlinable public static var cumulativeTotalTransactionAmountLimit: Tag { Tag(0x9F54) }
    /// `9F55` Geographic Indicator.
    @inlinable public static var geographicIndicator: Tag { Tag(0x9F55) }
    /// `9F56` Issuer Authentication Indicator.
    @inlinable public static var issuerAuthenticationIndicator: Tag { Tag(0x9F56) }
    /// `9F57` Issuer Country Code (card risk management).
    @inlinable public static var visaIssuerCountryCode: Tag { Tag(0x9F57) }
    /// `9F58` Consecutive Transaction Counter Limit (CTCL).
    @inlinable public static var consecutiveTransactionCounterLimit: Tag { Tag(0x9F58) }
    /// `9F59` Consecutive Transaction Counter Upper Limit (CTCUL).
    @inlinable public static var consecutiveTransactionCounterUpperLimit: Tag { Tag(0x9F59) }
    /// `9F5A` Application Program Identifier (Program ID).
    @inlinable public static var applicationProgramIdentifier: Tag { Tag(0x9F5A) }
    /// `9F5B` Issuer Script Results.
    @inlinable public static var issuerScriptResults: Tag { Tag(0x9F5B) }
    /// `9F5C` Cumulative Total Transaction Amount Upper Limit (CTTAUL).
    @inlinable public static var cumulativeTotalTransactionAmountUpperLimit: Tag { Tag(0x9F5C) }
    /// `9F5D` Available Offline Spending Amount (AOSA).
    @inlinable public static var availableOfflineSpendingAmount: Tag { Tag(0x9F5D) }
    /// `9F5E` Consecutive Transaction International Upper Limit (CTIUL).
    @inlinable public static var consecutiveTransactionInternationalUpperLimit: Tag { Tag(0x9F5E) }
    /// `9F63` Offline Counter Initial Value.
    @inlinable public static var offlineCounterInitialValue: Tag { Tag(0x9F63) }
    /// `9F67` MSD Offset.
    @inlinable public static var msdOffset: Tag { Tag(0x9F67) }
    /// `9F68` Card Additional Processes (CAP).
    @inlinable public static var cardAdditionalProcesses: Tag { Tag(0x9F68) }
    /// `9F69` Card Authentication Related Data.
    @inlinable public static var cardAuthenticationRelatedData: Tag { Tag(0x9F69) }
    /// `9F6B` Card CVM Limit.
    @inlinable public static var cardCVMLimit: Tag { Tag(0x9F6B) }
    /// `9F6C` Card Transaction Qualifiers (CTQ).
    @inlinable public static var cardTransactionQualifiers: Tag { Tag(0x9F6C) }
    /// `9F6D` VLP Reset Threshold.
    @inlinable public static var vlpResetThreshold: Tag { Tag(0x9F6D) }
    /// `9F6E` Form Factor Indicator (FFI).
    @inlinable public static var formFactorIndicator: Tag { Tag(0x9F6E) }
    /// `9F72` Consecutive Transaction Counter International Country Limit (CTCICL).
    @inlinable public static var consecutiveTransactionCounterInternationalCountryLimit: Tag { Tag(0x9F72) }
    /// `9F73` Currency Conversion Parameters.
    @inlinable public static var currencyConversionParameters: Tag { Tag(0x9F73) }
    /// `9F75` Cumulative Total Transaction Amount Limit - Dual Currency (CTTALDC).
    @inlinable public static var cumulativeTotalTransactionAmountLimitDualCurrency: Tag { Tag(0x9F75) }
    /// `9F76` Secondary Application Currency Code.
    @inlinable public static var secondaryApplicationCurrencyCode: Tag { Tag(0x9F76) }
    /// `9F77` VLP Funds Limit.
    @inlinable public static var vlpFundsLimit: Tag { Tag(0x9F77) }
    /// `9F78` VLP Single Transaction Limit.
    @inlinable public static var vlpSingleTransactionLimit: Tag { Tag(0x9F78) }
    /// `9F79` VLP Available Funds.
    @inlinable public static var vlpAvailableFunds: Tag { Tag(0x9F79) }
    /// `9F7A` VLP Terminal Support Indicator.
    @inlinable public static var vlpTerminalSupportIndicator: Tag { Tag(0x9F7A) }
    /// `9F7B` VLP Terminal Transaction Limit.
    @inlinable public static var vlpTerminalTransactionLimit: Tag { Tag(0x9F7B) }
    /// `9F7C` Customer Exclusive Data (CED).
    @inlinable public static var customerExclusiveData: Tag { Tag(0x9F7C) }
    /// `9F7E` Application Life Cycle Data.
    @inlinable public static var applicationLifeCycleData: Tag { Tag(0x9F7E) }
    /// `9F7F` Card Production Life Cycle (CPLC) Data.
    @inlinable public static var cardProductionLifeCycleData: Tag { Tag(0x9F7F) }
    /// `DF60` Log Entry (Visa).
    @inlinable public static var visaLogEntry: Tag { Tag(0xDF60) }
    /// `BF50` Visa Fleet Template.
    @inlinable public static var visaFleetTemplate: Tag { Tag(0xBF50) }
    /// `BF55` Contactless Counters Data Template.
    @inlinable public static var contactlessCountersDataTemplate: Tag { Tag(0xBF55) }
    /// `BF56` Counters Data Template.
    @inlinable public static var countersDataTemplate: Tag { Tag(0xBF56) }
    /// `BF57` International Counters Data Template.
    @inlinable public static var internationalCountersDataTemplate: Tag { Tag(0xBF57) }
    /// `BF58` Amounts Data Template.
    @inlinable public static var amountsDataTemplate: Tag { Tag(0xBF58) }
    /// `BF59` Profile Controls Template.
    @inlinable public static var profileControlsTemplate: Tag { Tag(0xBF59) }
    /// `BF5A` AIP/AFL Entries Template.
    @inlinable public static var aipAFLEntriesTemplate: Tag { Tag(0xBF5A) }
    /// `BF5B` Application Internal Data Template.
    @inlinable public static var applicationInternalDataTemplate: Tag { Tag(0xBF5B) }
    /// `BF60` Integrated Data Storage Record Update Template.
    @inlinable public static var idsRecordUpdateTemplate: Tag { Tag(0xBF60) }
}

// MARK: - M/Chip (contact card data)
extension Tag {
    /// `9F7E` Application Life Cycle Data (M/Chip).
    @inlinable public static var mchipApplicationLifeCycleData: Tag { Tag(0x9F7E) }
    /// `C3` Card Issuer Action Code - Decline.
    @inlinable public static var mchipCardIssuerActionCodeDecline: Tag { Tag(0xC3) }
    /// `C4` Card Issuer Action Code - Default.
    @inlinable public static var mchipCardIssuerActionCodeDefault: Tag { Tag(0xC4) }
    /// `C5` Card Issuer Action Code - Online.
    @inlinable public static var mchipCardIssuerActionCodeOnline: Tag { Tag(0xC5) }
    /// `C6` PIN Try Limit.
    @inlinable public static var mchipPINTryLimit: Tag { Tag(0xC6) }
    /// `C7` CDOL 1 Related Data Length.
    @inlinable public static var mchipCDOL1RelatedDataLength: Tag { Tag(0xC7) }
    /// `C8` Card Risk Management Country Code.
    @inlinable public static var mchipCRMCountryCode: Tag { Tag(0xC8) }
    /// `C9` Card Risk Management Currency Code.
    @inlinable public static var mchipCRMCurrencyCode: Tag { Tag(0xC9) }
    /// `CA` Lower Cumulative Offline Transaction Amount.
    @inlinable public static var mchipLowerCumulativeOfflineTransactionAmount: Tag { Tag(0xCA) }
    /// `CB` Upper Cumulative Offline Transaction Amount.
    @inlinable public static var mchipUpperCumulativeOfflineTransactionAmount: Tag { Tag(0xCB) }
    /// `CD` Card Issuer Action Code (contactless) - Default.
    @inlinable public static var paypassCardIssuerActionCodeDefault: Tag { Tag(0xCD) }
    /// `CE` Card Issuer Action Code (contactless) - Online.
    @inlinable public static var paypassCardIssuerActionCodeOnline: Tag { Tag(0xCE) }
    /// `CF` Card Issuer Action Code (contactless) - Decline.
    @inlinable public static var paypassCardIssuerActionCodeDecline: Tag { Tag(0xCF) }
    /// `D1` Currency Conversion Table.
    @inlinable public static var mchipCurrencyConversionTable: Tag { Tag(0xD1) }
    /// `D3` Additional Check Table.
    @inlinable public static var mchipAdditionalCheckTable: Tag { Tag(0xD3) }
    /// `D5` Application Control.
    @inlinable public static var mchipApplicationControl: Tag { Tag(0xD5) }
    /// `D6` Default ARPC Response Code.
    @inlinable public static var mchipDefaultARPCResponseCode: Tag { Tag(0xD6) }
    /// `D7` Application Control (contactless).
    @inlinable public static var paypassApplicationControl: Tag { Tag(0xD7) }
    /// `D8` Application Interchange Profile (contactless).
    @inlinable public static var paypassApplicationInterchangeProfile: Tag { Tag(0xD8) }
    /// `D9` Application File Locator (contactless).
    @inlinable public static var paypassApplicationFileLocator: Tag { Tag(0xD9) }
    /// `DA` Static CVC3 (Track1).
    @inlinable public static var paypassStaticCVC3Track1: Tag { Tag(0xDA) }
    /// `DB` Static CVC3 (Track2).
    @inlinable public static var paypassStaticCVC3Track2: Tag { Tag(0xDB) }
    /// `DC` IVCVC3 (Track1).
    @inlinable public static var paypassIVCVC3Track1: Tag { Tag(0xDC) }
    /// `DD` IVCVC3 (Track2).
    @inlinable public static var paypassIVCVC3Track2: Tag { Tag(0xDD) }
    /// `DE` Log Data Table.
    @inlinable public static var mchipLogDataTable: Tag { Tag(0xDE) }
    /// `DF01` Previous Transaction History.
    @inlinable public static var mchipPreviousTransactionHistory: Tag { Tag(0xDF01) }
    /// `DF02` Security Limits Status.
    @inlinable public static var mchipSecurityLimitsStatus: Tag { Tag(0xDF02) }
}

// MARK: - Kernel 4 (Book C-4)
extension Tag {
    /// `9F5A` Membership Product Identifier.
    @inlinable public static var membershipProductIdentifier: Tag { Tag(0x9F5A) }
    /// `9F5B` Product Membership Number.
    @inlinable public static var productMembershipNumber: Tag { Tag(0x9F5B) }
    /// `9F67` Form Factor.
    @inlinable public static var amexFormFactor: Tag { Tag(0x9F67) }
    /// `9F6D` Contactless Reader Capabilities.
    @inlinable public static var contactlessReaderCapabilities: Tag { Tag(0x9F6D) }
    /// `9F6E` Enhanced Contactless Reader Capabilities.
    @inlinable public static var enhancedContactlessReaderCapabilities: Tag { Tag(0x9F6E) }
    /// `9F70` Card Interface and Payment Capabilities.
    @inlinable public static var cardInterfaceAndPaymentCapabilities: Tag { Tag(0x9F70) }
    /// `9F71` Mobile CVM Results.
    @inlinable public static var mobileCVMResults: Tag { Tag(0x9F71) }
}

// MARK: - Kernel 5 (Book C-5)
extension Tag {
    /// `9F50` Cardholder Verification Status.
    @inlinable public static var cardholderVerificationStatus: Tag { Tag(0x9F50) }
    /// `9F52` Terminal Compatibility Indicator.
    @inlinable public static var terminalCompatibilityIndicator: Tag { Tag(0x9F52) }
    /// `9F53` Terminal Interchange Profile.
    @inlinable public static var terminalInterchangeProfile: Tag { Tag(0x9F53) }
    /// `9F60` Issuer Update Parameter.
    @inlinable public static var issuerUpdateParameter: Tag { Tag(0x9F60) }
    /// `9F5F` Offline Balance.
    @inlinable public static var offlineBalance: Tag { Tag(0x9F5F) }
    /// `9F7C` Partner Discretionary Data.
    @inlinable public static var partnerDiscretionaryData: Tag { Tag(0x9F7C) }
    /// `9F70` Protected Data Envelope 1.
    @inlinable public static var jcbProtectedDataEnvelope1: Tag { Tag(0x9F70) }
    /// `9F71` Protected Data Envelope 2.
    @inlinable public static var jcbProtectedDataEnvelope2: Tag { Tag(0x9F71) }
    /// `9F72` Protected Data Envelope 3.
    @inlinable public static var jcbProtectedDataEnvelope3: Tag { Tag(0x9F72) }
    /// `9F73` Protected Data Envelope 4.
    @inlinable public static var jcbProtectedDataEnvelope4: Tag { Tag(0x9F73) }
    /// `9F74` Protected Data Envelope 5.
    @inlinable public static var jcbProtectedDataEnvelope5: Tag { Tag(0x9F74) }
    /// `9F75` Unprotected Data Envelope 1.
    @inlinable public static var jcbUnprotectedDataEnvelope1: Tag { Tag(0x9F75) }
    /// `9F76` Unprotected Data Envelope 2.
    @inlinable public static var jcbUnprotectedDataEnvelope2: Tag { Tag(0x9F76) }
    /// `9F77` Unprotected Data Envelope 3.
    @inlinable public static var jcbUnprotectedDataEnvelope3: Tag { Tag(0x9F77) }
    /// `9F78` Unprotected Data Envelope 4.
    @inlinable public static var jcbUnprotectedDataEnvelope4: Tag { Tag(0x9F78) }
    /// `9F79` Unprotected Data Envelope 5.
    @inlinable public static var jcbUnprotectedDataEnvelope5: Tag { Tag(0x9F79) }
}

// MARK: - Kernel 6 (Book C-6)
extension Tag {
    /// `9F71` Card Processing Requirements (CPR).
    @inlinable public static var cardProcessingRequirements: Tag { Tag(0x9F71) }
    /// `9F7C` Customer Exclusive Data.
    @inlinable public static var discoverCustomerExclusiveData: Tag { Tag(0x9F7C) }
    /// `9F5B` Issuer Script Results.
    @inlinable public static var discoverIssuerScriptResults: Tag { Tag(0x9F5B) }
    /// `DF30` CRM Card Action Code - Switch Interface.
    @inlinable public static var dpasCardActionCodeSwitchInterface: Tag { Tag(0xDF30) }
    /// `DF31` CRM Card Action Code - Denial.
    @inlinable public static var dpasCardActionCodeDenial: Tag { Tag(0xDF31) }
    /// `DF32` CRM Card Action Code - Online.
    @inlinable public static var dpasCardActionCodeOnline: Tag { Tag(0xDF32) }
    /// `DF33` CRM Card Action Code - Default.
    @inlinable public static var dpasCardActionCodeDefault: Tag { Tag(0xDF33) }
    /// `DF34` CVM Card Action Code - Online PIN.
    @inlinable public static var dpasCVMCardActionCodeOnlinePIN: Tag { Tag(0xDF34) }
    /// `DF35` CVM Card Action Code - Signature.
    @inlinable public static var dpasCVMCardActionCodeSignature: Tag { Tag(0xDF35) }
    /// `DF3C` Extended Logging Data.
    @inlinable public static var dpasExtendedLoggingData: Tag { Tag(0xDF3C) }
}

// MARK: - Kernel 7 (Book C-7)
extension Tag {
    /// `9F51` Application Currency Code (card risk management).
    @inlinable public static var unionPayApplicationCurrencyCode: Tag { Tag(0x9F51) }
    /// `9F5D` Available Offline Spending Amount.
    @inlinable public static var unionPayAvailableOfflineSpendingAmount: Tag { Tag(0x9F5D) }
    /// `9F61` Cardholder ID Number.
    @inlinable public static var cardholderIDNumber: Tag { Tag(0x9F61) }
    /// `9F62` Cardholder ID Type.
    @inlinable public static var cardholderIDType: Tag { Tag(0x9F62) }
    /// `9F63` Product Identification Information.
    @inlinable public static var productIdentificationInformation: Tag { Tag(0x9F63) }
    /// `9F6D` Electronic Cash Reset Threshold.
    @inlinable public static var electronicCashResetThreshold: Tag { Tag(0x9F6D) }
    /// `9F74` Electronic Cash Issuer Authorisation Code.
    @inlinable public static var electronicCashIssuerAuthorisationCode: Tag { Tag(0x9F74) }
    /// `9F77` Electronic Cash Balance Limit.
    @inlinable public static var electronicCashBalanceLimit: Tag { Tag(0x9F77) }
    /// `9F78` Electronic Cash Single Transaction Limit.
    @inlinable public static var electronicCashSingleTransactionLimit: Tag { Tag(0x9F78) }
    /// `9F79` Electronic Cash Balance.
    @inlinable public static var electronicCashBalance: Tag { Tag(0x9F79) }
    /// `9F7A` Electronic Cash Terminal Support Indicator.
    @inlinable public static var electronicCashTerminalSupportIndicator: Tag { Tag(0x9F7A) }
    /// `9F7B` Electronic Cash Terminal Transaction Limit.
    @inlinable public static var electronicCashTerminalTransactionLimit: Tag { Tag(0x9F7B) }
    /// `DF31` Issuer Script Results.
    @inlinable public static var unionPayIssuerScriptResults: Tag { Tag(0xDF31) }
    /// `DF32` Chip Processing Result.
    @inlinable public static var unionPayChipProcessResult: Tag { Tag(0xDF32) }
    /// `DF60` CAPP Transaction Indicator.
    @inlinable public static var cappTransactionIndicator: Tag { Tag(0xDF60) }
    /// `DF61` Segmented Deduction Indicator.
    @inlinable public static var segmentedDeductionIndicator: Tag { Tag(0xDF61) }
    /// `DF62` Electronic Cash Segmented Deduction Limit.
    @inlinable public static var segmentedDeductionLimit: Tag { Tag(0xDF62) }
    /// `DF63` Electronic Cash Segmented Deduction Deducted Amount.
    @inlinable public static var segmentedDeductionDeductedAmount: Tag { Tag(0xDF63) }
    /// `DF69` SM Algorithm Support Indicator.
    @inlinable public static var smAlgorithmSupportIndicator: Tag { Tag(0xDF69) }
    /// `DF71` Electronic Cash Second Currency Code.
    @inlinable public static var electronicCashSecondCurrencyCode: Tag { Tag(0xDF71) }
    /// `DF72` Electronic Cash Second Currency Reset Threshold.
    @inlinable public static var electronicCashSecondCurrencyResetThreshold: Tag { Tag(0xDF72) }
    /// `DF77` Electronic Cash Second Currency Balance Limit.
    @inlinable public static var electronicCashSecondCurrencyBalanceLimit: Tag { Tag(0xDF77) }
    /// `DF78` Electronic Cash Second Currency Single Transaction Limit.
    @inlinable public static var electronicCashSecondCurrencySingleTransactionLimit: Tag { Tag(0xDF78) }
    /// `DF79` Electronic Cash Second Currency Balance.
    @inlinable public static var electronicCashSecondCurrencyBalance: Tag { Tag(0xDF79) }
}

// MARK: - Interac
extension Tag {
    /// `9F58` Merchant Type Indicator.
    @inlinable public static var merchantTypeIndicator: Tag { Tag(0x9F58) }
    /// `9F59` Terminal Transaction Information (TTI).
    @inlinable public static var terminalTransactionInformation: Tag { Tag(0x9F59) }
    /// `9F5A` Terminal Transaction Type (TTT).
    @inlinable public static var terminalTransactionType: Tag { Tag(0x9F5A) }
    /// `9F5E` Terminal Option Status (TOS).
    @inlinable public static var terminalOptionStatus: Tag { Tag(0x9F5E) }
    /// `DF62` Application Selection Flag (ASF).
    @inlinable public static var applicationSelectionFlag: Tag { Tag(0xDF62) }
}

// MARK: - Kernel 8 (Book C-8)
extension Tag {
    /// `9E` Kernel Key Data.
    @inlinable public static var kernelKeyData: Tag { Tag(0x9E) }
    /// `9F2B` Kernel Qualifier.
    @inlinable public static var kernelQualifier: Tag { Tag(0x9F2B) }
    /// `9F2C` Card Qualifier.
    @inlinable public static var cardQualifier: Tag { Tag(0x9F2C) }
    /// `9F8102` Cardholder Verification Decision.
    @inlinable public static var cardholderVerificationDecision: Tag { Tag(0x9F8102) }
    /// `9F8103` Card Key Data.
    @inlinable public static var cardKeyData: Tag { Tag(0x9F8103) }
    /// `9F8104` Card TVR.
    @inlinable public static var cardTVR: Tag { Tag(0x9F8104) }
    /// `9F8105` Enhanced Data Authentication MAC.
    @inlinable public static var enhancedDataAuthenticationMAC: Tag { Tag(0x9F8105) }
    /// `9F8106` Authenticated Application Data.
    @inlinable public static var authenticatedApplicationData: Tag { Tag(0x9F8106) }
    /// `9F8107` IAD MAC Offset.
    @inlinable public static var iadMACOffset: Tag { Tag(0x9F8107) }
    /// `9F8108` Restart Indicator.
    @inlinable public static var restartIndicator: Tag { Tag(0x9F8108) }
    /// `9F8109` Issuer Application Data MAC.
    @inlinable public static var issuerApplicationDataMAC: Tag { Tag(0x9F8109) }
    /// `9F810A` Extended SDA Tag List.
    @inlinable public static var extendedSDATagList: Tag { Tag(0x9F810A) }
    /// `9F810B` ICC ECC Public Key (for RSA Certificates).
    @inlinable public static var iccECCPublicKeyForRSACertificates: Tag { Tag(0x9F810B) }
    /// `9F810C` Relay Resistance Time Excess.
    @inlinable public static var relayResistanceTimeExcess: Tag { Tag(0x9F810C) }
    /// `9F810D` Card Capabilities Information.
    @inlinable public static var cardCapabilitiesInformation: Tag { Tag(0x9F810D) }
    /// `9F8111` Data Envelope 1.
    @inlinable public static var dataEnvelope1: Tag { Tag(0x9F8111) }
    /// `9F8112` Data Envelope 2.
    @inlinable public static var dataEnvelope2: Tag { Tag(0x9F8112) }
    /// `9F8113` Data Envelope 3.
    @inlinable public static var dataEnvelope3: Tag { Tag(0x9F8113) }
    /// `9F8114` Data Envelope 4.
    @inlinable public static var dataEnvelope4: Tag { Tag(0x9F8114) }
    /// `9F8115` Data Envelope 5.
    @inlinable public static var dataEnvelope5: Tag { Tag(0x9F8115) }
    /// `9F8116` Data Envelope 6.
    @inlinable public static var dataEnvelope6: Tag { Tag(0x9F8116) }
    /// `9F8117` Data Envelope 7.
    @inlinable public static var dataEnvelope7: Tag { Tag(0x9F8117) }
    /// `9F8118` Data Envelope 8.
    @inlinable public static var dataEnvelope8: Tag { Tag(0x9F8118) }
    /// `9F8119` Data Envelope 9.
    @inlinable public static var dataEnvelope9: Tag { Tag(0x9F8119) }
    /// `9F811A` Data Envelope 10.
    @inlinable public static var dataEnvelope10: Tag { Tag(0x9F811A) }
    /// `9F8201` Data Needed.
    @inlinable public static var kernel8DataNeeded: Tag { Tag(0x9F8201) }
    /// `9F8202` Proceed To First Write Flag.
    @inlinable public static var kernel8ProceedToFirstWriteFlag: Tag { Tag(0x9F8202) }
    /// `9F8203` Tags To Read.
    @inlinable public static var kernel8TagsToRead: Tag { Tag(0x9F8203) }
    /// `9F8204` Error Indication.
    @inlinable public static var kernel8ErrorIndication: Tag { Tag(0x9F8204) }
    /// `9F8205` User Interface Request Data 1.
    @inlinable public static var userInterfaceRequestData1: Tag { Tag(0x9F8205) }
    /// `9F8206` Card Data Input Capability.
    @inlinable public static var kernel8CardDataInputCapability: Tag { Tag(0x9F8206) }
    /// `9F8207` CVM Capability - CVM Required.
    @inlinable public static var kernel8CVMCapabilityCVMRequired: Tag { Tag(0x9F8207) }
    /// `9F8208` CVM Capability - No CVM Required.
    @inlinable public static var kernel8CVMCapabilityNoCVMRequired: Tag { Tag(0x9F8208) }
    /// `9F8209` Kernel Configuration.
    @inlinable public static var kernel8KernelConfiguration: Tag { Tag(0x9F8209) }
    /// `9F820A` Security Capability.
    @inlinable public static var kernel8SecurityCapability: Tag { Tag(0x9F820A) }
    /// `9F820B` Terminal Action Code - Denial.
    @inlinable public static var kernel8TerminalActionCodeDenial: Tag { Tag(0x9F820B) }
    /// `9F820C` Terminal Action Code - Online.
    @inlinable public static var kernel8TerminalActionCodeOnline: Tag { Tag(0x9F820C) }
    /// `9F820D` Reader Contactless Floor Limit.
    @inlinable public static var kernel8ReaderContactlessFloorLimit: Tag { Tag(0x9F820D) }
    /// `9F820E` Reader CVM Required Limit.
    @inlinable public static var kernel8ReaderCVMRequiredLimit: Tag { Tag(0x9F820E) }
    /// `9F820F` Timeout Value.
    @inlinable public static var kernel8TimeoutValue: Tag { Tag(0x9F820F) }
    /// `9F8210` Outcome Parameter Set.
    @inlinable public static var kernel8OutcomeParameterSet: Tag { Tag(0x9F8210) }
    /// `9F8211` Message Hold Time.
    @inlinable public static var kernel8MessageHoldTime: Tag { Tag(0x9F8211) }
    /// `9F8212` Hold Time Value.
    @inlinable public static var kernel8HoldTimeValue: Tag { Tag(0x9F8212) }
    /// `9F8213` Minimum Relay Resistance Grace Period.
    @inlinable public static var kernel8MinimumRelayResistanceGracePeriod: Tag { Tag(0x9F8213) }
    /// `9F8214` Maximum Relay Resistance Grace Period.
    @inlinable public static var kernel8MaximumRelayResistanceGracePeriod: Tag { Tag(0x9F8214) }
    /// `9F8215` Terminal Expected Transmission Time For Relay Resistance C-APDU.
    @inlinable public static var kernel8TerminalExpectedTransmissionTimeForRelayResistanceCAPDU: Tag {
        Tag(0x9F8215)
    }
    /// `9F8216` Terminal Expected Transmission Time For Relay Resistance R-APDU.
    @inlinable public static var kernel8TerminalExpectedTransmissionTimeForRelayResistanceRAPDU: Tag {
        Tag(0x9F8216)
    }
    /// `9F8217` Relay Resistance Accuracy Threshold.
    @inlinable public static var kernel8RelayResistanceAccuracyThreshold: Tag { Tag(0x9F8217) }
    /// `9F8218` Relay Resistance Transmission Time Mismatch Threshold.
    @inlinable public static var kernel8RelayResistanceTransmissionTimeMismatchThreshold: Tag {
        Tag(0x9F8218)
    }
    /// `9F8219` User Interface Request Data 2.
    @inlinable public static var userInterfaceRequestData2: Tag { Tag(0x9F8219) }
    /// `9F821A` Kernel Reserved TVR Mask.
    @inlinable public static var kernelReservedTVRMask: Tag { Tag(0x9F821A) }
    /// `9F821B` Write Data Status.
    @inlinable public static var writeDataStatus: Tag { Tag(0x9F821B) }
    /// `9F821C` Read Data Status.
    @inlinable public static var readDataStatus: Tag { Tag(0x9F821C) }
    /// `9F821D` Message Identifiers On Restart.
    @inlinable public static var messageIdentifiersOnRestart: Tag { Tag(0x9F821D) }
    /// `9F821E` Default IAD MAC Offset.
    @inlinable public static var defaultIADMACOffset: Tag { Tag(0x9F821E) }
    /// `9F821F` Discretionary Data Tag List.
    @inlinable public static var discretionaryDataTagList: Tag { Tag(0x9F821F) }
    /// `9F8220` Default CDOL1.
    @inlinable public static var defaultCDOL1: Tag { Tag(0x9F8220) }
    /// `9F8221` Tag Mapping List.
    @inlinable public static var tagMappingList: Tag { Tag(0x9F8221) }
    /// `BF8101` Data To Send.
    @inlinable public static var kernel8DataToSend: Tag { Tag(0xBF8101) }
    /// `BF8102` Data Record.
    @inlinable public static var kernel8DataRecord: Tag { Tag(0xBF8102) }
    /// `BF8103` Discretionary Data.
    @inlinable public static var kernel8DiscretionaryData: Tag { Tag(0xBF8103) }
    /// `BF8104` Data Envelopes To Write.
    @inlinable public static var dataEnvelopesToWrite: Tag { Tag(0xBF8104) }
}

// MARK: - ISO interindustry
extension Tag {
    /// `06` Object Identifier (OID).
    @inlinable public static var objectIdentifier: Tag { Tag(0x06) }
    /// `41` Country Code and National Data.
    @inlinable public static var countryCodeAndNationalData: Tag { Tag(0x41) }
    /// `43` Card Service Data.
    @inlinable public static var cardServiceData: Tag { Tag(0x43) }
    /// `44` Initial Access Data.
    @inlinable public static var initialAccessData: Tag { Tag(0x44) }
    /// `45` Card Issuer's Data.
    @inlinable public static var cardIssuersData: Tag { Tag(0x45) }
    /// `46` Pre-issuing Data.
    @inlinable public static var preIssuingData: Tag { Tag(0x46) }
    /// `47` Card Capabilities.
    @inlinable public static var cardCapabilities: Tag { Tag(0x47) }
    /// `48` Status Information.
    @inlinable public static var statusInformation: Tag { Tag(0x48) }
    /// `49` Application Family Identifier.
    @inlinable public static var applicationFamilyIdentifier: Tag { Tag(0x49) }
    /// `4D` Extended Header List.
    @inlinable public static var extendedHeaderList: Tag { Tag(0x4D) }
    /// `51` File Reference (Path).
    @inlinable public static var fileReference: Tag { Tag(0x51) }
    /// `52` Command to Perform.
    @inlinable public static var commandToPerform: Tag { Tag(0x52) }
    /// `53` Discretionary Data.
    @inlinable public static var discretionaryDataInterindustry: Tag { Tag(0x53) }
    /// `54` Offset Data Object.
    @inlinable public static var offsetDataObject: Tag { Tag(0x54) }
    /// `58` Track 3 (card).
    @inlinable public static var track3Card: Tag { Tag(0x58) }
    /// `59` Card Expiration Date.
    @inlinable public static var cardExpirationDate: Tag { Tag(0x59) }
    /// `5B` Name (of an individual).
    @inlinable public static var holderName: Tag { Tag(0x5B) }
    /// `5C` Tag List.
    @inlinable public static var tagList: Tag { Tag(0x5C) }
    /// `5D` Header List (tag and length list).
    @inlinable public static var headerList: Tag { Tag(0x5D) }
    /// `5E` Proprietary Login Data.
    @inlinable public static var proprietaryLoginData: Tag { Tag(0x5E) }
    /// `62` File Control Parameters (FCP) Template.
    @inlinable public static var fcpTemplate: Tag { Tag(0x62) }
    /// `63` Wrapper.
    @inlinable public static var wrapper: Tag { Tag(0x63) }
    /// `64` File Management Data (FMD) Template.
    @inlinable public static var fmdTemplate: Tag { Tag(0x64) }
    /// `65` Cardholder Related Data.
    @inlinable public static var cardholderRelatedData: Tag { Tag(0x65) }
    /// `66` Card Data Template.
    @inlinable public static var cardData: Tag { Tag(0x66) }
    /// `67` Authentication Data.
    @inlinable public static var authenticationData: Tag { Tag(0x67) }
    /// `68` Special User Requirements.
    @inlinable public static var specialUserRequirements: Tag { Tag(0x68) }
    /// `6A` Login Template.
    @inlinable public static var loginTemplate: Tag { Tag(0x6A) }
    /// `6B` Qualified Name Template.
    @inlinable public static var qualifiedNameTemplate: Tag { Tag(0x6B) }
    /// `6C` Cardholder Image Template.
    @inlinable public static var cardholderImageTemplate: Tag { Tag(0x6C) }
    /// `6D` Application Image Template.
    @inlinable public static var applicationImageTemplate: Tag { Tag(0x6D) }
    /// `6E` Application Related Data.
    @inlinable public static var applicationRelatedData: Tag { Tag(0x6E) }
    /// `78` Compatible Tag Allocation Authority.
    @inlinable public static var compatibleTagAllocationAuthority: Tag { Tag(0x78) }
    /// `79` Coexistent Tag Allocation Authority.
    @inlinable public static var coexistentTagAllocationAuthority: Tag { Tag(0x79) }
    /// `7A` Security Support Template.
    @inlinable public static var securitySupportTemplate: Tag { Tag(0x7A) }
    /// `7B` Security Environment Template.
    @inlinable public static var securityEnvironmentTemplate: Tag { Tag(0x7B) }
    /// `7D` Secure Messaging Template.
    @inlinable public static var secureMessagingTemplate: Tag { Tag(0x7D) }
    /// `7E` Interindustry Data Object Nesting Template.
    @inlinable public static var interindustryDataObjectTemplate: Tag { Tag(0x7E) }
    /// `80` Number of Data Bytes in the File.
    @inlinable public static var fcpNumberOfDataBytes: Tag { Tag(0x80) }
    /// `81` Number of Data Bytes in the File, with structure.
    @inlinable public static var fcpNumberOfDataBytesWithStructure: Tag { Tag(0x81) }
    /// `82` File Descriptor.
    @inlinable public static var fcpFileDescriptor: Tag { Tag(0x82) }
    /// `83` File Identifier.
    @inlinable public static var fcpFileIdentifier: Tag { Tag(0x83) }
    /// `85` Proprietary Information.
    @inlinable public static var fcpProprietaryInformation: Tag { Tag(0x85) }
    /// `86` Security Attribute (proprietary).
    @inlinable public static var fcpSecurityAttributesProprietary: Tag { Tag(0x86) }
    /// `87` Identifier of an EF with more File Control Information.
    @inlinable public static var fcpExtendedFileControlInformation: Tag { Tag(0x87) }
    /// `88` Short EF Identifier.
    @inlinable public static var fcpShortEFIdentifier: Tag { Tag(0x88) }
    /// `8A` Life Cycle Status Byte.
    @inlinable public static var fcpLifeCycleStatus: Tag { Tag(0x8A) }
    /// `8B` Security Attribute (reference to expanded format).
    @inlinable public static var fcpSecurityAttributesExpanded: Tag { Tag(0x8B) }
    /// `8C` Security Attribute (compact format).
    @inlinable public static var fcpSecurityAttributesCompact: Tag { Tag(0x8C) }
    /// `8D` Identifier of an EF with Security Environment Templates.
    @inlinable public static var fcpSecurityEnvironmentIdentifier: Tag { Tag(0x8D) }
    /// `8E` Channel Security Attribute.
    @inlinable public static var fcpChannelSecurityAttribute: Tag { Tag(0x8E) }
    /// `A0` Security Attribute Template for Data Objects.
    @inlinable public static var fcpSecurityAttributesDataObjects: Tag { Tag(0xA0) }
    /// `A2` EF References Template.
    @inlinable public static var fcpShortEFReferences: Tag { Tag(0xA2) }
    /// `AB` Security Attribute Template in expanded format.
    @inlinable public static var fcpSecurityAttributesExpandedTemplate: Tag { Tag(0xAB) }
    /// `AC` Cryptographic Mechanism Identifier Template.
    @inlinable public static var cryptographicMechanismTemplate: Tag { Tag(0xAC) }
    /// `5F21` Track 1 (card).
    @inlinable public static var track1Card: Tag { Tag(0x5F21) }
    /// `5F22` Track 2 (card).
    @inlinable public static var track2Card: Tag { Tag(0x5F22) }
    /// `5F23` Track 3 (application).
    @inlinable public static var track3Application: Tag { Tag(0x5F23) }
    /// `5F26` Card Effective Date.
    @inlinable public static var cardEffectiveDate: Tag { Tag(0x5F26) }
    /// `5F27` Interchange Control.
    @inlinable public static var interchangeControl: Tag { Tag(0x5F27) }
    /// `5F29` Interchange Profile.
    @inlinable public static var interchangeProfile: Tag { Tag(0x5F29) }
    /// `5F2B` Date of Birth.
    @inlinable public static var dateOfBirth: Tag { Tag(0x5F2B) }
    /// `5F2C` Cardholder Nationality.
    @inlinable public static var cardholderNationality: Tag { Tag(0x5F2C) }
    /// `5F2E` Biometric Data Block.
    @inlinable public static var biometricDataBlock: Tag { Tag(0x5F2E) }
    /// `5F2F` PIN Usage Policy.
    @inlinable public static var pinUsagePolicy: Tag { Tag(0x5F2F) }
    /// `5F31` Transaction Counter.
    @inlinable public static var transactionCounterInterindustry: Tag { Tag(0x5F31) }
    /// `5F32` Transaction Date (interindustry).
    @inlinable public static var transactionDateInterindustry: Tag { Tag(0x5F32) }
    /// `5F33` Card Sequence Number.
    @inlinable public static var cardSequenceNumber: Tag { Tag(0x5F33) }
    /// `5F35` Sex (ISO 5218).
    @inlinable public static var sexInterindustry: Tag { Tag(0x5F35) }
    /// `5F37` Static Internal Authentication (one step).
    @inlinable public static var staticInternalAuthenticationOneStep: Tag { Tag(0x5F37) }
    /// `5F38` Static Internal Authentication - First Associated Data.
    @inlinable public static var staticInternalAuthenticationFirst: Tag { Tag(0x5F38) }
    /// `5F39` Static Internal Authentication - Second Associated Data.
    @inlinable public static var staticInternalAuthenticationSecond: Tag { Tag(0x5F39) }
    /// `5F3A` Dynamic Internal Authentication.
    @inlinable public static var dynamicInternalAuthentication: Tag { Tag(0x5F3A) }
    /// `5F3B` Dynamic External Authentication.
    @inlinable public static var dynamicExternalAuthentication: Tag { Tag(0x5F3B) }
    /// `5F3C` Dynamic Mutual Authentication.
    @inlinable public static var dynamicMutualAuthentication: Tag { Tag(0x5F3C) }
    /// `5F40` Cardholder Portrait Image.
    @inlinable public static var cardholderPortraitImage: Tag { Tag(0x5F40) }
    /// `5F41` Element List.
    @inlinable public static var elementList: Tag { Tag(0x5F41) }
    /// `5F42` Address.
    @inlinable public static var address: Tag { Tag(0x5F42) }
    /// `5F43` Handwritten Signature Image.
    @inlinable public static var handwrittenSignatureImage: Tag { Tag(0x5F43) }
    /// `5F44` Application Image.
    @inlinable public static var applicationImage: Tag { Tag(0x5F44) }
    /// `5F45` Display Message.
    @inlinable public static var displayMessage: Tag { Tag(0x5F45) }
    /// `5F46` Timer.
    @inlinable public static var timer: Tag { Tag(0x5F46) }
    /// `5F47` Message Reference.
    @inlinable public static var messageReference: Tag { Tag(0x5F47) }
    /// `5F48` Cardholder Private Key.
    @inlinable public static var cardholderPrivateKey: Tag { Tag(0x5F48) }
    /// `5F49` Cardholder Public Key.
    @inlinable public static var cardholderPublicKey: Tag { Tag(0x5F49) }
    /// `5F4A` Public Key of a Certification Authority.
    @inlinable public static var certificationAuthorityPublicKey: Tag { Tag(0x5F4A) }
    /// `5F4C` Certificate Holder Authorization.
    @inlinable public static var certificateHolderAuthorization: Tag { Tag(0x5F4C) }
    /// `5F4D` Integrated Circuit Manufacturer Identifier.
    @inlinable public static var integratedCircuitManufacturerIdentifier: Tag { Tag(0x5F4D) }
    /// `5F4E` Certificate Content.
    @inlinable public static var certificateContent: Tag { Tag(0x5F4E) }
    /// `5F52` Historical Bytes.
    @inlinable public static var historicalBytes: Tag { Tag(0x5F52) }
    /// `7F21` Cardholder Certificate.
    @inlinable public static var cardholderCertificate: Tag { Tag(0x7F21) }
    /// `7F2E` Biometric Data Template.
    @inlinable public static var biometricDataTemplate: Tag { Tag(0x7F2E) }
    /// `7F49` Public Key Template.
    @inlinable public static var publicKeyTemplate: Tag { Tag(0x7F49) }
    /// `7F4C` Certificate Holder Authorization Template.
    @inlinable public static var certificateHolderAuthorizationTemplate: Tag { Tag(0x7F4C) }
    /// `7F4E` Certificate Body.
    @inlinable public static var certificateBody: Tag { Tag(0x7F4E) }
    /// `7F61` Biometric Information Data Objects Group Template.
    @inlinable public static var biometricInformationGroupTemplate: Tag { Tag(0x7F61) }
}

// MARK: - GlobalPlatform
extension Tag {
    /// `E0` Key Information Template.
    @inlinable public static var keyInformationTemplate: Tag { Tag(0xE0) }
    /// `E3` GlobalPlatform Registry Related Data.
    @inlinable public static var applicationRegistryTemplate: Tag { Tag(0xE3) }
    /// `9F65` Maximum Length of Data Field in Command Message.
    @inlinable public static var maximumLengthOfCommandDataField: Tag { Tag(0x9F65) }
    /// `9F6E` Application Production Life Cycle Data.
    @inlinable public static var applicationProductionLifeCycleData: Tag { Tag(0x9F6E) }
    /// `9F70` Life Cycle State.
    @inlinable public static var lifeCycleState: Tag { Tag(0x9F70) }
}
