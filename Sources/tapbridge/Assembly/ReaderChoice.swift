import CommandSupport
import ArgumentParser
import CardReaders
import Foundation
import RemoteReaders

/// Finds the reader that the user named, on this machine or another one.
enum ReaderChoice {
    /// - Parameter name: `remote:host:port/name`, or a part of a local reader's name; nil is the first contactless
    ///   one of this machine.
    static func open(_ name: String?, _ remote: RemoteAccess) async throws -> any CardReader {
        guard let name, RemoteReaderAddress.isRemote(name) else { return try await local(name) }
        let address = try RemoteAccess.address(name)
        let reader = RemoteReader(
            address: address, credentials: try remote.credentials(.terminal))
        do {
            try await reader.connect()
        } catch {
            throw CommandFailure(.reader, "\(error)")
        }
        return reader
    }

    static func local(_ name: String?) async throws -> any CardReader {
        try await PCSC.reader(matching: name)
    }
}

/// Options of every command that offers or uses readers over the network.
struct RemoteOptions: ParsableArguments {
    @Option(
        name: .customLong("certs"),
        help: ArgumentHelp(
            "Directory with ca.pem and this side's certificate and key, as `tapbridge certs` makes it; the one in the user's state directory by default, if it is there.",
            valueName: "directory"))
    var directory: String?

    @Option(
        help: ArgumentHelp(
            "Whose certificate and key of that directory are used: <identity>.pem, <identity>.key; \"server\" or \"terminal\" by default.",
            valueName: "identity"))
    var identity: String?

    @Flag(name: .customLong("no-tls"), help: "Without certificates: over loopback addresses only.")
    var withoutTLS = false

    var access: RemoteAccess {
        RemoteAccess(directory: directory, identity: identity, withoutTLS: withoutTLS)
    }
}

/// With which certificates readers are offered and used over the network.
struct RemoteAccess {
    /// With ca.pem and this side's certificate and key; nil is the one in the state directory, if it is there.
    var directory: String?
    /// Whose certificate and key of that directory are used.
    var identity: String?
    /// Over loopback addresses only.
    var withoutTLS = false

    static var defaultDirectory: String { StateDirectory.path + "/certs" }

    /// Nil where there is no TLS: then only loopback addresses are served and reached.
    func credentials(_ role: TLSCredentials.Role) throws -> TLSCredentials? {
        if withoutTLS { return nil }
        if directory == nil, identity == nil,
            !CertificateDirectory(path: Self.defaultDirectory).exists("\(role.rawValue).pem")
        {
            return nil
        }
        do {
            return try TLSCredentials(
                directory: directory ?? Self.defaultDirectory, role: role, identity: identity)
        } catch {
            throw CommandFailure(.badInput, "\(error)")
        }
    }

    static func address(_ text: String) throws -> RemoteReaderAddress {
        do {
            return try RemoteReaderAddress(text)
        } catch {
            throw CommandFailure(.usage, "\(error)")
        }
    }
}
