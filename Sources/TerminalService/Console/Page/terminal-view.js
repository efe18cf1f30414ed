import { h, put, setText, frame, attempt, announce, toast, download, copy } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { sound } from './sound.js';
import { openStream } from './stream.js';
import { newSession, apply, paymentOf } from './exchange.js';
import { createDevice, languageSwitch } from './device.js';
import { createTray } from './cards.js';
import { createTill } from './till.js';
import { createEngineer } from './engineer.js';
import { openDialog } from './dialog.js';
import { virtualList } from './virtual-list.js';
import { money, time, words } from './format.js';

const KINDS = { emulated: 'emulated reader', pcsc: 'PC/SC reader', libnfc: 'libnfc device', remote: 'reader on another host' };

/** Till, customer and engineer of one terminal. Only this terminal's events come over the line. */
export function createTerminalView({ store, navigate }) {
  let stream = null;
  let live = newSession(null);
  let shown = live;
  let earlier = [];
  // A payment that was under way when the page opened, or that events were lost of, is read from its beginning.
  let following = null;
  let selected = null;

  const device = createDevice({ label: 'Terminal, the customer’s side', onPIN: (answer) => attempt(() => api.pin(selected, answer)) });
  const languages = languageSwitch(device);
  const picker = h('button', { type: 'button', class: 'picker', 'aria-haspopup': 'dialog', onclick: choose });
  const till = createTill({ store, terminals: picker, started: (payment) => { begin(payment.id); pane('customer'); } });
  const tray = createTray({
    store,
    target: () => device.landing,
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
    h('button', { type: 'button', class: 'plain small', onclick: async () => { const text = await attempt(() => api.paymentTrace(shown.id)); if (text) download(`${shown.id}.trace`, text); } }, icon('save'), 'Save trace'),
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
    if (event.type === 'terminal') {
      store.set({ terminal: event.terminal });
    } else if (event.type === 'display') {
      store.set({ terminal: { ...terminal, display: event.display } });
      sound.play(event.display.sound);
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

  async function follow(id) {
    following = id;
    const session = newSession(id);
    live = session;
    if (sessions.value === 'live') shown = session;
    try {
      await api.paymentEvents(id, (event) => { apply(session, event); draw(); });
    } catch { /* what is there is shown */ }
    if (following === id) following = null;
    draw();
  }

  async function showPayment(id) {
    if (id === 'live') shown = live;
    else {
      const session = newSession(id);
      shown = session;
      session.payment = earlier.find((payment) => payment.id === id) ?? null;
      session.isFinished = true;
      // A payment of an earlier run of the daemon: its result is kept, its events are not.
      await attempt(() => api.paymentEvents(id, (event) => { apply(session, event); draw(); }).catch((error) => { if (error.status !== 404) throw error; }));
    }
    store.set({ shown: shown.payment?.result ? shown.payment : null });
    draw();
  }

  // Reads the terminal anew: on choosing it, and when events may have been lost.
  async function load(id) {
    const terminal = await api.terminal(id);
    if (selected !== id) return;
    store.set({ terminal });
    if (terminal.payment) follow(terminal.payment);
    api.payments({ terminal: id, limit: 30 }).then((items) => {
      if (selected !== id) return;
      earlier = items.filter((payment) => payment.state === 'finished');
      listSessions();
      if (live.id && !live.isFinished && !terminal.payment && earlier.some((payment) => payment.id === live.id)) follow(live.id);
      if (!live.id && earlier.length && shown === live) {
        // The last payment is more telling than an empty page.
        sessions.value = earlier[0].id;
        showPayment(earlier[0].id).then(() => { if (sessions.value === earlier[0]?.id && !live.id) { live = shown; sessions.value = 'live'; store.set({ shown: null }); draw(); } });
      }
    }).catch(() => {});
    draw();
  }

  async function select(id) {
    if (selected === id) return;
    stream?.close();
    selected = id;
    live = newSession(null);
    shown = live;
    following = null;
    wasAsked = false;
    earlier = [];
    listSessions();
    store.set({ terminalId: id, shown: null });
    try {
      await load(id);
    } catch (error) {
      toast(error.message);
      selected = null;
      return;
    }
    if (selected !== id) return;
    stream = openStream(id, {
      take,
      state: (connection) => store.set({ connection }),
      renewed: () => load(id).then(() => tray.load()).catch(() => {}),
    });
  }

  /** Chooses among terminals, however many, and makes new ones. */
  async function choose() {
    const [all, readers] = await attempt(() => Promise.all([api.terminals(), api.readers()])) ?? [];
    if (!all) return;
    let found = all;
    const search = h('input', { type: 'search', placeholder: 'Name, merchant or state', 'aria-label': 'Search terminals', autocomplete: 'off' });
    const list = virtualList({
      label: 'Terminals', height: () => 52,
      row(index) {
        const terminal = found[index];
        return h('div', { role: 'listitem', 'aria-setsize': String(found.length), 'aria-posinset': String(index + 1) },
          h('button', {
            type: 'button', class: `terminal-choice ${terminal.id === selected ? 'chosen' : ''}`, 'aria-current': terminal.id === selected ? 'true' : undefined,
            dataset: { index }, onclick: () => { dialog.close(); navigate(`#/terminal/${encodeURIComponent(terminal.id)}`); },
          },
          h('span', { class: `state-dot ${terminal.state}` }), h('b', {}, terminal.id), h('span', { class: 'quiet' }, terminal.merchant),
          h('span', { class: 'chip' }, words(terminal.state)), h('span', { class: 'quiet' }, KINDS[terminal.readerKind] ?? terminal.readerKind)));
      },
    });
    const number = h('p', { class: 'quiet', role: 'status' });
    const filter = () => {
      const wanted = search.value.trim().toLowerCase();
      found = wanted ? all.filter((terminal) => `${terminal.id} ${terminal.merchant} ${words(terminal.state)} ${terminal.readerKind}`.toLowerCase().includes(wanted)) : all;
      list.element.scrollTop = 0;
      list.setCount(found.length);
      list.refresh();
      setText(number, `${found.length} of ${all.length} terminals`);
    };
    search.addEventListener('input', filter);
    list.element.addEventListener('keydown', (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
      const at = Number(event.target.dataset?.index);
      if (!step || Number.isNaN(at)) return;
      event.preventDefault();
      list.focus(Math.max(0, Math.min(found.length - 1, at + step)));
    });
    search.addEventListener('keydown', (event) => { if (event.key === 'ArrowDown') { event.preventDefault(); list.focus(0); } });
    const name = h('input', { type: 'text', maxlength: 64, autocomplete: 'off', placeholder: 'chosen by the daemon' });
    const reader = h('select', {}, h('option', { value: '' }, 'An emulated reader of its own'),
      readers.filter((each) => each.kind !== 'emulated').map((each) => h('option', { value: each.id, disabled: each.state === 'offline' }, `${each.name} (${KINDS[each.kind] ?? each.kind}, ${each.state})`)));
    const profile = h('textarea', { rows: 6, class: 'mono', spellcheck: 'false', 'aria-label': 'Terminal profile as YAML' });
    const error = h('p', { class: 'error', role: 'alert' });
    const dialog = openDialog('Terminals', h('div', { class: 'form' }, search, number, list.element,
      h('details', { class: 'operator' }, h('summary', {}, 'Another terminal'),
        h('label', { class: 'field' }, h('span', {}, 'Name'), name),
        h('label', { class: 'field' }, h('span', {}, 'Reader'), reader),
        h('label', { class: 'field' }, h('span', {}, 'Profile (YAML, optional)'), profile), error,
        h('button', { type: 'button', class: 'primary', onclick: async () => {
          error.textContent = '';
          try {
            const body = {};
            if (name.value.trim()) body.id = name.value.trim();
            if (reader.value) body.reader = reader.value;
            if (profile.value.trim()) body.profileText = profile.value;
            const made = await api.createTerminal(body);
            dialog.close();
            navigate(`#/terminal/${encodeURIComponent(made.id)}`);
          } catch (problem) { error.textContent = problem.message; }
        } }, icon('plus'), 'Add terminal'),
        h('button', { type: 'button', class: 'danger', onclick: () => attempt(async () => {
          await api.deleteTerminal(selected);
          dialog.close();
          selected = null;
          navigate('#/terminal');
        }) }, icon('trash'), `Remove ${selected}`))), { isWide: true });
    filter();
    search.focus();
  }

  store.watch(['terminal', 'canAct'], draw);
  return {
    element,
    title: 'Terminal',
    async show(path) {
      const id = path[0] ?? store.get().terminalId ?? (await attempt(() => api.firstTerminal()))?.id;
      if (!id) return choose();
      if (!tray.isLoaded) { tray.isLoaded = true; attempt(() => tray.load()); }
      return select(id);
    },
    refund(payment) { navigate(`#/terminal/${encodeURIComponent(payment.terminal)}`); till.refund(payment); },
  };
}
