import { api, authentication } from './api.js';

/** The types of events that the daemon sends. */
export const TYPES = [
  'payment', 'display', 'terminal', 'card', 'command', 'response', 'readerError', 'fieldOff',
  'unpredictableNumber', 'kernel', 'dataExchange', 'dataExchanged', 'outcome', 'refused', 'pinRequested', 'pinEntered',
  'authorizationSent', 'authorizationAnswered', 'authorizationFailed', 'hostMessage', 'reversal', 'finished', 'tap', 'removed', 'lost',
];

/**
 * The live events of one terminal. EventSource comes back by itself and says with Last-Event-ID where it was;
 * where it gives up (the daemon answered with an error) it is opened anew, with growing pauses.
 *
 * - take(event): each event, once and in order.
 * - state('connecting' | 'open' | 'lost'): for people.
 * - renewed(): the line is there, and events may have been missed before; read again what is shown.
 * - gone(): the daemon knows no such terminal (any more).
 */
export function openStream(terminal, { take, state, renewed, gone }) {
  let source = null;
  let timer = null;
  let pause = 500;
  let isClosed = false;

  const receive = (message) => {
    let event;
    try { event = JSON.parse(message.data); } catch { return; }
    event.type ??= message.type;
    if (event.type === 'lost') renewed();
    else take(event);
  };

  function open() {
    source = new EventSource(`/v1/events?terminal=${encodeURIComponent(terminal)}`);
    for (const type of TYPES) source.addEventListener(type, receive);
    source.addEventListener('open', () => {
      pause = 500;
      state('open');
      renewed();
    });
    source.addEventListener('error', () => {
      if (isClosed) return;
      state('lost');
      if (source.readyState !== EventSource.CLOSED) return;
      source.close();
      timer = setTimeout(again, pause);
      pause = Math.min(pause * 2, 10000);
    });
  }

  // Asks first whether daemon and terminal are there, and for a token where it wants one; the session may be over.
  async function again() {
    try {
      await api.terminal(terminal);
      await authentication.renew();
      if (!isClosed) open();
    } catch (error) {
      if (isClosed) return;
      if (error.status === 404) { gone(); return; }
      timer = setTimeout(again, pause);
      pause = Math.min(pause * 2, 10000);
    }
  }

  state('connecting');
  open();
  return {
    close() {
      isClosed = true;
      clearTimeout(timer);
      source?.close();
    },
  };
}
