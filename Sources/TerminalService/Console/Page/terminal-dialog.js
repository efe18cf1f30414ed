import { h, put, setText, attempt } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { openDialog } from './dialog.js';
import { virtualList } from './virtual-list.js';
import { textField } from './text-field.js';
import { words } from './format.js';

export const KINDS = { emulated: 'emulated reader', replay: 'trace', pcsc: 'PC/SC reader', libnfc: 'libnfc device', remote: 'reader on another host' };

/** Chooses among terminals, however many, and makes and removes them. */
export function openTerminalDialog({ selected, choose, removed }) {
  let all = [];
  let found = [];
  let isComplete = false;
  const search = h('input', { type: 'search', placeholder: 'Name, merchant or state', 'aria-label': 'Search terminals', autocomplete: 'off' });
  const list = virtualList({
    label: 'Terminals', height: () => 52,
    row(index) {
      const terminal = found[index];
      return h('div', { role: 'listitem', 'aria-setsize': String(found.length), 'aria-posinset': String(index + 1) },
        h('button', {
          type: 'button', class: `terminal-choice ${terminal.id === selected ? 'chosen' : ''}`, 'aria-current': terminal.id === selected ? 'true' : undefined,
          dataset: { index }, onclick: () => take(terminal),
        },
        h('span', { class: `state-dot ${terminal.state}` }), h('b', {}, terminal.id), h('span', { class: 'quiet merchant' }, terminal.merchant),
        h('span', { class: 'chip' }, words(terminal.state)), h('span', { class: 'quiet kind' }, KINDS[terminal.readerKind] ?? terminal.readerKind)));
    },
  });
  const number = h('p', { class: 'quiet', role: 'status' });
  const none = h('p', { class: 'empty', hidden: true }, 'No terminal is called that.');
  const take = (terminal) => { dialog.close(); choose(terminal.id); };

  const matches = (terminal, wanted) => `${terminal.id} ${terminal.merchant} ${words(terminal.state)} ${terminal.readerKind}`.toLowerCase().includes(wanted);
  function filter({ isKept = false } = {}) {
    const wanted = search.value.trim().toLowerCase();
    found = wanted ? all.filter((terminal) => matches(terminal, wanted)) : all;
    if (!isKept) list.element.scrollTop = 0;
    list.setCount(found.length);
    if (!isKept) list.refresh();
    none.hidden = !isComplete || found.length > 0;
    list.element.hidden = !none.hidden;
    setText(number, isComplete ? `${found.length} of ${all.length} terminals` : `${all.length} terminals, reading more…`);
  }
  search.addEventListener('input', () => filter());
  search.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') { event.preventDefault(); list.focus(0); }
    if (event.key === 'Enter' && found.length) { event.preventDefault(); take(found[0]); }
  });
  list.element.addEventListener('keydown', (event) => {
    const at = Number(event.target.dataset?.index);
    if (Number.isNaN(at)) return;
    const target = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 8, PageUp: at - 8, Home: 0, End: found.length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    if (target < 0 && event.key === 'ArrowUp') search.focus();
    else list.focus(Math.max(0, Math.min(found.length - 1, target)));
  });

  const name = h('input', { type: 'text', maxlength: 64, autocomplete: 'off', placeholder: 'chosen by the daemon' });
  const reader = h('select', {}, h('option', { value: '' }, 'An emulated reader of its own'));
  const profile = textField('Terminal profile as YAML', { rows: 8 });
  const add = h('button', { type: 'submit', class: 'primary' }, icon('plus'), 'Add terminal');
  const dialog = openDialog('Terminals', h('div', { class: 'form' }, search, number, list.element, none,
    h('details', { class: 'operator' }, h('summary', {}, 'Another terminal'),
      h('form', {
        class: 'form',
        onsubmit: async (event) => {
          event.preventDefault();
          profile.clear();
          add.disabled = true;
          try {
            const body = {};
            if (name.value.trim()) body.id = name.value.trim();
            if (reader.value) body.reader = reader.value;
            if (profile.value.trim()) body.profileText = profile.value;
            const made = await api.createTerminal(body);
            if (dialog.open) take(made);
          } catch (problem) { profile.fail(problem); } finally { add.disabled = false; }
        },
      },
      h('label', { class: 'field' }, h('span', {}, 'Name (optional, 8 letters and digits)'), name),
      h('label', { class: 'field' }, h('span', {}, 'Reader'), reader),
      h('div', { class: 'row spread' }, h('span', { class: 'quiet' }, 'Profile (YAML, optional)'), h('span', { class: 'row' }, profile.open)), profile.element,
      h('div', { class: 'row spread' }, add,
        selected ? h('button', { type: 'button', class: 'danger', onclick: () => attempt(async () => {
          await api.deleteTerminal(selected);
          dialog.close();
          removed(selected);
        }) }, icon('trash'), `Remove ${selected}`) : null)))), { isWide: true });
  filter();
  search.focus();

  // Shown as they come: the first page is enough to choose from.
  attempt(async () => {
    for await (const page of api.terminalPages()) {
      if (!dialog.open) return;
      all = all.concat(page);
      filter({ isKept: true });
    }
    isComplete = true;
    filter({ isKept: true });
  });
  attempt(async () => {
    const readers = await api.readers();
    put(reader, reader.options[0], readers.filter((each) => each.kind !== 'emulated').map((each) => h('option', { value: each.id, disabled: each.state === 'offline' }, `${each.name} (${KINDS[each.kind] ?? each.kind}, ${each.state})`)));
  });
}
