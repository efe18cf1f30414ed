public import EMV
public import ISO8583
internal import ProfileFile

extension Dialect.Version {
    var responseCodes: ResponseCodeTable.Version {
        switch self {
        case .v1987: .v1987
        case .v1993: .v1993
        }
    }
}

extension MessageType {
    /// What a message of this type, or the response to it, is about; nil where terminals exchange no such messages.
    public var responseClass: ResponseCodeTable.MessageClass? {
        let function = rawValue >> 4 & 0x0F
        return switch rawValue >> 8 & 0x0F {
        case 1, 2: function <= 1 ? .authorization : .advice
        case 3: .advice
        case 4: .reversal
        case 5: .reconciliation
        case 8: .networkManagement
        default: nil
        }
    }
}

extension ResponseCodeTable.Overrides {
    /// Reads a mapping of codes to what they stand for, and of classes of messages to such mappings.
    init(_ place: ProfileFile, _ version: Dialect.Version) throws(ProfileFileError) {
        self.init()
        for (key, value) in try place.mapping().entries() {
            let name = try key.string()
            guard let messageClass = ResponseCodeTable.MessageClass(rawValue: name) else {
                try set(key, value, in: nil, version)
                continue
            }
            for (key, value) in try value.mapping().entries() {
                try set(key, value, in: messageClass, version)
            }
        }
    }

    private mutating func set(
        _ key: ProfileFile, _ value: ProfileFile, in messageClass: ResponseCodeTable.MessageClass?,
        _ version: Dialect.Version
    ) throws(ProfileFileError) {
        let code = try key.string()
        let count = version == .v1993 ? 3 : 2
        guard code.utf8.count == count else {
            throw key.error(
                "expected a code of \(count) characters in quotes, or one of \(Self.words(ResponseCodeTable.MessageClass.self))"
            )
        }
        let text = try value.string()
        if let meaning = ResponseMeaning(rawValue: text) {
            self[code, messageClass] = .meaning(meaning)
        } else if text.utf8.count == 2 || text.utf8.count == count, ResponseCodeTable.text(text) != nil {
            self[code, messageClass] = .code(text)
        } else {
            throw value.error(
                "expected two characters in quotes that ISO 8583:1987 has as a code\(count == 3 ? ", three that 1993 has," : "") or one of \(Self.words(ResponseMeaning.self))"
            )
        }
    }

    private static func words<T: CaseIterable & RawRepresentable<String>>(_ type: T.Type) -> String {
        type.allCases.map(\.rawValue).joined(separator: ", ")
    }
}
