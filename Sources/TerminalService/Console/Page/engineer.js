import { h, put, setText, frame } from './dom.js';
import { icon } from './icons.js';
import { duration, byteCount, words, sentence, tone, money, cardNumber } from './format.js';
import { exchanges, spans } from './exchange.js';
import { decodedTree, explainedBytes, bitField } from './tree.js';

const goodStatus = (sw) => sw === '9000' || /^61/.test(sw ?? '');

/** One command with its answer; what is inside is made when it is opened. */
function exchangeRow(entry, slowest) {
  const status = h('span', { class: 'sw' });
  const took = h('span', { class: 'took' });
  const bar = h('span', { class: 'took-bar', 'aria-hidden': 'true' }, h('i'));
  const size = h('span', { class: 'size quiet' });
  const body = h('div', { class: 'apdu-body' });
  const details = h('details', { class: 'apdu' },
    h('summary', {},
      h('span', { class: 'apdu-number' }, String(entry.number)),
      h('span', { class: 'apdu-name' }, h('b', {}, entry.name), entry.detail ? h('span', { class: 'apdu-detail' }, entry.detail) : null),
      size, bar, took, status),
    body);
  const fill = () => {
    if (!details.open) return;
    put(body, explainedBytes('Command', entry.command.hex, entry.command.tree),
      entry.response ? explainedBytes('Response', entry.response.hex, entry.response.tree)
        : h('p', { class: 'empty' }, entry.failed ? `No answer: ${entry.failed}` : 'Waiting for the answer…'));
  };
  details.addEventListener('toggle', fill);
  const update = (longest) => {
    const us = entry.response?.microseconds;
    setText(status, entry.response?.sw ?? (entry.failed ? 'no answer' : '…'));
    status.className = `sw ${entry.response ? (goodStatus(entry.response.sw) ? 'good' : 'warn') : entry.failed ? 'bad' : 'quiet'}`;
    setText(took, us === undefined ? '' : duration(us));
    setText(size, entry.response ? `${byteCount(entry.command.hex)} → ${byteCount(entry.response.hex)} B` : '');
    bar.firstChild.style.width = us === undefined ? '0' : `${Math.max(3, 100 * us / (longest || 1))}%`;
  };
  update(slowest);
  let drawn = entry.revision;
  return {
    element: details,
    update(longest) {
      update(longest);
      if (drawn !== entry.revision) { drawn = entry.revision; fill(); }
    },
  };
}

function noteRow(entry) {
  const mark = { error: 'warning', outcome: 'check', finished: 'check', answer: 'check', tap: 'plus', removed: 'dash' }[entry.kind];
  const toneName = entry.kind === 'error' ? 'bad' : entry.status ? (/approved|online/i.test(entry.status) ? 'good' : tone(entry.status) === 'neutral' ? 'plain-note' : tone(entry.status)) : '';
  const line = [h('span', { class: 'note-mark' }, mark ? icon(mark) : null), h('span', { class: 'note-title' }, entry.title), entry.detail ? h('span', { class: 'note-detail' }, entry.detail) : null];
  if (!entry.tree) return h('div', { class: `event ${entry.kind} ${toneName}` }, line);
  const body = h('div', { class: 'apdu-body' });
  const details = h('details', { class: `event ${entry.kind} ${toneName}` }, h('summary', {}, line), body);
  details.addEventListener('toggle', () => { if (details.open && !body.childElementCount) put(body, decodedTree(entry.tree, { isRootHidden: true })); });
  return details;
}

/** The exchange as a growing list. The same list serves live payments and replays. */
export function exchangeList({ label = 'Exchange', follow = false } = {}) {
  const element = h('ol', { class: 'exchange', 'aria-label': label });
  let session = null;
  let rows = [];
  return {
    element,
    get rows() { return rows; },
    update(next) {
      if (next !== session || rows.length > (next?.entries.length ?? 0)) {
        session = next;
        rows = [];
        put(element);
      }
      if (!session) return;
      const longest = Math.max(1, ...exchanges(session).map((entry) => entry.response?.microseconds ?? 0));
      const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 60;
      for (const row of rows) row.update?.(longest);
      const fresh = document.createDocumentFragment();
      for (const entry of session.entries.slice(rows.length)) {
        const row = entry.kind === 'exchange' ? exchangeRow(entry, longest) : { element: noteRow(entry) };
        row.entry = entry;
        row.item = h('li', { dataset: { kind: entry.kind } }, row.element);
        rows.push(row);
        fresh.append(row.item);
      }
      element.append(fresh);
      if (follow && isAtEnd) element.scrollTop = element.scrollHeight;
    },
    setAll(open) {
      for (const row of rows) if (row.element.tagName === 'DETAILS') row.element.open = open;
    },
    current(event) {
      let last = null;
      for (const row of rows) {
        row.item.classList.remove('current');
        row.item.removeAttribute('aria-current');
        if (row.entry.event <= event) last = row;
      }
      last?.item.classList.add('current');
      last?.item.setAttribute('aria-current', 'step');
      return last;
    },
  };
}

/** Timings as a waterfall: what began when and how long it took. */
export function waterfall() {
  let isCardOnly = false;
  let session = null;
  const chart = h('div', { class: 'waterfall' });
  const totals = h('div', { class: 'totals' });
  const zoom = h('div', { class: 'segments', role: 'group', 'aria-label': 'Span' },
    [[false, 'Whole payment'], [true, 'Card only']].map(([value, label]) => h('button', {
      type: 'button', 'aria-pressed': String(value === isCardOnly),
      onclick: (event) => {
        isCardOnly = value;
        for (const button of zoom.children) button.setAttribute('aria-pressed', String(button === event.currentTarget));
        draw();
      },
    }, label)));

  function draw() {
    const list = session ? spans(session) : [];
    if (!list.length) { put(chart, h('p', { class: 'empty' }, 'No card yet.')); put(totals); return; }
    const shown = isCardOnly ? list.filter((span) => span.kind === 'card' || span.kind === 'failed') : list;
    const start = Math.min(...shown.map((span) => span.from));
    const end = Math.max(...shown.map((span) => span.from + span.length), start + 1);
    const scale = end - start;
    put(chart, h('div', { class: 'axis', 'aria-hidden': 'true' }, [0, 0.25, 0.5, 0.75, 1].map((part) => {
      const tick = h('span', {}, duration(part * scale));
      tick.style.left = `${part * 100}%`;
      return tick;
    })),
    h('ol', { 'aria-label': 'Timings' }, shown.map((span) => {
      const bar = h('i', { class: `bar ${span.kind}` });
      bar.style.left = `${100 * (span.from - start) / scale}%`;
      bar.style.width = `${100 * span.length / scale}%`;
      return h('li', { class: span.kind },
        h('span', { class: 'span-name' }, span.number ? `${span.number} ` : '', span.label, span.detail ? h('small', {}, span.detail) : null),
        h('span', { class: 'track' }, bar),
        h('span', { class: 'span-time' }, span.kind === 'mark' ? `at ${duration(span.from - start)}` : duration(span.length)));
    })));
    const sum = (kind) => list.filter((span) => span.kind === kind).reduce((total, span) => total + span.length, 0);
    const timings = session.payment?.result?.timings;
    const figures = [
      ['Card', duration(timings?.card ?? sum('card'))], ['Host', duration(timings?.host ?? sum('host'))],
      timings ? ['Terminal', duration(timings.terminal)] : null,
      timings?.waiting !== undefined ? ['Waiting for people', duration(timings.waiting)] : null,
      ['Commands', String(exchanges(session).length)],
      ['Bytes', String(exchanges(session).reduce((total, entry) => total + byteCount(entry.command.hex) + byteCount(entry.response?.hex), 0))],
    ].filter(Boolean);
    put(totals, figures.map(([name, value]) => h('div', { class: 'figure' }, h('b', {}, value), h('span', {}, name))));
  }

  return {
    element: h('div', {}, h('div', { class: 'row spread' }, totals, zoom), chart),
    update(next) { session = next; draw(); },
  };
}

const verdictIcon = { passed: ['check', 'passed'], failed: ['cross', 'failed'], 'not performed': ['dash', 'not performed'] };
const verdictList = (verdicts) => h('ul', { class: 'verdicts' }, verdicts.map((verdict) => {
  const [sign, word] = verdictIcon[verdict.result] ?? ['dash', verdict.result];
  return h('li', { class: `verdict ${word.replace(' ', '-')}` }, icon(sign), h('div', {}, h('b', {}, verdict.check), h('span', { class: 'verdict-word' }, word), verdict.detail ? h('small', {}, verdict.detail) : null));
}));

const block = (title, ...content) => h('section', { class: 'block' }, h('h3', {}, title), content);
const plainLines = (node) => h('ul', { class: 'plain-lines' }, (node.lines ?? []).filter((line) => line.isSet !== false).map((line) => h('li', {}, line.text)));

/** Outcome, verdicts, TVR and CVM Results explained. */
export function verification(session) {
  const { outcome } = session ?? {};
  const result = session?.payment?.result;
  const tvr = session?.tvr ?? result?.tvr;
  const cvm = session?.cvmResults ?? result?.cvmResults;
  if (!outcome && !result) return h('p', { class: 'empty' }, 'No outcome yet.');
  const rows = [
    ['Outcome', outcome && sentence(outcome.status)], ['Starts again at', outcome?.start], ['Cardholder verification', outcome && sentence(outcome.cvm)],
    ['Kernel', outcome?.kernel], ['AID', outcome?.aid], ['Payment', result && sentence(result.status)],
    ['Token requestor', result?.tokenRequestor], ['Payment account reference', result?.paymentAccountReference], ['Form factor', result?.formFactor && sentence(result.formFactor)],
  ].filter(([, value]) => value);
  return h('div', { class: 'blocks' },
    block('Outcome', h('dl', { class: 'facts' }, rows.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
      session.outcomes?.length > 1 ? h('p', { class: 'quiet' }, `Outcomes in order: ${session.outcomes.map((each) => words(each.status)).join(', then ')}.`) : null),
    session.verdicts?.length ? block('Checks', verdictList(session.verdicts)) : null,
    session.hostVerdicts?.length ? block('Checks at the host', verdictList(session.hostVerdicts)) : null,
    session.cid ? block('Cryptogram', h('p', {}, h('code', { class: 'mono chip' }, `9F27 ${session.cid.value}`)), plainLines(session.cid)) : null,
    tvr ? block('Terminal Verification Results', bitField(tvr)) : null,
    cvm ? block('CVM Results', h('p', {}, h('code', { class: 'mono chip' }, `9F34 ${cvm.value}`)), plainLines(cvm)) : null,
    outcome?.tree ? block('Outcome data', decodedTree(outcome.tree, { isRootHidden: true })) : null);
}

/** What went to the acquirer's host and came back. */
export function hostView(session) {
  if (!session?.host.length) return h('p', { class: 'empty' }, 'Nothing was sent to the host.');
  const message = (each) => h('section', { class: 'block' }, h('h3', {}, `Message ${each.direction}`),
    h('pre', { class: 'message', tabindex: '0' }, each.text), each.hex ? h('details', {}, h('summary', {}, 'Hexadecimal'), h('code', { class: 'hex wrap' }, each.hex)) : null);
  return h('div', { class: 'blocks' }, session.host.map((each) => {
    if (each.message) return message(each.message);
    if (each.reversal) {
      const { reason, transmission, delivered } = each.reversal;
      return block('Reversal', h('dl', { class: 'facts' }, h('dt', {}, 'Reason'), h('dd', {}, reason), h('dt', {}, 'Transmission'), h('dd', {}, String(transmission)), h('dt', {}, 'State'), h('dd', {}, delivered ? 'acknowledged' : 'owed to the host')));
    }
    const { sent, answered, failed } = each;
    const rows = [
      ['STAN', String(sent.stan).padStart(6, '0')], ['Amount', money(sent.amount, session.payment?.currency)], ['Entry mode', sent.entryMode && words(sent.entryMode)],
      ['Answer', answered ? (answered.approved ? 'approved' : 'not approved') : failed ?? 'waiting…'], ['Response code', answered?.responseCode],
      ['Authorization code', answered?.authorizationCode], ['Says', answered?.text], ['Time', answered && duration(answered.microseconds)],
    ].filter(([, value]) => value);
    return [block('Authorization', h('dl', { class: 'facts' }, rows.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]))),
      sent.chipData ? block('Chip data (field 55)', decodedTree(sent.chipData, { isRootHidden: true })) : null,
      sent.message ? message({ direction: 'sent', ...sent.message }) : null, answered?.message ? message({ direction: 'received', ...answered.message }) : null];
  }));
}

/** The receipt, as paper. */
export function receiptView(payment) {
  const receipt = payment?.result?.receipt;
  if (!receipt) return h('p', { class: 'empty' }, 'No receipt yet.');
  return h('div', { class: 'paper' }, h('h3', {}, receipt.title),
    h('dl', {}, receipt.lines.map((line) => [h('dt', {}, line.label), h('dd', {}, line.value)])),
    receipt.signatureLine ? h('p', { class: 'signature' }, 'Signature') : null);
}

/** Tabs with arrow keys (WAI-ARIA tabs pattern). */
export function tabs(list, label) {
  const id = `tabs-${Math.random().toString(36).slice(2, 8)}`;
  const buttons = list.map(([name], index) => h('button', {
    type: 'button', role: 'tab', id: `${id}-${index}`, 'aria-controls': `${id}-panel-${index}`, onclick: () => choose(index),
  }, name));
  const panels = list.map(([, content], index) => h('div', { role: 'tabpanel', id: `${id}-panel-${index}`, 'aria-labelledby': `${id}-${index}`, tabindex: '0', class: 'tab-panel' }, content));
  const bar = h('div', { role: 'tablist', class: 'tabs', 'aria-label': label }, buttons);
  let current = 0;
  const listeners = [];
  function choose(index, focus) {
    current = index;
    buttons.forEach((button, at) => {
      button.setAttribute('aria-selected', String(at === index));
      button.tabIndex = at === index ? 0 : -1;
      panels[at].hidden = at !== index;
    });
    if (focus) buttons[index].focus();
    listeners.forEach((action) => action(index));
  }
  bar.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const target = step ? (current + step + buttons.length) % buttons.length : event.key === 'Home' ? 0 : event.key === 'End' ? buttons.length - 1 : -1;
    if (target < 0) return;
    event.preventDefault();
    event.stopPropagation();
    choose(target, true);
  });
  choose(0);
  return { bar, panels, choose, get current() { return current; }, onChange: (action) => listeners.push(action) };
}

/** All that an engineer looks at, of one session. */
export function createEngineer({ label, head, follow = true }) {
  const list = exchangeList({ label: `${label}: exchange`, follow });
  const timings = waterfall();
  const [checks, host, receipt] = [h('div'), h('div'), h('div')];
  const expand = h('button', { type: 'button', class: 'plain small', 'aria-pressed': 'false', onclick: () => {
    const open = expand.getAttribute('aria-pressed') !== 'true';
    expand.setAttribute('aria-pressed', String(open));
    setText(expand, open ? 'Collapse all' : 'Expand all');
    list.setAll(open);
  } }, 'Expand all');
  const empty = h('p', { class: 'empty' }, 'The exchange between terminal and card appears here, as it happens. Start a payment and tap a card.');
  const view = tabs([['Exchange', [empty, list.element]], ['Timings', timings.element], ['Results', checks], ['Host', host], ['Receipt', receipt]], label);
  let session = null;
  // Only what is in sight is drawn.
  const draw = () => {
    const hasEntries = Boolean(session?.entries.length);
    empty.hidden = hasEntries;
    list.element.hidden = !hasEntries;
    switch (view.current) {
      case 0: list.update(session); break;
      case 1: timings.update(session); break;
      case 2: put(checks, verification(session)); break;
      case 3: put(host, hostView(session)); break;
      default: put(receipt, receiptView(session?.payment));
    }
    expand.hidden = view.current !== 0 || !hasEntries;
  };
  const later = frame(draw);
  view.onChange(draw);
  return {
    element: h('section', { class: 'panel engineer', 'aria-label': label }, head, h('div', { class: 'row spread tab-row' }, view.bar, expand), view.panels),
    list,
    show(next) { session = next; later(); },
    showNow(next) { session = next; draw(); },
  };
}
