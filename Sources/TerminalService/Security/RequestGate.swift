internal import Glibc
internal import NIOCore
internal import NIOHTTP1

/// Before the decoder of a connection: gives it one request's bytes at a time, and the next one's when the response
/// before it has been written to the network. Meanwhile it holds what one read has brought, and nothing more is
/// read. So a client that sends requests on end and reads no responses takes a few kilobytes of the daemon, where
/// the decoder would make thousands of requests of one read.
///
/// Both ends of a request are found without reading it twice: a head, and a chunked body, end with an empty line;
/// of a body with a length its bytes are counted.
final class RequestGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// A client that has closed its side is read to its end by the system, whoever asked for it (`readEOF`): not
    /// beyond this.
    static let mostHeld = 32 << 10

    private let overflow: (ChannelHandlerContext) -> Void
    private var context: ChannelHandlerContext?
    private var held = ByteBuffer()
    private var end = EmptyLine()
    /// Bytes of a body with a length that are to come.
    private var bodyLeft = 0
    /// Requests that were decoded to their end without their response having been written.
    private var unanswered = 0
    private var isGiving = false
    private var isShut = false
    private var wantsRead = false
    private var isInputClosed = false

    /// - Parameter overflow: called if more comes than is held.
    init(overflow: @escaping (ChannelHandlerContext) -> Void) { self.overflow = overflow }

    private var isOpen: Bool { unanswered <= 0 && !isShut }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        held = ByteBuffer()
    }

    // MARK: What the decoder made of it

    /// A head was decoded.
    func began(bodyLength: Int) { bodyLeft = bodyLength }

    /// A request was decoded to its end.
    func received() {
        bodyLeft = 0
        unanswered += 1
    }

    /// A response was written to the network, all of it.
    func answered() {
        unanswered -= 1
        guard let context, isOpen, !isGiving else { return }
        if held.readableBytes > 0 {
            give(context)
            context.fireChannelReadComplete()
        }
        goOn(context)
    }

    /// Nothing more is taken from this connection.
    func shut() {
        isShut = true
        held = ByteBuffer()
    }

    // MARK: From and to the network

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isShut else { return }
        var bytes = unwrapInboundIn(data)
        if held.readableBytes == 0 {
            held = bytes
        } else {
            held.writeBuffer(&bytes)
        }
        give(context)
        if held.readableBytes > Self.mostHeld {
            shut()
            overflow(context)
        }
    }

    func read(context: ChannelHandlerContext) {
        guard isOpen, held.readableBytes == 0 else {
            wantsRead = true
            return
        }
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // What is held came before the end.
        if case .some(.inputClosed) = event as? ChannelEvent, held.readableBytes > 0 {
            isInputClosed = true
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Gives on what belongs to one request, piece by piece, as the decoder says where each one ends.
    private func give(_ context: ChannelHandlerContext) {
        guard !isGiving else { return }
        isGiving = true
        defer { isGiving = false }
        while isOpen, held.readableBytes > 0 {
            let length: Int
            if bodyLeft > 0 {
                length = min(bodyLeft, held.readableBytes)
                bodyLeft -= length
            } else {
                length = held.withUnsafeReadableBytes { end.length(in: $0) }
            }
            guard let piece = held.readSlice(length: length) else { break }
            context.fireChannelRead(wrapInboundOut(piece))
        }
        // The storage goes with the last of it.
        if held.readableBytes == 0 { held = ByteBuffer() }
    }

    private func goOn(_ context: ChannelHandlerContext) {
        guard isOpen, held.readableBytes == 0 else { return }
        if isInputClosed {
            isInputClosed = false
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        if wantsRead {
            wantsRead = false
            context.read()
        }
    }
}

/// Finds the end of an empty line (CR LF CR LF), also if it comes in pieces.
struct EmptyLine {
    private static let bytes: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A]
    /// How many of its bytes have been seen.
    private var seen = 0

    /// - Returns: bytes up to the first empty line's end; all of them if there is none.
    mutating func length(in bytes: UnsafeRawBufferPointer) -> Int {
        guard let start = bytes.baseAddress else { return 0 }
        var index = 0
        while index < bytes.count {
            if seen == 0 {
                guard let next = memchr(start + index, 0x0D, bytes.count - index) else { return bytes.count }
                index = UnsafeRawPointer(next) - start
            }
            let byte = bytes[index]
            index += 1
            if byte == Self.bytes[seen] {
                seen += 1
                if seen == Self.bytes.count {
                    seen = 0
                    return index
                }
            } else {
                seen = byte == 0x0D ? 1 : 0
            }
        }
        return bytes.count
    }
}

/// Before HTTP's own types: brings each request's target into origin form (RFC 9112, 3.2).
///
/// Of an absolute target the authority counts, whatever the Host header says: it takes its place, so that the
/// guards look at the name that is meant.
final class RequestTarget: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data), !head.uri.utf8.starts(with: "/".utf8) else {
            context.fireChannelRead(data)
            return
        }
        guard Self.normalize(&head) else {
            context.fireErrorCaught(HTTPParserError.invalidURL)
            return
        }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    /// - Returns: whether there is a form for it: `http://host/path` is, `*` of OPTIONS, and nothing else.
    static func normalize(_ head: inout HTTPRequestHead) -> Bool {
        if head.uri == "*" { return head.method == .OPTIONS }
        guard let mark = head.uri.firstRange(of: "://"),
            ["http", "https"].contains(head.uri[..<mark.lowerBound].lowercased())
        else { return false }
        let rest = head.uri[mark.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = String(rest[..<end])
        guard !authority.isEmpty else { return false }
        head.uri = rest[end...].first == "/" ? String(rest[end...]) : "/" + rest[end...]
        // None and several stay as they are: both are refused.
        if head.headers["host"].count == 1 { head.headers.replaceOrAdd(name: "host", value: authority) }
        return true
    }
}
