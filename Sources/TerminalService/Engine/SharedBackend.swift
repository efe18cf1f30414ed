internal import Acquiring

/// One host for many terminals. Its late answers have one listener, the hall, as any terminal's would take them from the
/// others.
struct SharedBackend: AcquirerBackend {
    let base: any AcquirerBackend

    var name: String { base.name }
    func authorize(_ request: AuthorizationRequest) async throws(AcquirerError) -> AuthorizationResponse {
        try await base.authorize(request)
    }
    func reverse(_ request: ReversalRequest) async throws(AcquirerError) { try await base.reverse(request) }
    func advise(_ request: AuthorizationRequest, offline: OfflineDecision) async throws(AcquirerError) {
        try await base.advise(request, offline: offline)
    }
    func adjust(_ request: AdjustmentRequest) async throws(AcquirerError) { try await base.adjust(request) }
    func reconcile(_ request: ReconciliationRequest) async throws(AcquirerError) -> ReconciliationAnswer {
        try await base.reconcile(request)
    }
    func upload(_ item: BatchItem) async throws(AcquirerError) { try await base.upload(item) }
    func answersOutOfTime() async -> AsyncStream<LateAnswer> { AsyncStream { $0.finish() } }
}
