/// Text as the bytes of a dialect's character set.
extension Dialect.CharacterSet {
    /// The text in this set, one byte a character: what the set does not have is written with letters that it has, without
    /// marks (Unicode's compatibility decomposition, ligatures and strokes as letters: é as e, ß as ss, Ł as L). Longer than
    /// the text where that takes two letters.
    /// - Returns: ISO/IEC 8859-1 bytes, and the characters that have no such spelling, which stand as "?".
    public func encoded(_ text: String) -> (bytes: [UInt8], lost: [Character]) {
        var bytes: [UInt8] = []
        var lost: [Character] = []
        for character in text {
            if let spelling = spelling(character) {
                bytes += spelling
            } else {
                lost.append(character)
                bytes.append(UInt8(ascii: "?"))
            }
        }
        return (bytes, lost)
    }

    private func spelling(_ character: Character) -> [UInt8]? {
        // A letter and the marks that follow it are one character; marks alone have no spelling.
        let scalars = character.unicodeScalars
        guard let first = scalars.first,
            scalars.dropFirst().allSatisfy({ $0.properties.canonicalCombiningClass != .notReordered })
        else { return nil }
        if scalars.count == 1 || self == .latin1 {
            switch first.value {
            case 0x20...0x7E where scalars.count == 1: return [UInt8(first.value)]
            case 0xA1...0xFF where self == .latin1 && scalars.count == 1 && first.value != 0xAD:
                return [UInt8(first.value)]
            default: break
            }
        }
        if self == .latin1, scalars.count == 2, let mark = scalars.last?.value,
            let byte = Self.composed[UInt64(first.value) << 32 | UInt64(mark)]
        {
            return [byte]
        }
        if (0x20...0x7E).contains(first.value) { return [UInt8(first.value)] }
        return Self.spellings[first.value]
    }

    /// Letters of ISO/IEC 8859-1 that were taken apart into a letter and a mark.
    private static let composed: [UInt64: UInt8] = {
        var result: [UInt64: UInt8] = [:]
        let marks: [(UInt32, String, [UInt8])] = [
            (0x300, "AEIOUaeiou", [0xC0, 0xC8, 0xCC, 0xD2, 0xD9, 0xE0, 0xE8, 0xEC, 0xF2, 0xF9]),
            (
                0x301, "AEIOUYaeiouy",
                [0xC1, 0xC9, 0xCD, 0xD3, 0xDA, 0xDD, 0xE1, 0xE9, 0xED, 0xF3, 0xFA, 0xFD]
            ),
            (0x302, "AEIOUaeiou", [0xC2, 0xCA, 0xCE, 0xD4, 0xDB, 0xE2, 0xEA, 0xEE, 0xF4, 0xFB]),
            (0x303, "ANOano", [0xC3, 0xD1, 0xD5, 0xE3, 0xF1, 0xF5]),
            (0x308, "AEIOUaeiouy", [0xC4, 0xCB, 0xCF, 0xD6, 0xDC, 0xE4, 0xEB, 0xEF, 0xF6, 0xFC, 0xFF]),
            (0x30A, "Aa", [0xC5, 0xE5]), (0x327, "Cc", [0xC7, 0xE7]),
        ]
        for (mark, letters, bytes) in marks {
            for (letter, byte) in zip(letters.unicodeScalars, bytes) {
                result[UInt64(letter.value) << 32 | UInt64(mark)] = byte
            }
        }
        return result
    }()

    private static let spellings: [UInt32: [UInt8]] = {
        var result: [UInt32: [UInt8]] = [:]
        for word in table.split(whereSeparator: \.isWhitespace) {
            guard let sign = word.firstIndex(of: "="), let value = UInt32(word[..<sign], radix: 16) else {
                continue
            }
            let text = word[word.index(after: sign)...]
            // A space of any kind.
            result[value] = text.isEmpty ? [0x20] : Array(text.utf8)
        }
        return result
    }()

    /// Code point and spelling; nothing stands for a space.
    private static let table = #"""
        A0= A1=! A9=(C) AA=a AB=<< AE=(R) B2=2 B3=3 B9=1 BA=o BB=>> BF=? C0=A C1=A C2=A C3=A C4=A C5=A C6=AE
        C7=C C8=E C9=E CA=E CB=E CC=I CD=I CE=I CF=I D0=D D1=N D2=O D3=O D4=O D5=O D6=O D7=x D8=O D9=U DA=U DB=U
        DC=U DD=Y DE=TH DF=ss E0=a E1=a E2=a E3=a E4=a E5=a E6=ae E7=c E8=e E9=e EA=e EB=e EC=i ED=i EE=i EF=i
        F0=d F1=n F2=o F3=o F4=o F5=o F6=o F7=/ F8=o F9=u FA=u FB=u FC=u FD=y FE=th FF=y 100=A 101=a 102=A 103=a
        104=A 105=a 106=C 107=c 108=C 109=c 10A=C 10B=c 10C=C 10D=c 10E=D 10F=d 110=D 111=d 112=E 113=e 114=E
        115=e 116=E 117=e 118=E 119=e 11A=E 11B=e 11C=G 11D=g 11E=G 11F=g 120=G 121=g 122=G 123=g 124=H 125=h
        126=H 127=h 128=I 129=i 12A=I 12B=i 12C=I 12D=i 12E=I 12F=i 130=I 131=i 132=IJ 133=ij 134=J 135=j 136=K
        137=k 138=q 139=L 13A=l 13B=L 13C=l 13D=L 13E=l 141=L 142=l 143=N 144=n 145=N 146=n 147=N 148=n 149='n
        14A=N 14B=n 14C=O 14D=o 14E=O 14F=o 150=O 151=o 152=OE 153=oe 154=R 155=r 156=R 157=r 158=R 159=r 15A=S
        15B=s 15C=S 15D=s 15E=S 15F=s 160=S 161=s 162=T 163=t 164=T 165=t 166=T 167=t 168=U 169=u 16A=U 16B=u
        16C=U 16D=u 16E=U 16F=u 170=U 171=u 172=U 173=u 174=W 175=w 176=Y 177=y 178=Y 179=Z 17A=z 17B=Z 17C=z
        17D=Z 17E=z 17F=s 218=S 219=s 21A=T 21B=t 1E00=A 1E01=a 1E02=B 1E03=b 1E04=B 1E05=b 1E06=B 1E07=b 1E08=C
        1E09=c 1E0A=D 1E0B=d 1E0C=D 1E0D=d 1E0E=D 1E0F=d 1E10=D 1E11=d 1E12=D 1E13=d 1E14=E 1E15=e 1E16=E 1E17=e
        1E18=E 1E19=e 1E1A=E 1E1B=e 1E1C=E 1E1D=e 1E1E=F 1E1F=f 1E20=G 1E21=g 1E22=H 1E23=h 1E24=H 1E25=h 1E26=H
        1E27=h 1E28=H 1E29=h 1E2A=H 1E2B=h 1E2C=I 1E2D=i 1E2E=I 1E2F=i 1E30=K 1E31=k 1E32=K 1E33=k 1E34=K 1E35=k
        1E36=L 1E37=l 1E38=L 1E39=l 1E3A=L 1E3B=l 1E3C=L 1E3D=l 1E3E=M 1E3F=m 1E40=M 1E41=m 1E42=M 1E43=m 1E44=N
        1E45=n 1E46=N 1E47=n 1E48=N 1E49=n 1E4A=N 1E4B=n 1E4C=O 1E4D=o 1E4E=O 1E4F=o 1E50=O 1E51=o 1E52=O 1E53=o
        1E54=P 1E55=p 1E56=P 1E57=p 1E58=R 1E59=r 1E5A=R 1E5B=r 1E5C=R 1E5D=r 1E5E=R 1E5F=r 1E60=S 1E61=s 1E62=S
        1E63=s 1E64=S 1E65=s 1E66=S 1E67=s 1E68=S 1E69=s 1E6A=T 1E6B=t 1E6C=T 1E6D=t 1E6E=T 1E6F=t 1E70=T 1E71=t
        1E72=U 1E73=u 1E74=U 1E75=u 1E76=U 1E77=u 1E78=U 1E79=u 1E7A=U 1E7B=u 1E7C=V 1E7D=v 1E7E=V 1E7F=v 1E80=W
        1E81=w 1E82=W 1E83=w 1E84=W 1E85=w 1E86=W 1E87=w 1E88=W 1E89=w 1E8A=X 1E8B=x 1E8C=X 1E8D=x 1E8E=Y 1E8F=y
        1E90=Z 1E91=z 1E92=Z 1E93=z 1E94=Z 1E95=z 1E96=h 1E97=t 1E98=w 1E99=y 1E9B=s 1EA0=A 1EA1=a 1EA2=A 1EA3=a
        1EA4=A 1EA5=a 1EA6=A 1EA7=a 1EA8=A 1EA9=a 1EAA=A 1EAB=a 1EAC=A 1EAD=a 1EAE=A 1EAF=a 1EB0=A 1EB1=a 1EB2=A
        1EB3=a 1EB4=A 1EB5=a 1EB6=A 1EB7=a 1EB8=E 1EB9=e 1EBA=E 1EBB=e 1EBC=E 1EBD=e 1EBE=E 1EBF=e 1EC0=E 1EC1=e
        1EC2=E 1EC3=e 1EC4=E 1EC5=e 1EC6=E 1EC7=e 1EC8=I 1EC9=i 1ECA=I 1ECB=i 1ECC=O 1ECD=o 1ECE=O 1ECF=o 1ED0=O
        1ED1=o 1ED2=O 1ED3=o 1ED4=O 1ED5=o 1ED6=O 1ED7=o 1ED8=O 1ED9=o 1EDA=O 1EDB=o 1EDC=O 1EDD=o 1EDE=O 1EDF=o
        1EE0=O 1EE1=o 1EE2=O 1EE3=o 1EE4=U 1EE5=u 1EE6=U 1EE7=u 1EE8=U 1EE9=u 1EEA=U 1EEB=u 1EEC=U 1EED=u 1EEE=U
        1EEF=u 1EF0=U 1EF1=u 1EF2=Y 1EF3=y 1EF4=Y 1EF5=y 1EF6=Y 1EF7=y 1EF8=Y 1EF9=y 2018=' 2019=' 201A=' 201C="
        201D=" 201E=" 2013=- 2014=- 2026=... 2010=- 2011=- 2212=- 202F= 2009=
        """#
}
