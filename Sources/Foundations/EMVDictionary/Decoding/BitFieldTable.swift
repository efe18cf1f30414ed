internal import EMV
internal import EMVCryptography

// Bit fields as text, parsed once by `BitField`:
//
//     @name least-greatest number of bytes
//     byte.bit|meaning when set                    (bits count 8...1 from the left, bytes from 1)
//     byte&mask=value|meaning of these bits        (mask and value in hexadecimal)
//     byte&mask#|name of the number in these bits
//     byte&mask-|bits without meaning (issuer discretionary)
//
// Sources: AIP, AUC, CVM, TVR, TSI, CID: Book 3, Annex C; terminal capabilities: Book 4, Annex A;
// TTQ: Book A, 5.7; CTQ, card authentication data: Book C-3, Annex A; Kernel 2 data: Book C-2, Annex A;
// Kernel 4 data: Book C-4, Annex A; IAD and CVR: public personalisation guides of the schemes.
enum BitFieldTable {
    static let text = """
        @AIP 2
        1.8|Extended Data Authentication (XDA) supported
        1.7|Static Data Authentication (SDA) supported
        1.6|Dynamic Data Authentication (DDA) supported
        1.5|cardholder verification supported
        1.4|terminal risk management is to be performed
        1.3|issuer authentication supported
        1.2|on-device cardholder verification supported
        1.1|Combined DDA/Application Cryptogram Generation (CDA) supported
        2.8|EMV mode supported (contactless)
        2.7|mobile phone (contactless)
        2.6|contactless transaction
        2.1|Relay Resistance Protocol supported (contactless)
        @AIP.kernel2 2
        1.7|Static Data Authentication (SDA) supported
        1.6|Dynamic Data Authentication (DDA) supported
        1.5|cardholder verification supported
        1.4|terminal risk management is to be performed
        1.3|issuer authentication supported
        1.2|on-device cardholder verification supported
        1.1|Combined DDA/Application Cryptogram Generation (CDA) supported
        2.8|EMV mode supported
        2.1|Relay Resistance Protocol supported
        @AIP.kernel3 2
        1.7|Static Data Authentication (SDA) supported for online authorizations
        1.6|Dynamic Data Authentication (fDDA) supported
        1.5|cardholder verification supported
        1.4|terminal risk management is to be performed
        1.3|issuer authentication supported
        1.1|Combined DDA/Application Cryptogram Generation (CDA) supported
        2.8|MSD (magnetic stripe mode) supported
        2.7|mobile phone
        2.6|contactless transaction
        @AIP.kernel4 2
        1.7|Static Data Authentication (SDA) supported
        1.6|Dynamic Data Authentication (DDA) supported
        1.5|cardholder verification supported
        1.4|terminal risk management is to be performed
        1.3|issuer authentication supported
        1.1|Combined DDA/Application Cryptogram Generation (CDA) supported
        2.8|EMV and magnetic stripe modes supported
        2.7|mobile device
        2.6|HCE (host card emulation) supported
        @AUC 2
        1.8|valid for domestic cash transactions
        1.7|valid for international cash transactions
        1.6|valid for domestic goods
        1.5|valid for international goods
        1.4|valid for domestic services
        1.3|valid for international services
        1.2|valid at ATMs
        1.1|valid at terminals other than ATMs
        2.8|domestic cashback allowed
        2.7|international cashback allowed
        @TVR 5
        1.8|offline data authentication was not performed
        1.7|SDA failed
        1.6|ICC data missing
        1.5|card appears on terminal exception file
        1.4|DDA failed
        1.3|CDA failed
        1.2|SDA selected
        1.1|XDA selected
        2.8|ICC and terminal have different application versions
        2.7|expired application
        2.6|application not yet effective
        2.5|requested service not allowed for card product
        2.4|new card
        2.2|biometric performed and successful
        2.1|biometric template format not supported
        3.8|cardholder verification was not successful
        3.7|unrecognised CVM
        3.6|PIN Try Limit exceeded
        3.5|PIN entry required and PIN pad not present or not working
        3.4|PIN entry required, PIN pad present, but PIN was not entered
        3.3|online CVM captured
        3.2|biometric required but capture device not working
        3.1|biometric required, capture device present, but entry was bypassed
        4.8|transaction exceeds floor limit
        4.7|lower consecutive offline limit exceeded
        4.6|upper consecutive offline limit exceeded
        4.5|transaction selected randomly for online processing
        4.4|merchant forced transaction online
        4.3|Biometric Try Limit exceeded
        4.2|a selected biometric type not supported
        4.1|XDA signature verification failed
        5.8|default TDOL used
        5.7|issuer authentication failed
        5.6|script processing failed before final GENERATE AC
        5.5|script processing failed after final GENERATE AC
        5.3|CA ECC key missing
        5.2|ECC key recovery failed
        @TVR.kernel2 5
        1.8|offline data authentication was not performed
        1.7|SDA failed
        1.6|ICC data missing
        1.5|card appears on terminal exception file
        1.4|DDA failed
        1.3|CDA failed
        1.2|SDA selected
        2.8|ICC and terminal have different application versions
        2.7|expired application
        2.6|application not yet effective
        2.5|requested service not allowed for card product
        2.4|new card
        3.8|cardholder verification was not successful
        3.7|unrecognised CVM
        3.6|PIN Try Limit exceeded
        3.5|PIN entry required and PIN pad not present or not working
        3.4|PIN entry required, PIN pad present, but PIN was not entered
        3.3|online PIN entered
        4.8|transaction exceeds floor limit
        4.7|lower consecutive offline limit exceeded
        4.6|upper consecutive offline limit exceeded
        4.5|transaction selected randomly for online processing
        4.4|merchant forced transaction online
        5.8|default TDOL used
        5.7|issuer authentication failed
        5.6|script processing failed before final GENERATE AC
        5.5|script processing failed after final GENERATE AC
        5.4|relay resistance threshold exceeded
        5.3|relay resistance time limits exceeded
        5&03=00|Relay Resistance Protocol not supported
        5&03=01|Relay Resistance Protocol not performed
        5&03=02|Relay Resistance Protocol performed
        @TSI 2
        1.8|offline data authentication was performed
        1.7|cardholder verification was performed
        1.6|card risk management was performed
        1.5|issuer authentication was performed
        1.4|terminal risk management was performed
        1.3|script processing was performed
        @TTQ 4
        1.8|mag-stripe mode supported
        1.6|EMV mode supported
        1.5|EMV contact chip supported
        1.4|offline-only reader
        1.3|online PIN supported
        1.2|signature supported
        1.1|offline data authentication for online authorizations supported
        2.8|online cryptogram required
        2.7|CVM required
        2.6|(contact chip) offline PIN supported
        2.4|fast mode supported
        2.3|transit terminal
        3.8|issuer update processing supported
        3.7|Consumer Device CVM supported
        3.6|Consumer Device CVM supported for transit merchants
        3.4|Consumer Device CVM required
        4.8|fDDA version 1.0 supported
        @CTQ 2
        1.8|online PIN required
        1.7|signature required
        1.6|go online if offline data authentication fails and reader is online capable
        1.5|switch interface if offline data authentication fails and reader supports contact chip
        1.4|go online if application expired
        1.3|switch interface for cash transactions
        1.2|switch interface for cashback transactions
        1.1|not valid for contactless ATM transactions
        2.8|Consumer Device CVM performed
        2.7|card supports issuer update processing at the POS
        @CAP 4
        1.8|low value check supported
        1.7|low value AND CTTA check supported
        1.6|count qVSDC online transactions
        1.5|streamlined qVSDC supported
        1.4|PIN Tries Exceeded check supported
        1.3|offline international transactions allowed
        1.2|card prefers contact chip
        1.1|return available offline spending amount
        2.8|include country code in international check
        2.7|international transactions not allowed
        2.6|disable offline data authentication for online authorizations
        2.5|issuer update processing supported
        3.8|online PIN supported for domestic transactions
        3.7|online PIN supported for international transactions
        3.6|contact chip offline PIN supported
        3.5|signature supported
        4.8|CVM required for domestic transactions
        4.7|CVM required for international transactions
        @CID 1
        1&C0=00|AAC (declined)
        1&C0=40|TC (approved)
        1&C0=80|ARQC (online authorization requested)
        1&C0=C0|RFU
        1&30#|payment system specific cryptogram
        1.4|advice required
        1&07=00|no reason given
        1&07=01|service not allowed
        1&07=02|PIN Try Limit exceeded
        1&07=03|issuer authentication failed
        @TerminalCapabilities 3
        1.8|manual key entry
        1.7|magnetic stripe
        1.6|IC with contacts
        2.8|plaintext PIN for ICC verification
        2.7|enciphered PIN for online verification
        2.6|signature
        2.5|enciphered PIN for offline verification
        2.4|No CVM required
        2.3|online biometric
        2.2|offline biometric
        2.1|enciphered PIN for offline verification (ECC)
        3.8|SDA
        3.7|DDA
        3.6|card capture
        3.4|CDA
        3.3|XDA
        @CardDataInputCapability 1
        1.8|manual key entry
        1.7|magnetic stripe
        1.6|IC with contacts
        @CVMCapability 1
        1.8|plaintext PIN for ICC verification
        1.7|enciphered PIN for online verification
        1.6|signature
        1.5|enciphered PIN for offline verification
        1.4|No CVM required
        @SecurityCapability 1
        1.8|SDA
        1.7|DDA
        1.6|card capture
        1.4|CDA
        1.3|XDA
        @MagStripeCVMCapability 1
        1&F0=00|No CVM
        1&F0=10|obtain signature
        1&F0=20|online PIN
        1&F0=F0|not applicable
        @AdditionalTerminalCapabilities 5
        1.8|cash
        1.7|goods
        1.6|services
        1.5|cashback
        1.4|inquiry
        1.3|transfer
        1.2|payment
        1.1|administrative
        2.8|cash deposit
        3.8|numeric keys
        3.7|alphabetic and special character keys
        3.6|command keys
        3.5|function keys
        4.8|print or electronic, attendant
        4.7|print or electronic, cardholder
        4.6|display, attendant
        4.5|display, cardholder
        4.2|code table 10
        4.1|code table 9
        5.8|code table 8
        5.7|code table 7
        5.6|code table 6
        5.5|code table 5
        5.4|code table 4
        5.3|code table 3
        5.2|code table 2
        5.1|code table 1
        @TerminalRiskManagementData 8
        1.8|restart supported
        1.7|enciphered PIN verified online (contactless)
        1.6|signature (contactless)
        1.5|enciphered PIN verification by ICC (contactless)
        1.4|No CVM required (contactless)
        1.3|CDCVM (contactless)
        1.2|plaintext PIN verification by ICC (contactless)
        1.1|present and hold supported
        2.8|CVM limit exceeded
        2.7|enciphered PIN verified online (contact)
        2.6|signature (contact)
        2.5|enciphered PIN verification by ICC (contact)
        2.4|No CVM required (contact)
        2.3|CDCVM (contact)
        2.2|plaintext PIN verification by ICC (contact)
        3.8|mag-stripe mode contactless transactions not supported
        3.7|EMV mode contactless transactions not supported
        3.6|CDCVM without CDA supported
        4.8|CDCVM bypass requested
        4.7|SCA exempt
        @FormFactorIndicator 4
        1&E0#|version
        1&1F=00|card
        1&1F=01|mini card
        1&1F=02|non-card form factor
        1&1F=03|consumer mobile phone
        1&1F=04|wrist-worn device
        2.8|passcode capable
        2.7|signature panel
        2.6|hologram
        2.5|CVV2
        2.4|two-way messaging
        2.3|cloud-based payment credentials
        2.2|biometric cardholder verification capable
        4&0F=00|contactless interface of ISO/IEC 14443
        4&0F=01|not used in contactless payment
        @ApplicationCapabilitiesInformation 3
        1&F0#|version
        1&0F=00|data storage not supported
        1&0F=01|data storage version 1
        1&0F=02|data storage version 2
        2.3|field off detection supported
        2.2|balance reading supported
        2.1|CDA supported over TC, ARQC and AAC
        3&FF=00|undefined standalone data storage configuration
        3&FF=01|all ten data envelopes of 32 bytes
        3&FF=02|all ten data envelopes of 48 bytes
        3&FF=03|all ten data envelopes of 64 bytes
        3&FF=04|all ten data envelopes of 96 bytes
        3&FF=05|all ten data envelopes of 128 bytes
        3&FF=06|all ten data envelopes of 160 bytes
        3&FF=07|all ten data envelopes of 192 bytes
        3&FF=08|data envelopes of 32 bytes, 9F78 of 64 bytes
        @KernelConfiguration 1
        1.8|mag-stripe mode contactless transactions not supported
        1.7|EMV mode contactless transactions not supported
        1.6|on-device cardholder verification supported
        1.5|Relay Resistance Protocol supported
        1.4|reserved for payment system
        1.3|read all records even when no CDA
        @MobileSupportIndicator 1
        1.2|on-device cardholder verification required
        1.1|mobile supported
        @POSCardholderInteraction 3
        1&FF#|version
        2.5|on-device cardholder verification successful
        2.4|context is conflicting
        2.3|offline change PIN required
        2.2|acknowledgement required
        2.1|on-device cardholder verification required
        @OutcomeParameterSet 8
        1&F0=10|status: approved
        1&F0=20|status: declined
        1&F0=30|status: online request
        1&F0=40|status: end application
        1&F0=50|status: select next
        1&F0=60|status: try another interface
        1&F0=70|status: try again
        1&F0=F0|status: not applicable
        2&F0=00|start: A
        2&F0=10|start: B
        2&F0=20|start: C
        2&F0=30|start: D
        2&F0=F0|start: not applicable
        3&F0=F0|online response data: not applicable
        4&F0=00|CVM: no CVM
        4&F0=10|CVM: obtain signature
        4&F0=20|CVM: online PIN
        4&F0=30|CVM: confirmation code verified
        4&F0=F0|CVM: not applicable
        5.8|UI request on outcome present
        5.7|UI request on restart present
        5.6|data record present
        5.5|discretionary data present
        5.4|receipt required
        6&F0=F0|alternate interface preference: not applicable
        7&FF=FF|field off request: not applicable
        7&FF#|field off for hundreds of milliseconds
        8&FF#|removal timeout in hundreds of milliseconds
        @DSSlotAvailability 1
        1.8|permanent slot type
        1.7|volatile slot type
        @DSSlotManagementControl 1
        1.8|permanent slot type
        1.7|volatile slot type
        1.6|low volatility
        1.5|locked slot
        1.1|deactivated slot
        @IDSStatus 1
        1.8|read
        1.7|write
        @DSODSInfo 1
        1.8|permanent slot type
        1.7|volatile slot type
        1.6|low volatility
        1.4|decline payment transaction in case of data storage error
        @ContactlessReaderCapabilities 1
        1&C8=00|deprecated
        1&C8=40|contactless mag-stripe, CVM not required
        1&C8=48|contactless mag-stripe, CVM required
        1&C8=80|deprecated: contactless EMV and mag-stripe
        1&C8=C0|contactless EMV and mag-stripe, CVM not required
        1&C8=C8|contactless EMV and mag-stripe, CVM required
        1&37-|terminal type bits
        @EnhancedContactlessReaderCapabilities 4
        1.8|contact mode supported
        1.7|contactless mag-stripe mode supported
        1.6|contactless EMV full online mode supported (legacy)
        1.5|contactless EMV partial online mode supported
        1.4|contactless mobile supported
        1.3|try another interface after a decline
        2.8|mobile CVM supported
        2.7|online PIN supported
        2.6|signature supported
        2.5|plaintext offline PIN supported
        3.8|reader is offline only
        3.7|CVM required
        4.8|terminal exempt from No CVM checks
        4.7|delayed authorisation terminal
        4.6|transit terminal
        4&07=01|kernel version 2.2 or 2.3
        4&07=02|kernel version 2.4 to 2.6
        4&07=03|kernel version 2.7 or later
        @CardInterfaceCapabilities 2
        1.8|keyed data entry supported (embossed or printed PAN)
        1.7|physical magnetic stripe supported
        1.6|contact EMV interface supported
        1.5|contactless EMV interface supported
        1.4|mobile interface supported
        @MobileCVMResults 3
        1&FF=01|mobile CVM performed
        1&FF=3F|no CVM performed
        2&FF=00|mobile CVM not required
        2&FF=03|terminal required CVM
        3&FF=00|unknown
        3&FF=01|mobile CVM failed
        3&FF=02|mobile CVM successful
        3&FF=03|mobile CVM blocked
        @TerminalCompatibilityIndicator 1
        1.2|EMV mode supported
        1.1|mag-stripe mode supported
        @TerminalInterchangeProfile 3
        1.8|CVM required by reader
        1.7|signature supported
        1.6|online PIN supported
        1.5|on-device CVM supported
        1.3|reader is a transit reader
        1.2|EMV contact chip supported
        1.1|(contact chip) offline PIN supported
        2.8|issuer update supported
        @CardProcessingRequirements 2
        1.8|online PIN required
        1.7|signature required
        1.4|Consumer Device CVM performed
        2.8|switch other interface if unable to process online
        2.7|process online if CDA failed
        2.6|decline or switch interface if CDA failed
        2.5|issuer update processing supported
        @VisaCVR 3
        1&C0=00|second GENERATE AC returned AAC
        1&C0=40|second GENERATE AC returned TC
        1&C0=80|second GENERATE AC not requested
        1&30=00|first GENERATE AC or GPO returned AAC
        1&30=10|first GENERATE AC or GPO returned TC
        1&30=20|first GENERATE AC or GPO returned ARQC
        1.4|issuer authentication performed and failed
        1.3|offline PIN verification performed
        1.2|offline PIN verification failed
        1.1|unable to go online
        2.8|last online transaction not completed
        2.7|PIN Try Limit exceeded
        2.6|exceeded velocity checking counters
        2.5|new card
        2.4|issuer authentication failure on last online transaction
        2.3|issuer authentication not performed after online authorization
        2.2|application blocked by card because PIN Try Limit exceeded
        2.1|offline static data authentication failed on last transaction
        3&F0#|issuer script commands processed
        3.4|issuer script processing failed
        3.3|offline dynamic data authentication failed on last transaction
        3.2|offline dynamic data authentication performed
        3.1|PIN verification command not received for a PIN-expecting card
        @VisaCVR2 5
        1&F0=00|no CDCVM
        1&F0=10|CDCVM by the Visa Mobile Payment Application
        1&F0=20|CDCVM by MG
        1&F0=30|CDCVM by an application on the same secure element
        1&F0=40|CDCVM by an application in the trusted execution environment
        1&F0=50|CDCVM by the mobile application
        1&F0=60|CVM by the terminal
        1&F0=70|CDCVM verified in the cloud
        1&F0=80|CDCVM verified by the mobile device's operating system
        1&0F=00|no CVM
        1&0F=01|passcode
        1&0F=02|finger biometric
        1&0F=03|mobile device pattern
        1&0F=04|facial biometric
        1&0F=05|iris biometric
        1&0F=06|voice biometric
        1&0F=07|palm biometric
        1&0F=0D|signature
        1&0F=0E|online PIN
        2&C0=00|second GENERATE AC returned AAC
        2&C0=40|second GENERATE AC returned TC
        2&C0=80|second GENERATE AC not requested
        2&30=00|GPO returned AAC
        2&30=10|GPO returned TC
        2&30=20|GPO returned ARQC
        2.4|issuer authentication performed and failed
        2.3|CDCVM successfully performed
        2.1|unable to go online
        3.8|last online transaction not completed
        3.7|PIN Try Limit exceeded
        3.6|exceeded velocity checking counters
        3.5|new card
        3.4|issuer authentication failure on last online transaction
        3.3|issuer authentication not performed after online authorization
        3.2|application blocked by card because PIN Try Limit exceeded
        3.1|offline static data authentication failed on last transaction
        4&F0#|issuer script commands processed
        4.4|issuer script processing failed
        4.3|offline dynamic data authentication failed on last transaction
        4.2|offline dynamic data authentication performed
        4.1|PIN verification command not received for a PIN-expecting card
        5.8|consumer device is not in debug mode
        5.7|consumer device is not rooted
        5.6|mobile application is not hooked
        5.5|mobile application integrity is intact
        5.4|consumer device has data connectivity
        5.3|consumer device is genuine
        5.2|CDCVM successfully performed
        5.1|secure messaging uses EMV session keys
        @MChipCVR 6
        1&C0=00|second GENERATE AC returned AAC
        1&C0=40|second GENERATE AC returned TC
        1&C0=80|second GENERATE AC not requested
        1&30=00|first GENERATE AC returned AAC
        1&30=10|first GENERATE AC returned TC
        1&30=20|first GENERATE AC returned ARQC
        1.4|date check failed
        1.3|offline PIN verification performed
        1.2|offline encrypted PIN verification performed
        1.1|offline PIN verification successful
        2.8|DDA returned
        2.7|CDA returned in first GENERATE AC
        2.6|CDA returned in second GENERATE AC
        2.5|issuer authentication performed
        2.4|CIAC-Default skipped on CAT3
        2.3|offline change PIN result successful
        2&03-|issuer discretionary
        3&F0#|script counter
        3&0F#|PIN try counter
        4.8|last online transaction not completed
        4.7|unable to go online
        4.6|offline PIN verification not performed
        4.5|offline PIN verification failed
        4.4|PIN Try Limit exceeded
        4.3|international transaction
        4.2|domestic transaction
        4.1|terminal erroneously considers offline PIN OK
        5.8|lower consecutive counter 1 limit exceeded
        5.7|upper consecutive counter 1 limit exceeded
        5.6|lower cumulative accumulator limit exceeded
        5.5|upper cumulative accumulator limit exceeded
        5.4|go online on next transaction was set
        5.3|issuer authentication failed
        5.2|script received
        5.1|script failed
        6.8|lower consecutive counter 2 limit exceeded
        6.7|upper consecutive counter 2 limit exceeded
        6.6|lower cumulative accumulator 2 limit exceeded
        6.5|upper cumulative accumulator 2 limit exceeded
        6.4|maximum transaction amount exceeded
        6.3|number of days offline limit exceeded
        6.2|match found in additional check table
        6.1|no match found in additional check table
        @CCDCVR 5
        1&C0=00|second GENERATE AC returned AAC
        1&C0=40|second GENERATE AC returned TC
        1&C0=80|second GENERATE AC not requested
        1&30=00|first GENERATE AC returned AAC
        1&30=10|first GENERATE AC returned TC
        1&30=20|first GENERATE AC returned ARQC
        1.4|CDA performed
        1.3|offline DDA performed
        1.2|issuer authentication not performed
        1.1|issuer authentication failed
        2&F0#|PIN try counter
        2.4|offline PIN verification performed
        2.3|offline PIN verification performed and PIN not successfully verified
        2.2|PIN Try Limit exceeded
        2.1|last online transaction not completed
        3.8|lower offline transaction count limit exceeded
        3.7|upper offline transaction count limit exceeded
        3.6|lower cumulative offline amount limit exceeded
        3.5|upper cumulative offline amount limit exceeded
        3&0F-|issuer discretionary
        4&F0#|issuer script commands processed with secure messaging
        4.4|issuer script processing failed
        4.3|offline data authentication failed on previous transaction
        4.2|go online on next transaction was set
        4.1|unable to go online
        @CSU 4
        1.8|proprietary authentication data included
        1&0F#|PIN try counter
        2.8|issuer approves online transaction
        2.7|card block
        2.6|application block
        2.5|update PIN try counter
        2.4|set go online on next transaction
        2.3|CSU created by proxy for the issuer
        2&03=00|do not update offline counters
        2&03=01|set offline counters to upper offline limits
        2&03=02|reset offline counters to zero
        2&03=03|add transaction to offline counter
        4&FF-|issuer discretionary
        """
}
