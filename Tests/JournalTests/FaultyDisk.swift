import Foundation
import GRDB
import GRDBSQLite
import Synchronization

/// A disk between SQLite and the real files, for the files below one directory: it counts syncs, knows what has
/// reached the platter, and can lose power or fail. A SQLite VFS (sqlite.org/vfs.html) that forwards to the
/// usual one; files elsewhere do not pass through it.
final class FaultyDisk: Sendable {
    /// What a file's write or truncation was, since the file was last synced.
    enum Pending: Sendable {
        case write(offset: Int, bytes: [UInt8])
        case truncate(size: Int)
    }
    struct File: Sendable {
        var durable: [UInt8] = []
        var pending: [Pending] = []
        var syncs = 0
    }
    /// `grow`: the shared memory of the log.
    enum Operation: Sendable { case write, sync, truncate, grow }
    struct State: Sendable {
        var files: [String: File] = [:]
        var operations = 0
        /// Asked before each operation; a result other than SQLITE_OK is the operation's.
        var fault: (@Sendable (_ path: String, _ operation: Operation, _ count: Int) -> Int32)?
    }
    let directory: String
    private let state = Mutex(State())

    init(below directory: String) {
        self.directory = directory
        Hooks.register(self)
    }

    deinit { Hooks.forget(directory) }

    func setFault(_ fault: (@Sendable (String, Operation, Int) -> Int32)?) {
        state.withLock { $0.fault = fault }
    }

    /// Writes, syncs and truncations so far.
    var operations: Int { state.withLock { $0.operations } }

    func syncs(_ path: String) -> Int { state.withLock { $0.files[path]?.syncs ?? 0 } }

    /// What the platter may hold after a loss of power: all that was synced, and of the rest what `survives` says,
    /// sector by sector.
    func afterPowerLoss(_ path: String, survives: () -> Bool) -> [UInt8]? {
        guard let file = state.withLock({ $0.files[path] }) else { return nil }
        var image = file.durable
        for change in file.pending {
            switch change {
            case .truncate(let size):
                if survives() { image = Array(image.prefix(size)) }
            case .write(let offset, let bytes):
                for start in stride(from: 0, to: bytes.count, by: 512) where survives() {
                    let sector = bytes[start..<min(start + 512, bytes.count)]
                    let end = offset + start + sector.count
                    if image.count < end { image += [UInt8](repeating: 0, count: end - image.count) }
                    image.replaceSubrange((offset + start)..<end, with: sector)
                }
            }
        }
        return image
    }

    // MARK: - From the hooks

    fileprivate func opened(_ path: String) {
        state.withLock { state in
            guard state.files[path] == nil else { return }
            state.files[path] = File(durable: Array(FileManager.default.contents(atPath: path) ?? Data()))
        }
    }

    fileprivate func deleted(_ path: String) { state.withLock { $0.files[path] = nil } }

    fileprivate func fault(_ path: String, _ operation: Operation) -> Int32 {
        let (fault, count) = state.withLock { state in
            state.operations += 1
            return (state.fault, state.operations)
        }
        return fault?(path, operation, count) ?? SQLITE_OK
    }

    /// Not counted: it is no operation of the disk that a loss of power could follow.
    fileprivate func growing(_ path: String) -> Int32 {
        let (fault, count) = state.withLock { ($0.fault, $0.operations) }
        return fault?(path, .grow, count) ?? SQLITE_OK
    }

    fileprivate func done(_ path: String, _ change: Pending?) {
        state.withLock { state in
            guard var file = state.files.removeValue(forKey: path) else { return }
            if let change {
                file.pending.append(change)
            } else {
                for change in file.pending {
                    switch change {
                    case .truncate(let size): file.durable = Array(file.durable.prefix(size))
                    case .write(let offset, let bytes):
                        let end = offset + bytes.count
                        if file.durable.count < end {
                            file.durable += [UInt8](repeating: 0, count: end - file.durable.count)
                        }
                        file.durable.replaceSubrange(offset..<end, with: bytes)
                    }
                }
                file.pending = []
                file.syncs += 1
            }
            state.files[path] = file
        }
    }
}

/// SQLite's callbacks have no context of their own: which disk and path an open file belongs to is found by
/// its address.
private enum Hooks {
    /// `@unchecked Sendable`: SQLite's tables of methods are never written.
    struct Open: @unchecked Sendable {
        let disk: WeakDisk
        let path: String
        let methods: UnsafePointer<sqlite3_io_methods>
    }
    struct WeakDisk: Sendable {
        weak let disk: FaultyDisk?
    }
    /// Set once, before anything is opened through them, and only read afterwards.
    struct Tables: @unchecked Sendable {
        let usual: UnsafeMutablePointer<sqlite3_vfs>
        /// By SQLite's own: files that are locked and files that are not have different ones. Addresses.
        var own: [UInt: UInt] = [:]
    }
    static let open = Mutex<[UInt: Open]>([:])
    static let disks = Mutex<[String: WeakDisk]>([:])
    static let tables = Mutex<Tables?>(nil)

    static func register(_ disk: FaultyDisk) {
        disks.withLock { $0[disk.directory] = WeakDisk(disk: disk) }
        tables.withLock { tables in
            guard tables == nil, let usual = sqlite3_vfs_find(nil) else { return }
            tables = Tables(usual: usual)
            // SQLite keeps both as long as the process lives.
            let own = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
            own.initialize(to: usual.pointee)
            own.pointee.pNext = nil
            own.pointee.zName = UnsafePointer(strdup("faulty-disk"))
            own.pointee.xOpen = { _, name, file, flags, outFlags in Hooks.opening(name, file, flags, outFlags)
            }
            own.pointee.xDelete = { _, name, sync in Hooks.deleting(name, sync) }
            sqlite3_vfs_register(own, 1)
        }
    }

    static func forget(_ directory: String) { disks.withLock { $0[directory] = nil } }

    static func disk(of path: String) -> FaultyDisk? {
        disks.withLock { disks in disks.first { path.hasPrefix($0.key + "/") }?.value.disk }
    }

    static func opening(
        _ name: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let usual = tables.withLock({ $0?.usual }), let file else { return SQLITE_ERROR }
        let code = usual.pointee.xOpen(usual, name, file, flags, outFlags)
        guard code == SQLITE_OK, let name, let methods = file.pointee.pMethods else { return code }
        let path = String(cString: name)
        guard let disk = disk(of: path) else { return code }
        disk.opened(path)
        open.withLock {
            $0[UInt(bitPattern: file)] = Open(
                disk: WeakDisk(disk: disk), path: path, methods: methods)
        }
        take(file, methods)
        return code
    }

    static func deleting(_ name: UnsafePointer<CChar>?, _ sync: Int32) -> Int32 {
        guard let usual = tables.withLock({ $0?.usual }) else { return SQLITE_ERROR }
        let code = usual.pointee.xDelete(usual, name, sync)
        if code == SQLITE_OK, let name {
            let path = String(cString: name)
            disk(of: path)?.deleted(path)
        }
        return code
    }

    /// Puts ours in the place of five of the file's methods.
    static func take(
        _ file: UnsafeMutablePointer<sqlite3_file>, _ methods: UnsafePointer<sqlite3_io_methods>
    ) {
        tables.withLock { tables in
            let key = UInt(bitPattern: methods)
            if tables?.own[key] == nil {
                let own = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
                own.initialize(to: methods.pointee)
                own.pointee.xWrite = { file, bytes, count, offset in Hooks.write(file, bytes, count, offset) }
                own.pointee.xTruncate = { file, size in Hooks.truncate(file, size) }
                own.pointee.xSync = { file, flags in Hooks.sync(file, flags) }
                own.pointee.xShmMap = { file, page, size, extend, memory in
                    Hooks.map(file, page, size, extend, memory)
                }
                own.pointee.xClose = { file in Hooks.close(file) }
                tables?.own[key] = UInt(bitPattern: own)
            }
            file.pointee.pMethods = UnsafePointer(bitPattern: tables?.own[key] ?? key)
        }
    }

    static func target(
        _ file: UnsafeMutablePointer<sqlite3_file>?
    ) -> (open: Open, methods: sqlite3_io_methods)? {
        guard let open = open.withLock({ $0[UInt(bitPattern: file)] }) else { return nil }
        return (open, open.methods.pointee)
    }

    static func write(
        _ file: UnsafeMutablePointer<sqlite3_file>?, _ bytes: UnsafeRawPointer?, _ count: Int32,
        _ offset: Int64
    ) -> Int32 {
        guard let (open, methods) = target(file), let bytes else { return SQLITE_ERROR }
        if let fault = open.disk.disk?.fault(open.path, .write), fault != SQLITE_OK { return fault }
        let code = methods.xWrite(file, bytes, count, offset)
        if code == SQLITE_OK {
            let written = [UInt8](UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            open.disk.disk?.done(open.path, .write(offset: Int(offset), bytes: written))
        }
        return code
    }

    static func truncate(_ file: UnsafeMutablePointer<sqlite3_file>?, _ size: Int64) -> Int32 {
        guard let (open, methods) = target(file) else { return SQLITE_ERROR }
        if let fault = open.disk.disk?.fault(open.path, .truncate), fault != SQLITE_OK {
            return fault
        }
        let code = methods.xTruncate(file, size)
        if code == SQLITE_OK { open.disk.disk?.done(open.path, .truncate(size: Int(size))) }
        return code
    }

    static func sync(_ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32) -> Int32 {
        guard let (open, methods) = target(file) else { return SQLITE_ERROR }
        if let fault = open.disk.disk?.fault(open.path, .sync), fault != SQLITE_OK { return fault }
        let code = methods.xSync(file, flags)
        if code == SQLITE_OK { open.disk.disk?.done(open.path, nil) }
        return code
    }

    static func map(
        _ file: UnsafeMutablePointer<sqlite3_file>?, _ page: Int32, _ size: Int32, _ extend: Int32,
        _ memory: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32 {
        guard let (open, methods) = target(file) else { return SQLITE_ERROR }
        if extend != 0, page > 0, let fault = open.disk.disk?.growing(open.path), fault != SQLITE_OK {
            return fault
        }
        return methods.xShmMap(file, page, size, extend, memory)
    }

    static func close(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Int32 {
        guard let (_, methods) = target(file) else { return SQLITE_ERROR }
        open.withLock { $0[UInt(bitPattern: file)] = nil }
        return methods.xClose(file)
    }
}
