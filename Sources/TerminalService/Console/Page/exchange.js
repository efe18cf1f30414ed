// A payment as its events tell it. Pure: the same events give the same session, live, replayed or compared.

export function newSession(id) {
  return {
    id, payment: null, entries: [], display: null, lastEvent: 0, elapsed: 0, began: null, field: [], kernel: null,
    outcome: null, outcomes: [], tvr: null, cvmResults: null, cid: null, verdicts: [], host: [], isPINAsked: false,
    hostVerdicts: [], isFinished: false, commands: 0, version: 0,
  };
}

/** The id of the payment that an event belongs to, or undefined. */
export const paymentOf = (event) => event.payment?.id ?? event.payment;

const kernelName = (kernel) => (/^\d/.test(kernel ?? '') ? `Kernel ${kernel}` : kernel);

/** Takes one event into the session. */
export function apply(session, event) {
  session.version += 1;
  session.lastEvent = event.id ?? session.lastEvent;
  if (event.elapsed !== undefined) session.elapsed = Math.max(session.elapsed, event.elapsed);
  const note = (kind, title, more = {}) => {
    session.entries.push({ kind, title, at: event.elapsed ?? session.elapsed, event: event.id, ...more });
  };
  switch (event.type) {
    case 'payment':
      session.payment = event.payment;
      break;
    case 'display':
      session.display = event.display;
      break;
    case 'tap':
      session.field = event.cards ?? [];
      note('tap', session.field.length > 1 ? 'Two cards held to the reader' : 'Held to the reader', { detail: session.field.join(' and ') });
      break;
    case 'removed':
      session.field = [];
      note('removed', 'Taken out of the field', { detail: (event.cards ?? []).join(' and ') });
      break;
    case 'card':
      session.began ??= event.elapsed;
      note('card', 'Card activated', { detail: [event.technology && `type ${event.technology}`, event.uid && `UID ${event.uid}`, event.atr && `ATR ${event.atr}`].filter(Boolean).join(' · ') });
      break;
    case 'command':
      session.commands += 1;
      session.began ??= event.elapsed;
      session.entries.push({
        kind: 'exchange', number: session.commands, at: event.elapsed, event: event.id, name: event.name,
        detail: commandDetail(event), command: { hex: event.hex, tree: event.tree }, response: null, revision: 0,
      });
      break;
    case 'response': {
      const open = session.entries.findLast((entry) => entry.kind === 'exchange');
      if (!open || open.response) break;
      open.response = { hex: event.hex, sw: event.sw, microseconds: event.microseconds, tree: event.tree };
      open.until = event.elapsed;
      open.lastEvent = event.id;
      open.revision += 1;
      break;
    }
    case 'readerError': {
      const open = session.entries.at(-1);
      if (open?.kind === 'exchange' && !open.response) {
        open.failed = event.text;
        open.until = event.elapsed;
        open.revision += 1;
      }
      note('error', 'Reader', { detail: event.text });
      break;
    }
    case 'fieldOff':
      note('quiet', 'Field switched off');
      break;
    case 'unpredictableNumber':
      note('quiet', 'Unpredictable number', { detail: event.hex });
      break;
    case 'kernel':
      session.kernel = { kernel: event.kernel, state: event.state };
      note('kernel', kernelName(event.kernel), { detail: spaced(event.state) });
      break;
    case 'dataExchange':
      note('data', 'Kernel asks the terminal for data', { detail: (event.needed ?? []).join(' '), tree: event.tree });
      break;
    case 'dataExchanged':
      note('data', 'Terminal gives the kernel data', { tree: event.tree });
      break;
    case 'outcome':
      session.outcome = event;
      session.outcomes.push(event);
      session.tvr = event.tvr ?? session.tvr;
      session.cvmResults = event.cvmResults ?? session.cvmResults;
      session.cid = event.cid ?? session.cid;
      session.verdicts = event.verdicts ?? session.verdicts;
      note('outcome', 'Outcome', { detail: spaced(event.status), status: event.status, tree: event.tree });
      break;
    case 'refused':
      note('error', 'Refused by the merchant', { detail: event.reason });
      break;
    case 'pinRequested':
      session.isPINAsked = true;
      note('pin', 'PIN asked for', { began: event.elapsed });
      break;
    case 'pinEntered': {
      session.isPINAsked = false;
      const asked = session.entries.findLast((entry) => entry.kind === 'pin');
      if (asked) asked.until = event.elapsed;
      note('quiet', `PIN ${event.result}`);
      break;
    }
    case 'authorizationSent':
      session.host.push({ sent: event, answered: null, at: event.elapsed });
      note('host', 'Authorization sent', { detail: `STAN ${event.stan}${event.entryMode ? ` · ${spaced(event.entryMode)}` : ''}` });
      break;
    case 'authorizationAnswered': {
      const open = session.host.findLast((each) => each.sent && !each.answered && !each.failed);
      if (open) { open.answered = event; open.until = event.elapsed; }
      const asked = session.entries.findLast((entry) => entry.kind === 'host' && entry.until === undefined);
      if (asked) asked.until = event.elapsed;
      session.hostVerdicts = event.verdicts ?? session.hostVerdicts;
      note('answer', event.approved ? 'Host approved' : 'Host did not approve', {
        status: event.approved ? 'approved' : 'declined',
        detail: [`response code ${event.responseCode ?? '–'}`, event.authorizationCode && `authorization ${event.authorizationCode}`].filter(Boolean).join(' · '),
      });
      break;
    }
    case 'authorizationFailed': {
      const open = session.host.findLast((each) => each.sent && !each.answered && !each.failed);
      if (open) { open.failed = event.text; open.until = event.elapsed; }
      const asked = session.entries.findLast((entry) => entry.kind === 'host' && entry.until === undefined);
      if (asked) asked.until = event.elapsed;
      note('error', 'Authorization failed', { detail: event.text });
      break;
    }
    case 'hostMessage':
      session.host.push({ message: event, at: event.elapsed });
      break;
    case 'reversal':
      session.host.push({ reversal: event, at: event.elapsed });
      note(event.delivered ? 'answer' : 'error', 'Reversal', { detail: `${event.reason} · transmission ${event.transmission} · ${event.delivered ? 'acknowledged' : 'owed to the host'}` });
      break;
    case 'finished':
      session.payment = event.payment;
      session.isFinished = true;
      session.isPINAsked = false;
      session.field = [];
      note('finished', 'Finished', { status: event.payment?.result?.status, detail: spaced(event.payment?.result?.status) });
      break;
    default:
      break;
  }
  return session;
}

const spaced = (name) => String(name ?? '').replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`).replace(/-/g, ' ');

/** What a command asks for, in few words, from its header (ISO/IEC 7816-4; EMV Book 3, 6.5). */
function commandDetail({ hex, tree }) {
  const byte = (index) => parseInt(hex?.slice(index * 2, index * 2 + 2), 16);
  const [ins, p1, p2] = [byte(1), byte(2), byte(3)];
  if ([ins, p1, p2].some(Number.isNaN)) return '';
  const two = (value) => value.toString(16).toUpperCase().padStart(2, '0');
  switch (ins) {
    case 0xA4: {
      const named = tree?.children?.find((child) => /name|AID/i.test(child.name));
      const text = named?.lines?.[0]?.text ?? '';
      return text.startsWith('"') ? text.slice(1, -1) : named?.value ?? hex.slice(10, 10 + 2 * byte(4));
    }
    case 0xB2: return `SFI ${p2 >> 3}, record ${p1}`;
    case 0xAE: return ['AAC', 'TC', 'ARQC', 'RFU'][p1 >> 6] + (p1 & 0x10 ? ' with CDA' : '');
    case 0xCA: return two(p1) + two(p2);
    case 0xDA: return two(p1) + two(p2);
    default: return '';
  }
}

/** Commands with their answers. */
export const exchanges = (session) => session.entries.filter((entry) => entry.kind === 'exchange');

/** What took how long, in microseconds: while a card was there, at the host, at the PIN pad. */
export function spans(session) {
  const list = [];
  let number = 0;
  for (const entry of session.entries) {
    if (entry.kind === 'exchange') {
      number += 1;
      const length = entry.response?.microseconds ?? Math.max(0, (entry.until ?? entry.at) - entry.at);
      list.push({ kind: entry.failed ? 'failed' : 'card', label: entry.name, detail: entry.detail, number, from: entry.at, length });
    } else if (entry.kind === 'pin') {
      list.push({ kind: 'pin', label: 'PIN entry', from: entry.at, length: Math.max(0, (entry.until ?? session.elapsed) - entry.at) });
    } else if (entry.kind === 'host') {
      list.push({ kind: 'host', label: 'Host', from: entry.at, length: Math.max(0, (entry.until ?? session.elapsed) - entry.at) });
    } else if (entry.kind === 'outcome' || entry.kind === 'card' || entry.kind === 'finished') {
      list.push({ kind: 'mark', label: entry.title, detail: entry.kind === 'card' ? '' : entry.detail, from: entry.at, length: 0 });
    }
  }
  return list;
}
