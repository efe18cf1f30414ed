import { h, put, attempt, latest, toast } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { openDialog } from './dialog.js';
import { textField } from './text-field.js';

/**
 * Adds cards and wallets, from a profile of the daemon's or from a text of one's own, and resets or removes those here.
 *
 * - cards(): those here.
 * - load(): reads them again.
 * - changed(card): one is another now.
 * - signal: the dialog is not wanted any more, if it is not open yet.
 */
export async function openCardDialog({ cards, load, changed, signal }) {
  const profiles = await attempt(() => api.cardProfiles(signal));
  if (!profiles) return;
  const name = h('input', { type: 'text', maxlength: 64, autocomplete: 'off', placeholder: 'chosen by the daemon' });
  const base = h('select', {}, profiles.map((profile) => h('option', { value: profile.id }, `${profile.title} (${profile.id})`)));
  const text = textField('Profile as YAML', { rows: 14 });
  const begin = latest(async (aborted, id = base.value) => { text.value = await attempt(() => api.cardProfile(id, aborted)) ?? text.value; });
  const fetch = h('button', { type: 'button', class: 'small', onclick: () => begin() }, icon('copy'), 'Begin from this profile');
  const own = h('details', { class: 'own-profile' }, h('summary', {}, 'Write, paste or open a profile'),
    h('div', { class: 'row' }, fetch, text.open, h('button', { type: 'button', class: 'plain small', onclick: () => { text.value = ''; } }, 'Empty it')), text.element);
  const error = h('p', { class: 'error', role: 'alert' });
  const add = h('button', { type: 'submit', class: 'primary' }, icon('plus'), 'Add');

  const existing = h('select', {});
  // What was added last is what is taken away first.
  const list = (chosen) => {
    put(existing, cards().toReversed().map((card) => h('option', { value: card.id }, `${card.title} (${card.id})`)));
    if (chosen) existing.value = chosen;
  };
  list();

  const dialog = openDialog('Cards and wallets', h('div', { class: 'form' },
    h('form', {
      onsubmit: async (event) => {
        event.preventDefault();
        error.textContent = '';
        text.clear();
        add.disabled = true;
        const isOwn = own.open && text.value.trim();
        try {
          const body = isOwn ? { profileText: text.value } : { profile: base.value };
          if (name.value.trim()) body.id = name.value.trim();
          const card = await api.createCard(body);
          await load();
          toast(`${card.title} is in the tray as ${card.id}`, 'good');
          dialog.close();
        } catch (problem) {
          if (isOwn) text.fail(problem);
          else error.textContent = problem.message;
        } finally { add.disabled = false; }
      },
    }, h('fieldset', {}, h('legend', {}, 'Add a card from a profile'),
      h('label', { class: 'field' }, h('span', {}, 'Profile'), base), own,
      h('label', { class: 'field' }, h('span', {}, 'Name (optional)'), name),
      error, add)),
    h('fieldset', {}, h('legend', {}, 'One of those here'),
      h('label', { class: 'field' }, h('span', {}, 'Card or wallet'), existing),
      h('div', { class: 'row' },
        h('button', { type: 'button', onclick: () => attempt(async () => { changed(await api.cardAction(existing.value, 'reset')); toast('As it left personalisation', 'good'); }) }, icon('reset'), 'Reset'),
        h('button', { type: 'button', class: 'danger', onclick: () => attempt(async () => {
          const gone = existing.value;
          await api.deleteCard(gone);
          await load();
          list();
          toast(`${gone} is gone`, 'good');
        }) }, icon('trash'), 'Remove')))), { isWide: true });
}
