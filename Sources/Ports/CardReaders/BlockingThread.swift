internal import Glibc
internal import Synchronization

/// A thread of its own for C calls that block, so that Swift's cooperative pool never waits for a device.
///
/// Work is done one piece after the other. It is a `TaskExecutor` as well: a task that prefers it runs its
/// blocking calls without any change of thread.
package final class BlockingThread: TaskExecutor {
    // Mutex and condition live on the heap as pthread wants their addresses to stay; the queue is only
    // touched under that mutex.
    private final class Queue: @unchecked Sendable {
        enum Item {
            case job(UnownedJob)
            case work(@Sendable () -> Void)
        }
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private var items: [Item] = []
        private var isWaiting = false
        private var isStopped = false

        init() {
            pthread_mutex_init(mutex, nil)
            pthread_cond_init(condition, nil)
        }
        deinit {
            pthread_cond_destroy(condition)
            pthread_mutex_destroy(mutex)
            condition.deallocate()
            mutex.deallocate()
        }
        func append(_ item: Item) {
            pthread_mutex_lock(mutex)
            items.append(item)
            let wakes = isWaiting
            pthread_mutex_unlock(mutex)
            if wakes { pthread_cond_signal(condition) }
        }
        func stop() {
            pthread_mutex_lock(mutex)
            isStopped = true
            pthread_mutex_unlock(mutex)
            pthread_cond_signal(condition)
        }
        /// The next items in order, waiting for some; nil when stopped and empty.
        func next() -> [Item]? {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            while items.isEmpty {
                if isStopped { return nil }
                isWaiting = true
                pthread_cond_wait(condition, mutex)
                isWaiting = false
            }
            let taken = items
            items = []
            return taken
        }
    }

    private final class Start {
        let queue: Queue
        let executor: UnownedTaskExecutorBox
        let name: String
        init(queue: Queue, executor: UnownedTaskExecutorBox, name: String) {
            self.queue = queue
            self.executor = executor
            self.name = name
        }
    }
    // Written once before the first job, read by the thread when it runs a job.
    private final class UnownedTaskExecutorBox: @unchecked Sendable {
        var executor: UnownedTaskExecutor?
    }

    private let queue = Queue()
    private let thread: pthread_t

    /// - Parameter name: shown by debuggers; at most 15 bytes.
    package init(name: String) {
        let box = UnownedTaskExecutorBox()
        let start = Start(queue: queue, executor: box, name: name)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                nameCurrentThread(start.name)
                while let items = start.queue.next() {
                    for item in items {
                        switch item {
                        case .work(let work): work()
                        case .job(let job):
                            if let executor = start.executor.executor {
                                unsafe job.runSynchronously(on: executor)
                            }
                        }
                    }
                }
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        precondition(status == 0, "no thread could be started: \(String(cString: strerror(status)))")
        pthread_detach(thread)
        self.thread = thread
        box.executor = asUnownedTaskExecutor()
    }

    deinit { queue.stop() }

    /// Whether the caller runs on this thread.
    package var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

    package func enqueue(_ job: consuming ExecutorJob) { queue.append(.job(UnownedJob(job))) }

    /// Does `body` on the thread after what was asked for before, and waits for nothing: also while the thread is
    /// being given up.
    package func post(_ body: @escaping @Sendable () -> Void) { queue.append(.work(body)) }

    // MARK: - Calls

    /// How a call ended for the one who waited for it.
    package enum Completion<Value: Sendable>: Sendable {
        case value(Value)
        /// The deadline passed; `began` tells whether the thread had come to the call.
        case timedOut(began: Bool)
        case cancelled
    }

    /// A call under way.
    package final class Call<Value: Sendable>: Sendable {
        private enum State {
            case fresh
            case waiting(CheckedContinuation<Completion<Value>, Never>)
            case finished(Completion<Value>?)
        }
        private struct Content {
            var state = State.fresh
            var began = false
        }
        private let content = Mutex(Content())

        /// Whether nobody waits for the value any more: time to stop.
        package var isAbandoned: Bool {
            content.withLock { if case .finished = $0.state { true } else { false } }
        }
        fileprivate func begin() -> Bool {
            content.withLock {
                $0.began = true
                if case .finished = $0.state { return false }
                return true
            }
        }
        fileprivate func wait(_ continuation: CheckedContinuation<Completion<Value>, Never>) {
            let early: Completion<Value>? = content.withLock {
                if case .finished(let completion) = $0.state { return completion }
                $0.state = .waiting(continuation)
                return nil
            }
            if let early { continuation.resume(returning: early) }
        }
        /// Ends the wait, if it still lasts. Returns whether this ended it.
        @discardableResult
        fileprivate func end(_ completion: (_ began: Bool) -> Completion<Value>) -> Bool {
            let ended: (CheckedContinuation<Completion<Value>, Never>?, Completion<Value>)? =
                content.withLock {
                    let completion = completion($0.began)
                    switch $0.state {
                    case .finished: return nil
                    case .fresh:
                        $0.state = .finished(completion)
                        return (nil, completion)
                    case .waiting(let continuation):
                        $0.state = .finished(nil)
                        return (continuation, completion)
                    }
                }
            guard let ended else { return false }
            ended.0?.resume(returning: ended.1)
            return true
        }
    }

    /// Does `body` on the thread. The wait ends at the deadline and on cancellation even while the thread is
    /// still held up in a C call; the value is then lost.
    /// - Parameters:
    ///   - abandon: called once when the wait ends early, to interrupt the C call.
    ///   - discard: called on the thread with a value that came too late for the one who waited.
    package func perform<Value: Sendable>(
        deadline: ContinuousClock.Instant? = nil, abandon: (@Sendable () -> Void)? = nil,
        discard: (@Sendable (Value) -> Void)? = nil,
        _ body: @escaping @Sendable (Call<Value>) -> Value
    ) async -> Completion<Value> {
        let call = Call<Value>()
        let alarm = deadline.map { deadline in
            Watchdog.shared.arm(deadline) {
                if call.end({ .timedOut(began: $0) }) { abandon?() }
            }
        }
        defer { if let alarm { Watchdog.shared.disarm(alarm) } }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call.wait(continuation)
                queue.append(
                    .work {
                        guard call.begin() else { return }
                        let value = body(call)
                        if !call.end({ _ in .value(value) }) { discard?(value) }
                    })
            }
        } onCancel: {
            if call.end({ _ in .cancelled }) { abandon?() }
        }
    }
}

/// Calls what is due at its deadline, on a thread of its own. Arming and disarming cost a lock: the thread
/// is woken only where it would sleep too long, so that a time limit on each command costs nothing.
package final class Watchdog: @unchecked Sendable {
    // Everything below is only touched under `mutex`; the pointers never change.
    package static let shared = Watchdog()

    private struct Alarm {
        var id: UInt64
        var nanoseconds: UInt64
        var action: @Sendable () -> Void
    }
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var alarms: [Alarm] = []
    private var sleepsUntil: UInt64 = 0
    private var lastID: UInt64 = 0

    private init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { _ in
                nameCurrentThread("watchdog")
                Watchdog.shared.run()
                return nil
            }, nil)
        precondition(status == 0, "no thread could be started: \(String(cString: strerror(status)))")
        pthread_detach(thread)
    }

    /// - Returns: what `disarm` takes.
    package func arm(_ deadline: ContinuousClock.Instant, _ action: @escaping @Sendable () -> Void) -> UInt64
    {
        let remaining = ContinuousClock.now.duration(to: deadline).components
        let nanoseconds: UInt64 =
            remaining.seconds < 0 || remaining.attoseconds < 0
            ? 0
            : UInt64(min(remaining.seconds, 1_000_000_000)) * 1_000_000_000
                + UInt64(remaining.attoseconds / 1_000_000_000)
        return arm(nanoseconds: Stopwatch.now &+ nanoseconds, action)
    }

    /// - Parameter due: on the stopwatch's clock.
    @discardableResult
    package func arm(nanoseconds due: UInt64, _ action: @escaping @Sendable () -> Void) -> UInt64 {
        pthread_mutex_lock(mutex)
        lastID &+= 1
        let id = lastID
        alarms.append(Alarm(id: id, nanoseconds: due, action: action))
        let wakes = due < sleepsUntil
        pthread_mutex_unlock(mutex)
        if wakes { pthread_cond_signal(condition) }
        return id
    }

    package func disarm(_ id: UInt64) {
        pthread_mutex_lock(mutex)
        let index = alarms.lastIndex { $0.id == id }
        let removed = index.map { alarms.remove(at: $0) }
        pthread_mutex_unlock(mutex)
        _ = removed  // Its closure is let go outside the lock.
    }

    private func run() {
        pthread_mutex_lock(mutex)
        while true {
            let now = Stopwatch.now
            let due = alarms.filter { $0.nanoseconds <= now }
            if !due.isEmpty {
                alarms.removeAll { $0.nanoseconds <= now }
                sleepsUntil = 0
                pthread_mutex_unlock(mutex)
                for alarm in due { alarm.action() }
                pthread_mutex_lock(mutex)
                continue
            }
            if let next = alarms.map(\.nanoseconds).min() {
                sleepsUntil = next
                var time = timespec(
                    tv_sec: Int(next / 1_000_000_000), tv_nsec: Int(next % 1_000_000_000))
                pthread_cond_timedwait(condition, mutex, &time)
            } else {
                sleepsUntil = .max
                pthread_cond_wait(condition, mutex)
            }
            sleepsUntil = 0
        }
    }
}

/// Names the calling thread for debuggers and `ps`, which show 15 bytes. (`pthread_setname_np` is hidden from
/// Swift's Glibc.)
private func nameCurrentThread(_ name: String) {
    guard let file = fopen("/proc/thread-self/comm", "w") else { return }
    fputs(name, file)
    fclose(file)
}
