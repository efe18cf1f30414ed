internal import Acquiring
internal import CardReaders
internal import EMV
internal import Journal
internal import Kernels

/// Carries out what `PaymentFlow` asks for.
extension TerminalSession {
    func run(_ payment: inout PaymentInHand) async -> PaymentEnd {
        let wanted = payment.wanted
        var flow = PaymentFlow(
            PaymentFlow.Terms(
                amount: wanted.amount, purpose: wanted.purpose, isRefund: wanted.type == .refund,
                acceptsPartialApproval: wanted.acceptsPartialApproval,
                identifiesCardholders: profile.acceptance.identifiesCardholders))
        var actions = flow.start()
        while true {
            var event: PaymentFlow.Event?
            for action in actions {
                if case .finish(let end) = action { return end }
                event = await perform(action, &payment)
            }
            guard let event else {
                return PaymentEnd(.failed, reason: "internal error: nothing goes on", journalFailed: true)
            }
            actions = flow.handle(event)
        }
    }

    /// - Returns: what came of it; nil where that is nothing to be decided on.
    private func perform(
        _ action: PaymentFlow.Action, _ payment: inout PaymentInHand
    ) async -> PaymentFlow.Event? {
        switch action {
        case .readCard: return await readCard(&payment)
        // Nothing was sent yet, and nobody wants it any more.
        case .write(.authorization) where Task.isCancelled: return .cancelled
        case .write(let write): return await self.write(write, &payment)
        case .show(let message):
            await show(message)
            return nil
        case .reportRefusal(let reason):
            environment.observer?(.refusedByMerchant(reason: reason))
            return nil
        case .releaseCard:
            if let outcome = payment.latest { await release(outcome, payment.driver) }
            return nil
        case .turnFieldOff:
            await reader.fieldOff()
            return nil
        case .enterPIN: return await enterPIN(&payment)
        case .authorize: return await authorize(&payment)
        case .updateCard: return await updateCard(&payment)
        case .deliverReversal: return await deliverReversal(of: payment.transactionID)
        case .forward: return .forwarded(note: await forward(payment.transactionID))
        case .wakeQueue:
            await forwarder.wake()
            return nil
        case .finish: return nil
        }
    }

    // MARK: - Journal

    private func write(_ write: PaymentWrite, _ payment: inout PaymentInHand) async -> PaymentFlow.Event {
        do throws(JournalError) {
            switch write {
            case .request, .offlineApproval:
                let request = payment.authorizationRequest(of: profile)
                payment.request = request
                try await journal.write(
                    write, of: payment.transactionID, reading: write == .request ? payment.reading : nil,
                    keeping: request.flatMap { KeptRequest($0).bytes })
            case .reading:
                try await journal.write(write, of: payment.transactionID, reading: payment.reading)
            default: try await journal.write(write, of: payment.transactionID, backend: backend.name)
            }
            return .written
        } catch {
            return .notWritten("\(error)")
        }
    }

    // MARK: - Host

    private func enterPIN(_ payment: inout PaymentInHand) async -> PaymentFlow.Event {
        guard let pad = environment.pinPad, let request = payment.request else { return .pinNotEntered }
        do throws(PINPadError) {
            let pin = try await pad.enter(
                PINPad.Request(
                    number: request.primaryAccountNumber, amount: request.amount,
                    currency: request.currency, languages: profile.languages))
            payment.request?.onlinePIN = pin
            return pin == nil ? .pinNotEntered : .pinEntered
        } catch {
            return .pinFailed("\(error)")
        }
    }

    private func authorize(_ payment: inout PaymentInHand) async -> PaymentFlow.Event {
        guard let request = payment.request else { return .notResponded(.unreachable("no request")) }
        // PIN blocks are not kept after authorization.
        payment.request = nil
        environment.observer?(.authorizationSent(request))
        switch await HostCall.authorize(request, by: backend, within: profile.timing.authorization) {
        case .success(let response):
            environment.observer?(.authorizationAnswered(response))
            payment.response = response
            return .responded(response)
        case .failure(let error):
            environment.observer?(.authorizationFailed(error))
            return .notResponded(error)
        }
    }

    private func deliverReversal(of id: String) async -> PaymentFlow.Event {
        do throws(JournalError) {
            _ = try await forwarder.flush()
            return .reversalDelivered(isAcknowledged: try await journal.show(id)?.state == .reversed)
        } catch {
            return .reversalNotDelivered("\(error)")
        }
    }

    /// Forwarded at once where the host can be reached, else by the forwarder or `recover`.
    /// - Returns: why it is yet to be forwarded.
    private func forward(_ id: String) async -> String? {
        if await forwarder.isRunning {
            await forwarder.wake()
            return nil
        }
        do throws(JournalError) {
            switch try await forwarder.flush().first(where: { $0.record.id == id })?.result {
            case .delivered: return nil
            case .postponed(let problem): return "approved offline; not yet forwarded: \(problem)"
            case .parked(let problem): return "approved offline; not forwarded: \(problem)"
            case .failed(let problem): return "approved offline; not yet forwarded: \(problem)"
            case nil: return "approved offline; not yet forwarded: others come first"
            }
        } catch {
            return "approved offline; the journal did not take the forwarding: \(error)"
        }
    }
}
