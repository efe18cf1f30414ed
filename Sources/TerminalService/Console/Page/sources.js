import { api } from './api.js';
import { newSession, apply } from './exchange.js';
import { money, time, words } from './format.js';

/** The events of a trace replayed, or of a payment: `trace:NAME` or `payment:ID`. */
export async function readSource(source, { mode, signal } = {}) {
  const [kind, name] = [source.slice(0, source.indexOf(':')), source.slice(source.indexOf(':') + 1)];
  let events = [];
  let replay = null;
  if (kind === 'trace') {
    replay = await api.replay(name, mode, signal);
    events = replay.events;
  } else {
    await api.paymentEvents(name, (event) => events.push(event), signal);
  }
  // Steps are counted from one, whatever numbers the daemon gave.
  events = events.filter((event) => event.type !== 'terminal').map((event, index) => ({ ...event, id: index + 1 }));
  const session = events.reduce(apply, newSession(name));
  return { source, name, events, session, replay };
}

/** What can be looked at: traces and the latest payments. */
export async function listSources(signal) {
  const [traces, payments] = await Promise.all([api.traces(signal), api.payments({ limit: 40 }, signal).catch(() => [])]);
  return {
    traces: traces.map((trace) => ({ source: `trace:${trace.name}`, label: trace.name, trace })),
    payments: payments.filter((payment) => payment.state === 'finished').map((payment) => ({
      source: `payment:${payment.id}`,
      label: `${time(payment.createdAt)} · ${money(payment.amount, payment.currency)} · ${words(payment.result?.status)} · ${payment.terminal}`,
      payment,
    })),
  };
}
