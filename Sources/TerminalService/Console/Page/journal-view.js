import { h, put, setText, attempt, latest, toast, download } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { virtualList } from './virtual-list.js';
import { money, shortDate, dateTime, time, words, sentence } from './format.js';
import { paymentActions } from './till.js';

const STATES = [
  'approved', 'declined', 'approved-offline', 'declined-offline', 'settled', 'forwarded', 'reversal-due', 'reversed', 'adjustment-due', 'adjusted',
  'deferred', 'cancelled', 'failed', 'started', 'card-read', 'request-written', 'authorizing', 'answered',
];
const NAMES = { aid: 'AID', cvm: 'Cardholder verification', tvr: 'TVR', stan: 'STAN' };
const GOOD = ['approved', 'approved-offline', 'settled', 'forwarded', 'adjusted'];
const OWED = ['reversal-due', 'adjustment-due', 'deferred', 'authorizing', 'answered'];
const stateTone = (state) => (GOOD.includes(state) ? 'good' : OWED.includes(state) ? 'warn' : ['declined', 'declined-offline', 'failed'].includes(state) ? 'bad' : 'quiet');

/** The journal: filters, endless list, details with history, export. */
export function createJournalView({ navigate, refund }) {
  let items = [];
  let next = null;
  let isLoading = false;
  let chosen = null;
  // What the list in sight was asked for with: its next pages are of the same.
  let asked = null;

  const state = h('select', {}, h('option', { value: '' }, 'any'), STATES.map((name) => h('option', { value: name }, words(name))));
  const terminal = h('input', { type: 'text', autocomplete: 'off', placeholder: 'any' });
  const lastFour = h('input', { type: 'text', inputmode: 'numeric', maxlength: 4, pattern: '[0-9]{4}', placeholder: 'any', class: 'short' });
  const since = h('input', { type: 'datetime-local', step: 1 });
  const until = h('input', { type: 'datetime-local', step: 1 });
  const number = h('p', { class: 'quiet', role: 'status' });
  const instant = (field) => (field.value ? new Date(field.value).toISOString() : undefined);
  const query = () => ({
    state: state.value, terminal: terminal.value.trim(), lastFour: /^\d{4}$/.test(lastFour.value) ? lastFour.value : undefined,
    since: instant(since), until: instant(until),
  });
  let waiting = null;
  const filters = h('form', { class: 'filters', 'aria-label': 'Filters', onsubmit: (event) => { event.preventDefault(); load(); } },
    h('label', { class: 'field' }, h('span', {}, 'State'), state), h('label', { class: 'field' }, h('span', {}, 'Terminal'), terminal),
    h('label', { class: 'field' }, h('span', {}, 'Last four digits'), lastFour),
    h('label', { class: 'field' }, h('span', {}, 'From'), since), h('label', { class: 'field' }, h('span', {}, 'Until'), until),
    h('button', { type: 'reset', class: 'small' }, 'Clear'));
  filters.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(load, 200); });
  filters.addEventListener('reset', () => setTimeout(load, 0));

  const exportAs = (format, type) => h('button', {
    type: 'button', class: 'small',
    onclick: () => attempt(async () => download(`journal.${format}`, await api.journalExport({ ...query(), format }), type)),
  }, icon('save'), format.toUpperCase());
  const verify = h('button', { type: 'button', class: 'small', onclick: () => attempt(async () => {
    const answer = await api.verifyJournal();
    toast(answer.sound ? `The journal is whole and unaltered: ${answer.transactions} transactions` : `The journal is not whole: ${answer.problems.join('; ')}`, answer.sound ? 'good' : 'bad');
  }) }, icon('check'), 'Verify');

  const narrow = matchMedia('(max-width: 700px)');
  const list = virtualList({
    label: 'Transactions', role: 'table', near: () => more(), height: () => (narrow.matches ? 64 : 46),
    row(index) {
      const item = items[index];
      const cell = (name, content) => h('span', { role: 'cell', class: `cell ${name}` }, content);
      return h('div', { role: 'row', class: `journal-row ${item.id === chosen ? 'chosen' : ''}`, 'aria-rowindex': String(index + 2), dataset: { index } },
        cell('when', h('a', { href: `#/journal/${encodeURIComponent(item.id)}`, 'aria-current': item.id === chosen ? 'true' : undefined }, shortDate(item.createdAt))),
        cell('terminal', item.terminal), cell('what', words(item.type ?? '')),
        cell('card', [item.card ? h('span', { class: 'mono' }, `•••• ${item.card.slice(-4)}`) : '–', item.application ? h('small', {}, item.application) : null]),
        cell('sum', money(item.finalAmount ?? item.approvedAmount ?? item.amount, item.currency)),
        cell('state', h('span', { class: `chip ${stateTone(item.state)}` }, words(item.state))));
    },
  });
  narrow.addEventListener('change', () => list.refresh());
  const none = h('p', { class: 'empty', hidden: true }, 'No transaction is like that.');
  list.element.prepend(h('div', { role: 'rowgroup', class: 'heading-group' }, h('div', { role: 'row', class: 'journal-row heading', 'aria-rowindex': '1' },
    [['when', 'Begun'], ['terminal', 'Terminal'], ['what', 'Type'], ['card', 'Card'], ['sum', 'Amount'], ['state', 'State']].map(([name, label]) => h('span', { role: 'columnheader', class: `cell ${name}` }, label)))));
  list.element.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    const at = Number(event.target.closest('[data-index]')?.dataset.index);
    if (!step || Number.isNaN(at)) return;
    event.preventDefault();
    list.focus(Math.max(0, Math.min(items.length - 1, at + step)));
  });
  list.element.addEventListener('click', (event) => {
    const row = event.target.closest('[data-index]');
    if (row && !event.target.closest('a')) navigate(`#/journal/${encodeURIComponent(items[row.dataset.index].id)}`);
  });

  const details = h('section', { class: 'panel journal-details', 'aria-label': 'Transaction', tabindex: '-1' }, h('p', { class: 'empty' }, 'Choose a transaction to see its history.'));
  const element = h('div', { class: 'view journal-view' }, h('h1', { class: 'visually-hidden' }, 'Journal'),
    h('section', { class: 'panel journal-panel', 'aria-labelledby': 'journal-title' },
      h('header', { class: 'panel-head' }, h('h2', { id: 'journal-title' }, 'Journal'), number,
        h('div', { class: 'row end' }, verify, exportAs('csv', 'text/csv'), exportAs('json', 'application/json'))),
      filters, list.element, none),
    details);

  const load = latest(async (signal) => {
    isLoading = true;
    asked = { signal, filters: query() };
    const page = await attempt(() => api.journal({ ...asked.filters, limit: 100 }, signal));
    signal.throwIfAborted();
    isLoading = false;
    if (!page) return;
    ({ items, next } = page);
    list.element.scrollTop = 0;
    show();
  });

  async function more() {
    if (isLoading || !next) return;
    isLoading = true;
    const { signal, filters } = asked;
    const page = await attempt(() => api.journal({ ...filters, limit: 200, cursor: next }, signal));
    if (signal.aborted) return;
    isLoading = false;
    if (!page) { next = null; return; }
    items = items.concat(page.items);
    next = page.next;
    show(true);
  }

  function show(isMore) {
    list.setCount(items.length);
    if (!isMore) list.refresh();
    list.element.setAttribute('aria-rowcount', next ? '-1' : String(items.length + 1));
    list.element.hidden = items.length === 0;
    none.hidden = items.length > 0;
    setText(number, `${items.length}${next ? ' or more' : ''} transaction${items.length === 1 ? '' : 's'}`);
  }

  const open = latest(async (signal, id) => {
    chosen = id;
    list.refresh();
    const answer = await attempt(() => api.journalEntry(id, signal));
    if (!answer) return;
    const { record, changes } = answer;
    const payment = await api.payment(id, signal).catch(() => null);
    signal.throwIfAborted();
    const skipped = new Set(['id', 'currency', 'state', 'parked']);
    const rows = Object.entries(record).filter(([name, value]) => !skipped.has(name) && value !== null && value !== undefined && value !== '' && value !== 0)
      .map(([name, value]) => [NAMES[name] ?? sentence(name), typeof value === 'object' ? JSON.stringify(value)
        : /amount/i.test(name) ? money(value, record.currency) : /At$/.test(name) ? dateTime(value) : String(value)]);
    put(details,
      h('header', { class: 'panel-head' }, h('h2', {}, money(record.finalAmount ?? record.approvedAmount ?? record.amount, record.currency)), h('span', { class: `chip ${stateTone(record.state)}` }, words(record.state)),
        record.parked ? h('span', { class: 'chip warn' }, 'parked') : null),
      h('p', { class: 'mono small-id' }, record.id),
      h('div', { class: 'row' }, payment ? h('span', { class: 'row operator' }, paymentActions(payment, { refund, done: () => { if (chosen === id) open(id); load(); } })) : null,
        h('button', { type: 'button', onclick: () => navigate(`#/compare?a=payment:${encodeURIComponent(id)}`) }, icon('compare'), 'Compare'),
        h('button', { type: 'button', onclick: () => attempt(async () => download(`${id}.trace`, await api.paymentTrace(id))) }, icon('save'), 'Trace')),
      h('h3', {}, 'History'),
      h('ol', { class: 'history' }, changes.map((change) => h('li', { class: stateTone(change.state) }, h('span', { class: 'history-dot' }), h('b', {}, sentence(change.state)), h('time', { datetime: change.at }, time(change.at)), change.detail ? h('small', {}, change.detail) : null))),
      h('h3', {}, 'Record'), h('dl', { class: 'facts' }, rows.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])));
    if (narrow.matches) details.scrollIntoView({ block: 'start' });
  });

  return {
    element,
    title: 'Journal',
    show: latest(async (signal, path) => {
      if (!path[0] || !items.length) await load();
      signal.throwIfAborted();
      if (path[0]) await open(path[0]);
    }),
  };
}
