import { h } from './dom.js';
import { icon } from './icons.js';

let opened = 0;

/** A modal dialog with a title; Escape closes it unless it must be answered. */
export function openDialog(title, content, { isWide = false, onClose, mustAnswer = false } = {}) {
  const id = `dialog-${opened += 1}`;
  const element = h('dialog', { class: isWide ? 'wide' : '', 'aria-labelledby': id },
    h('header', { class: 'dialog-head' }, h('h2', { id }, title),
      mustAnswer ? null : h('button', { type: 'button', class: 'plain', 'aria-label': 'Close', onclick: () => element.close() }, icon('cross'))),
    h('div', { class: 'dialog-body' }, content));
  if (mustAnswer) element.addEventListener('cancel', (event) => event.preventDefault());
  element.addEventListener('close', () => { element.remove(); onClose?.(); });
  document.body.append(element);
  element.showModal();
  return element;
}
