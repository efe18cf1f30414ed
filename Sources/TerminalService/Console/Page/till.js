import { h, put, setText, attempt, latest, announce, toast } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { amount, money, tone, sentence, words, cardNumber } from './format.js';
import { openDialog } from './dialog.js';

const TYPES = [['purchase', 'Purchase'], ['cash', 'Cash'], ['cashback', 'Cashback'], ['refund', 'Refund']];
const STATES = {
  waitingForCard: 'Waiting for a card', reading: 'Reading the card', enteringPIN: 'The customer enters the PIN',
  authorizing: 'Asking the host',
};

/** An input of an amount: digits come in from the right, as at a till. */
function amountInput(label, change) {
  let minor = 0;
  let currency = { exponent: 2, letters: '' };
  const input = h('input', { type: 'text', inputmode: 'numeric', autocomplete: 'off', 'aria-label': label, class: 'amount-input' });
  const show = () => {
    input.value = amount(minor, currency);
    input.setSelectionRange?.(input.value.length, input.value.length);
    change?.(minor);
  };
  // An amount that was not typed (the first, one that was charged) gives way to the first digit of the next.
  let isGiven = true;
  const type = (value) => { isGiven = false; if (value <= 999999999999) minor = value; show(); };
  const set = (value) => { type(value); isGiven = true; };
  input.addEventListener('input', () => type(Number(input.value.replace(/\D/g, '').slice(-12) || 0)));
  input.addEventListener('focus', () => input.setSelectionRange(input.value.length, input.value.length));
  return {
    input, set, get: () => minor,
    currency(value) { if (value?.letters !== currency.letters || value?.exponent !== currency.exponent) { currency = value; show(); } },
    press(key) {
      if (key === 'erase') type(Math.floor(minor / 10));
      else type(Number(isGiven ? key : `${minor}${key}`));
    },
  };
}

/** Asks for an amount in a dialog. */
export function askAmount(title, { currency, initial = 0, action }) {
  const field = amountInput('Amount');
  field.currency(currency);
  field.set(initial);
  const dialog = openDialog(title, h('form', {
    class: 'form',
    onsubmit: async (event) => {
      event.preventDefault();
      if (await attempt(() => action(field.get()))) dialog.close();
    },
  }, h('label', { class: 'field' }, h('span', {}, `Amount in ${currency.letters}`), field.input),
  h('button', { type: 'submit', class: 'primary' }, 'Confirm')));
  field.input.focus();
}

/**
 * What may still be done to a finished payment: void, refund, completion, tip.
 * `refund(payment)` starts a refund at the till; `done()` is told when something changed.
 */
export function paymentActions(payment, { refund, done }) {
  const result = payment.result;
  if (!result || result.status !== 'approved') return [];
  const state = payment.journalState;
  if (['reversed', 'reversal-due'].includes(state)) return [];
  const act = (action, body, said) => async () => {
    const answer = await attempt(() => api.paymentAction(payment.id, action, body));
    if (answer !== undefined) { toast(said, 'good'); done?.(); }
    return answer !== undefined;
  };
  const ask = (title, action, initial) => () => askAmount(title, {
    currency: payment.currency, initial, action: (value) => act(action, { amount: value }, `${title}: ${money(value, payment.currency)}`)(),
  });
  const buttons = [];
  if (state !== 'settled') buttons.push(h('button', { type: 'button', onclick: act('void', {}, 'Payment voided') }, icon('cross'), 'Void'));
  if (payment.type !== 'refund' && payment.purpose !== 'preAuthorization') {
    buttons.push(h('button', { type: 'button', onclick: () => refund(payment) }, icon('reset'), 'Refund'));
    if (state !== 'settled') buttons.push(h('button', { type: 'button', onclick: ask('Tip', 'tip', payment.amount) }, icon('plus'), 'Tip'));
  }
  if (payment.purpose === 'preAuthorization') buttons.push(h('button', { type: 'button', onclick: ask('Completion', 'complete', payment.amount) }, icon('check'), 'Complete'));
  return buttons;
}

/** The till: amount, kind of payment, start and cancel, and what came of it. */
export function createTill({ store, started, terminals }) {
  let original = null;
  const sum = amountInput('Amount', () => render());
  const other = amountInput('Of which cash');
  sum.set(1250);
  const currency = h('span', { class: 'currency' });
  const types = h('div', { class: 'segments wide', role: 'radiogroup', 'aria-label': 'Type of transaction' },
    TYPES.map(([value, label], index) => h('label', {}, h('input', { type: 'radio', name: 'type', value, checked: index === 0, onchange: () => { original = null; render(); } }), h('span', {}, label))));
  const type = () => types.querySelector('input:checked').value;
  const purpose = h('select', {}, h('option', { value: 'sale' }, 'Sale'), h('option', { value: 'preAuthorization' }, 'Pre-authorization'), h('option', { value: 'deferred' }, 'Deferred (transit)'));
  const partial = h('input', { type: 'checkbox' });
  const deadline = h('input', { type: 'number', min: 1, max: 600, placeholder: 'none', class: 'short' });
  const otherField = h('label', { class: 'field', hidden: true }, h('span', {}, 'Of which cash'), other.input);
  const originalNote = h('p', { class: 'note', hidden: true });
  const keys = h('div', { class: 'keypad', role: 'group', 'aria-label': 'Amount keypad' },
    ['1', '2', '3', '4', '5', '6', '7', '8', '9', '00', '0'].map((key) => h('button', { type: 'button', class: 'key', onclick: () => sum.press(key) }, key)),
    h('button', { type: 'button', class: 'key', 'aria-label': 'Erase the last digit', onclick: () => sum.press('erase') }, icon('erase')));
  const start = h('button', { type: 'submit', class: 'primary big' });
  const cancel = h('button', { type: 'button', class: 'danger big', hidden: true, onclick: () => attempt(() => api.paymentAction(store.get().terminal.payment, 'cancel')) }, icon('cross'), 'Cancel payment');
  const state = h('p', { class: 'till-state', role: 'status' });
  const resultBox = h('div', { class: 'till-result' });
  const batchBox = h('div', { class: 'batch' });

  const form = h('form', {
    class: 'till-form',
    onsubmit: async (event) => {
      event.preventDefault();
      const { terminal } = store.get();
      if (!terminal || start.disabled || start.hidden) return;
      const body = { terminal: terminal.id, amount: sum.get(), type: type() };
      if (type() === 'cashback') body.amountOther = other.get();
      if (purpose.value !== 'sale') body.purpose = purpose.value;
      if (partial.checked) body.acceptsPartialApproval = true;
      if (deadline.value) body.deadlineSeconds = Number(deadline.value);
      if (original) body.original = original.id;
      start.disabled = true;
      // The same key on a second try: the payment is made once, however often the line breaks.
      const key = crypto.randomUUID ? crypto.randomUUID() : `console-${Date.now()}-${Math.random().toString(36).slice(2)}`;
      const payment = await attempt(async () => {
        for (let round = 0; ; round += 1) {
          try { return await api.pay(body, key); } catch (error) {
            if (error.code !== 'unreachable' || round === 3) throw error;
            await new Promise((resolve) => { setTimeout(resolve, 300 << round); });
          }
        }
      });
      original = null;
      if (payment) sum.set(sum.get());
      render();
      // By now another terminal may be in sight.
      if (payment && store.get().terminalId === terminal.id) started(payment);
    },
  },
  h('div', { class: 'amount-row' }, sum.input, currency), types, otherField, originalNote, keys,
  h('details', { class: 'more' }, h('summary', {}, 'More'),
    h('label', { class: 'field' }, h('span', {}, 'Purpose'), purpose),
    h('label', { class: 'field' }, h('span', {}, 'Seconds to present a card'), deadline),
    h('label', { class: 'check' }, partial, 'Take a partial approval')),
  start, cancel, state);

  function refund(payment) {
    original = payment;
    sum.set(payment.result?.approvedAmount ?? payment.amount);
    types.querySelector('[value=refund]').checked = true;
    render();
    start.focus();
    announce(`Refund of ${money(sum.get(), payment.currency)}: start it and tap the card`);
  }

  async function settle() {
    const { terminal } = store.get();
    const report = await attempt(() => api.settle(terminal.id));
    if (!report) return;
    openDialog('Settlement', settlementReport(report, terminal.currency));
    loadBatch();
  }

  const loadBatch = latest(async (signal) => {
    const { terminal } = store.get();
    if (!terminal) { put(batchBox); return; }
    const batch = await api.batch(terminal.id, signal).catch(() => null);
    signal.throwIfAborted();
    if (batch) put(batchBox, facts(batch, terminal.currency));
  });

  function result(payment) {
    const outcome = payment?.result;
    if (!outcome) return put(resultBox);
    const lines = [
      ['Card', outcome.card && cardNumber(outcome.card)], ['Application', outcome.application],
      ['Authorization', outcome.authorizationCode], ['Response code', outcome.responseCode], ['Reason', outcome.reason],
      ['Cardholder', outcome.cvm && words(outcome.cvm)],
      ['Account charged', outcome.accountCharge && `${money(outcome.accountCharge.amount, outcome.accountCharge.currency)}${outcome.accountCharge.rate ? ` at ${outcome.accountCharge.rate}` : ''}`],
      ['Reversal', outcome.reversalOutstanding ? 'owed to the host' : null],
    ].filter(([, value]) => value);
    return put(resultBox, h('div', { class: `result ${tone(outcome.status)}` },
      h('h3', {}, h('span', { class: 'result-sign' }, icon(outcome.status === 'approved' ? 'check' : 'cross')),
        h('span', { class: 'result-word' }, sentence(outcome.status)), h('span', { class: 'quiet' }, money(outcome.approvedAmount ?? payment.amount, payment.currency))),
      h('dl', { class: 'facts' }, lines.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
      h('div', { class: 'row operator' }, paymentActions(payment, { refund, done: loadBatch }))));
  }

  function render() {
    const { terminal, canAct } = store.get();
    if (!terminal) return;
    sum.currency(terminal.currency);
    other.currency(terminal.currency);
    sum.input.setAttribute('aria-label', `Amount in ${terminal.currency.letters}`);
    setText(currency, terminal.currency.letters);
    const isIdle = terminal.state === 'idle';
    otherField.hidden = type() !== 'cashback';
    originalNote.hidden = !original;
    if (original) setText(originalNote, `Gives back ${original.id}`);
    put(start, `${type() === 'purchase' ? 'Charge' : sentence(type())} ${money(sum.get(), terminal.currency)}`);
    start.hidden = !isIdle;
    start.disabled = !canAct || sum.get() === 0;
    const hadFocus = document.activeElement === start || document.activeElement === cancel;
    cancel.hidden = isIdle;
    cancel.disabled = !canAct || !terminal.payment;
    if (hadFocus && document.activeElement === document.body) (isIdle ? start : cancel).focus();
    setText(state, isIdle ? '' : STATES[terminal.state] ?? words(terminal.state));
    for (const field of [sum.input, ...keys.children, ...types.querySelectorAll('input')]) field.disabled = !isIdle || !canAct;
  }

  store.watch(['terminal', 'canAct', 'currencyOf'], render);
  store.watch(['shown'], ({ shown }) => { if (shown?.result) result(shown); else if (shown) result(null); });
  store.watch(['finishedCount'], () => loadBatch());
  store.watch(['terminal'], ({ terminal }, before) => { if (terminal?.id !== before.terminal?.id) loadBatch(); });

  const element = h('section', { class: 'panel till', 'aria-labelledby': 'till-title' },
    h('header', { class: 'panel-head' }, h('h2', { id: 'till-title' }, 'Till'), terminals),
    form, resultBox,
    h('details', { class: 'more batch-box', open: false }, h('summary', {}, 'Batch'), batchBox,
      h('button', { type: 'button', class: 'operator', onclick: settle }, 'Settle')));
  return { element, refund, loadBatch, focus: () => sum.input.focus() };
}

const isMoney = (name) => /amount|total|sum/i.test(name);

/** Whatever counts and sums a report holds, as a list. */
function facts(value, currency, prefix = '') {
  const rows = [];
  for (const [name, member] of Object.entries(value ?? {})) {
    if (member === null || member === undefined) continue;
    if (Array.isArray(member)) {
      if (member.length) rows.push([sentence(prefix + name), String(member.length)]);
    } else if (typeof member === 'object') {
      if (name === 'currency') continue;
      if ('count' in member && 'amount' in member) rows.push([sentence(name), `${member.count} · ${money(member.amount, currency)}`]);
      else rows.push(...rowsOf(facts(member, currency, `${name} `)));
    } else if (typeof member === 'number' && isMoney(name)) rows.push([sentence(prefix + name), money(member, currency)]);
    else if (typeof member === 'boolean') rows.push([sentence(prefix + name), member ? 'yes' : 'no']);
    else rows.push([sentence(prefix + name), String(member)]);
  }
  const list = h('dl', { class: 'facts' }, rows.map(([name, text]) => [h('dt', {}, name), h('dd', {}, text)]));
  list.rows = rows;
  return list;
}
const rowsOf = (list) => list.rows;

export const settlementReport = (report, currency) => facts(report, currency);
