import { h, put, setText, latest } from './dom.js';
import { icon } from './icons.js';

let made = 0;

/**
 * A field for a text whose lines have numbers, and below it what the daemon found wrong, with the way to its line.
 * The text is typed, pasted, or read from a file.
 */
export function textField(label, { rows = 12, accept = '.yaml,.yml,text/plain' } = {}) {
  const id = `text-${made += 1}`;
  const numbers = h('div', { class: 'line-numbers', 'aria-hidden': 'true' });
  const area = h('textarea', {
    id, rows, wrap: 'off', spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', class: 'mono', 'aria-label': label, 'aria-describedby': `${id}-error`,
  });
  const error = h('div', { class: 'error', id: `${id}-error`, role: 'alert' });
  const file = h('input', { type: 'file', accept, class: 'visually-hidden', tabindex: '-1', 'aria-hidden': 'true' });
  const open = h('button', { type: 'button', class: 'small', onclick: () => file.click() }, icon('upload'), 'Open a file');
  let wrong = 0;
  const count = () => {
    const lines = area.value.split('\n').length;
    put(numbers, Array.from({ length: lines }, (_, index) => h('span', { class: index + 1 === wrong ? 'wrong' : undefined }, String(index + 1))));
    numbers.scrollTop = area.scrollTop;
  };
  const clear = () => {
    setText(error, '');
    area.removeAttribute('aria-invalid');
    if (wrong) { wrong = 0; count(); }
  };
  const goTo = (line) => {
    const start = area.value.split('\n').slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    const end = area.value.indexOf('\n', start);
    area.focus();
    area.setSelectionRange(start, end < 0 ? area.value.length : end);
    const height = area.scrollHeight / area.value.split('\n').length;
    area.scrollTop = Math.max(0, (line - 1) * height - area.clientHeight / 2);
  };
  area.addEventListener('input', () => { clear(); count(); });
  area.addEventListener('scroll', () => { numbers.scrollTop = area.scrollTop; }, { passive: true });
  const read = latest(async (signal, chosen) => {
    const text = await chosen.text();
    signal.throwIfAborted();
    area.value = text;
    file.value = '';
    clear();
    count();
    area.focus();
  });
  file.addEventListener('change', () => { if (file.files[0]) read(file.files[0]); });
  count();
  return {
    element: h('div', { class: 'text-field' }, h('div', { class: 'numbered' }, numbers, area), error),
    open: [open, file],
    get value() { return area.value; },
    set value(text) { area.value = text; clear(); count(); area.scrollTop = 0; },
    clear,
    /** Shows an error of the daemon's; one that names a line (`file:12:5: what is wrong`) leads there. */
    fail(problem) {
      const place = /^[^:\n]*:(\d+)(?::(\d+))?: ([\s\S]*)$/.exec(problem.detail ?? '');
      if (!place || !area.value.trim()) { setText(error, problem.message); return; }
      const [, line, column, what] = place;
      wrong = Number(line);
      area.setAttribute('aria-invalid', 'true');
      count();
      put(error, h('button', { type: 'button', class: 'small danger', onclick: () => goTo(wrong) }, `Line ${line}${column ? `, column ${column}` : ''}`), h('span', {}, what));
      numbers.scrollTop = area.scrollTop;
    },
  };
}
