import { h, put, setText, frame, attempt, latest, announce, toast, download, copy } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { sound } from './sound.js';
import { openStream } from './stream.js';
import { newSession, apply, paymentOf } from './exchange.js';
import { createDevice, languageSwitch } from './device.js';
import { createTray } from './cards.js';
import { createTill } from './till.js';
import { createEngineer } from './engineer.js';
import { KINDS, openTerminalDialog } from './terminal-dialog.js';
import { money, time, words } from './format.js';

/** Till, customer and engineer of one terminal. Only this terminal's events come over the line. */
export function createTerminalView({ store, navigate }) {
  let stream = null;
  let live = newSession(null);
  let shown = live;
  let earlier = [];
  // A payment that was under way when the page opened, or that events were lost of, is read from its beginning.
  let following = null;
  let selected = null;
  // Counts what events changed: what was asked for before is older.
  let changes = 0;

  const device = createDevice({ label: 'Terminal, the customer’s side', onPIN: (answer) => attempt(() => api.pin(selected, answer)) });
  const languages = languageSwitch(device);
  const picker = h('button', { type: 'button', class: 'picker', 'aria-haspopup': 'dialog', onclick: choose });
  const till = createTill({ store, terminals: picker, started: (payment) => { if (!earlier.some((each) => each.id === payment.id)) begin(payment.id); pane('customer'); } });
  const tray = createTray({
    store,
    target: () => device,
    async tap(ids, removal) {
      const body = ids.length > 1 ? { cards: ids } : { card: ids[0] };
      if (removal) body.removal = removal;
      ids.forEach((id) => tray.fly(id));
      const answer = await attempt(() => api.tap(selected, body));
      if (answer) announce(`${ids.map((id) => tray.find(id)?.title ?? id).join(' and ')} held to the terminal`);
    },
  });

  const sessions = h('select', { 'aria-label': 'Payment shown', onchange: () => showPayment(sessions.value) });
  const traceButtons = [
    h('button', { type: 'button', class: 'plain small', onclick: async () => { const text = await attempt(() => api.paymentTrace(shown.id)); if (text) copy(text, 'Trace'); } }, icon('copy'), 'Copy trace'),
    h('button', { type: 'button', class: 'plain small', onclick: async () => { const { id } = shown; const text = await attempt(() => api.paymentTrace(id)); if (text) download(`${id}.trace`, text); } }, icon('save'), 'Save trace'),
    h('button', { type: 'button', class: 'plain small', onclick: () => navigate(`#/compare?a=payment:${encodeURIComponent(shown.id)}`) }, icon('compare'), 'Compare'),
  ];
  const engineer = createEngineer({
    label: 'Engineer’s side',
    head: h('header', { class: 'panel-head' }, h('h2', {}, 'Engineer'), sessions, h('div', { class: 'row end' }, traceButtons)),
  });

  const takeOut = h('button', { type: 'button', class: 'small', hidden: true, onclick: () => attempt(() => api.removeCards(selected)) }, icon('dash'), 'Take the card away');
  const customer = h('section', { class: 'panel customer', 'aria-labelledby': 'customer-title' },
    h('header', { class: 'panel-head' }, h('h2', { id: 'customer-title' }, 'Customer'), languages.element),
    device.element, h('div', { class: 'row center' }, takeOut));

  const panes = [['till', 'Till'], ['customer', 'Customer'], ['engineer', 'Exchange']];
  const paneBar = h('div', { class: 'pane-bar', role: 'group', 'aria-label': 'Part of the page' },
    panes.map(([name, label]) => h('button', { type: 'button', dataset: { pane: name }, onclick: () => pane(name) }, label)));
  const element = h('div', { class: 'view terminal-view' },
    h('h1', { class: 'visually-hidden' }, 'Terminal'), till.element, customer, tray.element, engineer.element, paneBar);
  function pane(name) {
    element.dataset.pane = name;
    for (const button of paneBar.children) button.setAttribute('aria-pressed', String(button.dataset.pane === name));
  }
  pane('till');

  let wasAsked = false;
  const draw = frame(() => {
    const { terminal } = store.get();
    if (!terminal) return;
    const isBusy = terminal.state !== 'idle';
    const isPINAsked = terminal.state === 'enteringPIN';
    const isShown = live.id && (isBusy || (terminal.display?.status !== 'idle' && live.payment?.result));
    const field = terminal.card?.ids ?? [];
    languages.offer(Object.keys(terminal.display?.texts ?? {}));
    device.render({ display: terminal.display, terminal, payment: isShown ? live.payment : null, field, isPINAsked, picture: tray.picture });
    takeOut.hidden = field.length === 0;
    if (isPINAsked && !wasAsked) {
      pane('customer');
      device.focusPad();
      announce('The terminal asks for the PIN. Type it, then press Enter.');
    }
    wasAsked = isPINAsked;
    setText(picker, '');
    put(picker, h('span', { class: `state-dot ${terminal.state}` }), h('span', { class: 'picker-name' }, terminal.id), h('span', { class: 'visually-hidden' }, 'Choose the terminal'), icon('chevron'));
    picker.title = `${terminal.reader} (${KINDS[terminal.readerKind] ?? terminal.readerKind})`;
    engineer.show(shown);
    for (const button of traceButtons) button.disabled = !shown.id || !shown.isFinished;
  });

  const refreshSoon = (() => {
    let ids = new Set();
    let timer = null;
    return (more) => {
      more.forEach((id) => ids.add(id));
      clearTimeout(timer);
      timer = setTimeout(() => { const list = [...ids]; ids = new Set(); tray.refresh(list); }, 120);
    };
  })();

  function begin(id) {
    if (live.id === id) return;
    const wasLive = shown === live;
    live = newSession(id);
    if (wasLive || sessions.value === 'live') { shown = live; sessions.value = 'live'; }
    store.set({ shown: null });
    draw();
  }

  function take(event) {
    const { terminal } = store.get();
    if (['terminal', 'display', 'tap', 'removed'].includes(event.type)) changes += 1;
    if (event.type === 'terminal') {
      store.set({ terminal: event.terminal });
    } else if (event.type === 'display') {
      // One tone for one thing: "approved" after "card read" says again that the card was read.
      if (event.display.status !== terminal.display?.status) sound.play(event.display.sound);
      store.set({ terminal: { ...terminal, display: event.display } });
    } else if (event.type === 'tap') {
      store.set({ terminal: { ...terminal, card: { ids: event.cards } } });
      refreshSoon(event.cards);
    } else if (event.type === 'removed') {
      store.set({ terminal: { ...store.get().terminal, card: undefined } });
      refreshSoon(event.cards);
    }
    const id = paymentOf(event);
    if (id) {
      if (id !== live.id) begin(id);
      if (id !== following) apply(live, event);
      if (event.type === 'finished') finish(event.payment);
    }
    draw();
  }

  function finish(payment) {
    announce(`Payment ${words(payment.result?.status)}`);
    store.set({ shown: payment, finishedCount: (store.get().finishedCount ?? 0) + 1 });
    earlier = [payment, ...earlier.filter((each) => each.id !== payment.id)].slice(0, 50);
    listSessions();
  }

  function listSessions() {
    const value = sessions.value;
    put(sessions, h('option', { value: 'live' }, 'Live'), earlier.map((payment) => h('option', { value: payment.id },
      `${time(payment.createdAt)} · ${money(payment.amount, payment.currency)} · ${words(payment.result?.status ?? payment.state)}`)));
    sessions.value = [...sessions.options].some((option) => option.value === value) ? value : 'live';
  }

  const follow = latest(async (signal, id, ended) => {
    following = id;
    const session = newSession(id);
    live = session;
    if (sessions.value === 'live') shown = session;
    const read = () => api.paymentEvents(id, (event) => { apply(session, event); draw(); }, signal);
    try {
      // A payment that begins this moment may have a name before it has events.
      await read().catch((error) => {
        if (error.status !== 404 || ended) throw error;
        return new Promise((resolve) => { setTimeout(resolve, 200); }).then(read);
      });
    } catch {
      signal.throwIfAborted();
      // What is there is shown; of a payment that the daemon was stopped in, at least how it ended.
      if (ended && live === session) { apply(session, { type: 'finished', payment: ended }); finish(ended); }
    }
    following = null;
    draw();
  });

  const showPayment = latest(async (signal, id) => {
    if (id === 'live') shown = live;
    else {
      const session = newSession(id);
      shown = session;
      session.payment = earlier.find((payment) => payment.id === id) ?? null;
      session.isFinished = true;
      // A payment of an earlier run of the daemon: its result is kept, its events are not.
      await attempt(() => api.paymentEvents(id, (event) => { apply(session, event); draw(); }, signal).catch((error) => { if (error.status !== 404) throw error; }));
      signal.throwIfAborted();
    }
    store.set({ shown: shown.payment?.result ? shown.payment : null });
    draw();
  });

  // Reads the terminal anew: on choosing it, and when events may have been lost.
  const load = latest(async (signal, id) => {
    let terminal;
    let seen;
    for (let round = 0; round < 5 && seen !== changes; round += 1) {
      seen = changes;
      terminal = await api.terminal(id, signal);
    }
    store.set({ terminal });
    if (terminal.payment && terminal.payment !== following) follow(terminal.payment);
    const known = earlier;
    api.payments({ terminal: id, limit: 30 }, signal).then((items) => {
      // What has ended since they were asked for is newer than the response.
      const since = earlier.filter((payment) => !known.includes(payment));
      earlier = [...since, ...items.filter((payment) => payment.state === 'finished' && !since.some((each) => each.id === payment.id))];
      listSessions();
      const ended = earlier.find((payment) => payment.id === live.id);
      if (ended && !live.isFinished && !terminal.payment && following !== live.id) follow(live.id, ended);
      if (!live.id && earlier.length && shown === live) {
        // The last payment is more telling than an empty page.
        sessions.value = earlier[0].id;
        showPayment(earlier[0].id).then(() => { if (sessions.value === earlier[0]?.id && !live.id) { live = shown; sessions.value = 'live'; store.set({ shown: null }); draw(); } });
      }
    }).catch(() => {});
    draw();
  });

  function leave() {
    for (const reading of [load, follow, showPayment]) reading.cancel();
    stream?.close();
    stream = null;
    selected = null;
    live = newSession(null);
    shown = live;
    following = null;
    wasAsked = false;
    earlier = [];
    listSessions();
    store.set({ terminal: null, terminalId: null, shown: null });
  }

  // Removed by somebody, or made in an earlier run of the daemon.
  function gone(id) {
    if (selected !== id) return;
    open.cancel();
    leave();
    toast(`There is no terminal ${id} here`);
    navigate('#/terminal');
  }

  const open = latest(async (signal, id) => {
    leave();
    selected = id;
    store.set({ terminalId: id });
    const read = async () => {
      try {
        await load(id);
      } catch (error) {
        if (error.status === 404) gone(id);
        else if (error.status) toast(error.message);
      }
    };
    await read();
    signal.throwIfAborted();
    stream = openStream(id, {
      take,
      state: (connection) => store.set({ connection }),
      renewed: () => { read(); tray.load().catch(() => {}); },
      gone: () => gone(id),
    });
  });
  const select = (id) => (selected === id ? undefined : open(id));

  function choose() {
    openTerminalDialog({
      selected,
      choose: (id) => navigate(`#/terminal/${encodeURIComponent(id)}`),
      removed: (id) => {
        if (selected !== id) return;
        open.cancel();
        leave();
        navigate('#/terminal');
      },
    });
  }

  const show = latest(async (signal, path) => {
    const id = path[0] ?? store.get().terminalId ?? (await attempt(() => api.firstTerminal(signal)))?.id;
    signal.throwIfAborted();
    if (!id) return choose();
    return select(id);
  });

  store.watch(['terminal', 'canAct'], draw);
  return {
    element,
    title: 'Terminal',
    show,
    hide: show.cancel,
    /** Follows a terminal while another view is shown. */
    async listen() {
      const terminal = selected ? null : await api.firstTerminal();
      if (terminal && !selected) await select(terminal.id);
    },
    refund(payment) { navigate(`#/terminal/${encodeURIComponent(payment.terminal)}`); till.refund(payment); },
  };
}
