import { h, put, attempt, latest } from './dom.js';
import { icon } from './icons.js';
import { exchanges } from './exchange.js';
import { compareExchanges, diffBytes } from './align.js';
import { listSources, readSource } from './sources.js';
import { duration, words, money, sentence, tone } from './format.js';
import { bitsOf } from './tree.js';

/** Two taps or traces side by side. */
export function createCompareView({ navigate }) {
  let [left, right] = [null, null];
  let offered = null;
  const a = h('select', { 'aria-label': 'Left' });
  const b = h('select', { 'aria-label': 'Right' });
  const onlyDifferent = h('input', { type: 'checkbox', onchange: () => draw() });
  const swap = h('button', { type: 'button', class: 'plain', 'aria-label': 'Swap left and right', title: 'Swap', onclick: () => go(b.value, a.value) }, icon('swap'));
  const body = h('div', { class: 'comparison' });
  const summary = h('p', { class: 'quiet', role: 'status' });
  const element = h('div', { class: 'view compare-view' },
    h('h1', { class: 'visually-hidden' }, 'Compare'),
    h('section', { class: 'panel', 'aria-labelledby': 'compare-title' },
      h('header', { class: 'panel-head' }, h('h2', { id: 'compare-title' }, 'Side by side'), h('label', { class: 'check end' }, onlyDifferent, 'Differences only')),
      h('div', { class: 'compare-choice' }, a, swap, b), summary),
    body);
  const go = (from, to) => {
    // What is still being read was chosen before: it must not set the choices back until the page has moved on.
    open.cancel();
    navigate(`#/compare?${new URLSearchParams({ a: from ?? '', b: to ?? '' })}`);
  };
  for (const select of [a, b]) select.addEventListener('change', () => go(a.value, b.value));

  const options = (sources) => [h('option', { value: '' }, 'Choose…'),
    sources.payments.length ? h('optgroup', { label: 'Payments' }, sources.payments.map((each) => h('option', { value: each.source }, each.label))) : null,
    h('optgroup', { label: 'Traces' }, sources.traces.map((each) => h('option', { value: each.source }, each.label)))];

  const value = (field, other, side) => {
    if (!field) return h('div', { class: 'field-value absent' }, 'absent');
    const isChanged = other && field.value !== other.value;
    const lines = field.lines.filter((line) => !isChanged || !other.lines.includes(line));
    return h('div', { class: `field-value ${isChanged ? 'changed' : ''} ${side}` },
      h('code', { class: 'hex wrap' }, isChanged ? diffBytes(field.value, other.value).map((piece) => (piece.isSame ? piece.text : h('mark', {}, piece.text))) : field.value),
      lines.length ? h('small', {}, lines.slice(0, 6).join(' · ')) : null);
  };
  const fieldRows = (fields) => fields.filter((field) => !onlyDifferent.checked || field.kind !== 'same').map((field) => h('tr', { class: field.kind },
    h('th', { scope: 'row' }, field.kind === 'same' ? null : h('span', { class: 'diff-mark', role: 'img', 'aria-label': { changed: 'differs', left: 'only left', right: 'only right' }[field.kind] }, { changed: '≠', left: '−', right: '+' }[field.kind]),
      (field.a ?? field.b).tag ? h('span', { class: 'tag' }, (field.a ?? field.b).tag) : null, (field.a ?? field.b).name),
    h('td', {}, value(field.a, field.b, 'a')), h('td', {}, value(field.b, field.a, 'b'))));
  const half = (entry) => (entry
    ? h('span', { class: 'half' }, h('b', {}, entry.name), h('span', { class: 'apdu-detail' }, entry.detail), h('span', { class: 'quiet' }, duration(entry.response?.microseconds)), h('span', { class: `sw ${entry.response?.sw === '9000' ? 'good' : 'warn'}` }, entry.response?.sw ?? 'no answer'))
    : h('span', { class: 'half absent' }, 'not sent'));

  function row(pair) {
    const badge = pair.isSame || !pair.differences ? h('span', { class: 'chip quiet' }, 'same') : h('span', { class: 'chip warn' }, pair.a && pair.b ? `${pair.differences} differ${pair.differences === 1 ? 's' : ''}` : pair.a ? 'only left' : 'only right');
    const inside = h('div', { class: 'compare-inside' });
    const details = h('details', { class: `compare-row ${pair.differences ? 'differs' : 'equal'}` },
      h('summary', {}, half(pair.a), badge, half(pair.b)), inside);
    const fill = () => {
      if (!details.open || inside.childElementCount) return;
      const part = (name, fields) => (fields.length ? [h('tr', { class: 'part' }, h('th', { colspan: '3', scope: 'colgroup' }, name)), fieldRows(fields)] : null);
      const only = pair.a && pair.b ? null : pair.a ?? pair.b;
      put(inside, only ? h('p', { class: 'empty' }, `Only the ${pair.a ? 'left' : 'right'} one has this command.`)
        : h('table', { class: 'fields' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Field'), h('th', { scope: 'col' }, 'Left'), h('th', { scope: 'col' }, 'Right'))),
          h('tbody', {}, part('Command', pair.command), part('Response', pair.response))));
    };
    details.addEventListener('toggle', fill);
    if (pair.differences && pair.a && pair.b && pair.differences <= 12) { details.open = true; fill(); }
    return details;
  }

  function facts(read) {
    const { session } = read;
    const result = session.payment?.result ?? read.replay?.result;
    const list = exchanges(session);
    return {
      Result: result?.status ? sentence(result.status) + (result.online === true ? ' online' : result.online === false ? ' offline' : '') : '–',
      Amount: session.payment ? money(session.payment.amount, session.payment.currency) : '–',
      Outcome: session.outcomes.map((each) => words(each.status)).join(', ') || '–',
      'Cardholder verification': session.outcome ? words(session.outcome.cvm) : '–',
      Kernel: session.outcome?.kernel ?? '–',
      AID: session.outcome?.aid ?? '–',
      TVR: session.tvr ? `${session.tvr.value} ${bitsOf(session.tvr).flat().filter((bit) => bit.isSet).map((bit) => bit.text ?? '').join('; ')}` : '–',
      'CVM Results': session.cvmResults?.value ?? '–',
      Commands: String(list.length),
      'Card time': duration(list.reduce((sum, entry) => sum + (entry.response?.microseconds ?? 0), 0)),
    };
  }

  function draw() {
    if (!left || !right) {
      put(body, h('div', { class: 'panel' }, h('p', { class: 'empty' }, 'Choose two traces or payments. Commands are lined up, and every field that differs is marked.')));
      summary.textContent = '';
      return;
    }
    const rows = compareExchanges(exchanges(left.session), exchanges(right.session));
    const different = rows.filter((pair) => pair.differences).length;
    summary.textContent = `${rows.length} commands, ${different} of them differ.`;
    const [one, two] = [facts(left), facts(right)];
    put(body, h('section', { class: 'panel', 'aria-label': 'Results' }, h('table', { class: 'fields results' },
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Result'), h('th', { scope: 'col' }, left.name), h('th', { scope: 'col' }, right.name))),
      h('tbody', {}, Object.keys(one).filter((name) => !onlyDifferent.checked || one[name] !== two[name]).map((name) => h('tr', { class: one[name] === two[name] ? 'same' : 'changed' },
        h('th', { scope: 'row' }, one[name] === two[name] ? null : h('span', { class: 'diff-mark', role: 'img', 'aria-label': 'differs' }, '≠'), name), h('td', {}, one[name]), h('td', {}, two[name])))))),
    h('section', { class: 'panel', 'aria-label': 'Commands' }, rows.filter((pair) => !onlyDifferent.checked || pair.differences).map(row)));
  }

  const open = latest(async (signal, ...wanted) => {
    offered = await attempt(() => listSources(signal)) ?? offered;
    signal.throwIfAborted();
    if (!offered) return;
    for (const [select, source] of [[a, wanted[0]], [b, wanted[1]]]) {
      put(select, options(offered));
      if (source && ![...select.options].some((option) => option.value === source)) select.append(h('option', { value: source }, source.slice(source.indexOf(':') + 1)));
      select.value = source;
    }
    const read = (source, known) => (source ? (known?.source === source ? known : attempt(() => readSource(source, { signal }))) : null);
    const both = await Promise.all([read(wanted[0], left), read(wanted[1], right)]);
    signal.throwIfAborted();
    [left, right] = both;
    draw();
  });

  return {
    element,
    title: 'Compare',
    show: (path, query) => open(query.get('a') ?? '', query.get('b') ?? ''),
    hide: open.cancel,
  };
}
