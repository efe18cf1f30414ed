import { h, svg, put, attempt, latest, announce, reducedMotion } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { cardNumber } from './format.js';
import { openCardDialog } from './card-dialog.js';

// Colours of a picture: a family for each scheme, a shade for each card.
const FAMILIES = {
  visa: [[222, 64], [205, 70], [238, 52], [192, 62], [254, 46]],
  mastercard: [[14, 72], [28, 74], [352, 58], [40, 62], [330, 46]],
};
const shade = (card) => {
  const scheme = card.applications?.[0]?.scheme ?? '';
  const family = FAMILIES[scheme] ?? [[165, 50], [140, 40], [280, 40]];
  let sum = 0;
  for (const letter of card.profile ?? card.id) sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  return family[sum % family.length];
};
const FAULTS = { expired: 'expired', blocked: 'blocked', tampered: 'tampered', poor: 'no funds', declines: 'declines', 'mag-stripe': 'mag-stripe', 'no-oda': 'online only', 'data-storage': 'data storage' };
const fault = (card) => Object.entries(FAULTS).find(([key]) => (card.profile ?? card.id).includes(key))?.[1];

let drawn = 0;
const chip = (x, y) => svg('g', {},
  svg('rect', { x, y, width: 19, height: 14.5, rx: 3, fill: '#e6c878' }),
  svg('path', { d: `M${x} ${y + 5}h6.5M${x} ${y + 9.6}h6.5M${x + 12.5} ${y + 5}h6.5M${x + 12.5} ${y + 9.6}h6.5M${x + 6.5} ${y}v14.5M${x + 12.5} ${y}v14.5`, stroke: '#9a7b2c', 'stroke-width': 0.9, fill: 'none' }));
const smallWaves = (x, y) => svg('g', { fill: 'none', stroke: '#fff', 'stroke-opacity': 0.85, 'stroke-width': 1.5, 'stroke-linecap': 'round' },
  [4, 7, 10].map((radius) => svg('path', { d: `M${x + radius * 0.82} ${y - radius * 0.57}a${radius} ${radius} 0 0 1 0 ${radius * 1.14}` })));

/** A card or phone drawn: 160 by 100 units. */
export function cardPicture(card) {
  const [hue, saturation] = shade(card);
  const id = `shade-${drawn += 1}`;
  const application = card.applications?.[0] ?? {};
  const label = (application.label ?? application.scheme ?? '').toUpperCase();
  const number = cardNumber(application.pan);
  const gradient = svg('defs', {}, svg('linearGradient', { id, x1: 0, y1: 0, x2: 1, y2: 1 },
    svg('stop', { offset: 0, 'stop-color': `hsl(${hue} ${saturation}% 44%)` }),
    svg('stop', { offset: 1, 'stop-color': `hsl(${hue + 16} ${saturation}% 24%)` })));
  const text = (x, y, size, content, more = {}) => svg('text', { x, y, 'font-size': size, fill: '#fff', 'font-family': 'inherit', ...more }, content);
  if (card.kind === 'phone') {
    return svg('svg', { class: `card-picture phone ${card.locked ? 'locked' : ''}`, viewBox: '0 0 160 100', 'aria-hidden': 'true' }, gradient,
      svg('rect', { x: 51, y: 1, width: 58, height: 98, rx: 10, fill: '#12161b', stroke: '#5d6874', 'stroke-width': 1.4 }),
      svg('rect', { x: 54.5, y: 4.5, width: 51, height: 91, rx: 7, fill: card.locked ? '#1c232b' : '#0f2b2d' }),
      svg('rect', { x: 72, y: 7.5, width: 16, height: 3.6, rx: 1.8, fill: '#05080a' }),
      svg('rect', { x: 58, y: 17, width: 44, height: 28, rx: 4, fill: `url(#${id})`, opacity: card.locked ? 0.55 : 1 }),
      text(61, 40.5, label.length > 8 ? 4.9 : 6, label.slice(0, 12), { 'font-weight': 700, 'letter-spacing': 0.2 }),
      text(80, 56, 5.6, number.slice(-4) ? `•••• ${number.slice(-4)}` : '', { 'text-anchor': 'middle', fill: '#b9c6cf' }),
      card.locked
        ? svg('g', { fill: 'none', stroke: '#f4b860', 'stroke-width': 2.2, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' },
          svg('path', { d: 'M72.5 73h15v11h-15z' }), svg('path', { d: 'M75 73v-3.6a5 5 0 0 1 10 0v3.6' }))
        : svg('g', { fill: 'none', stroke: '#6fe3b4', 'stroke-width': 2.4, 'stroke-linecap': 'round' },
          svg('circle', { cx: 80, cy: 75.5, r: 9.5 }), svg('path', { d: 'M75.6 75.8l3.2 3.3l5.8-6.4', 'stroke-linejoin': 'round' })));
  }
  const flaw = fault(card);
  return svg('svg', { class: 'card-picture', viewBox: '0 0 160 100', 'aria-hidden': 'true' }, gradient,
    svg('rect', { x: 0.5, y: 0.5, width: 159, height: 99, rx: 9, fill: `url(#${id})` }),
    svg('path', { d: 'M0.5 74C46 50 96 92 159.5 46V91a8.5 8.5 0 0 1-8.5 8.5H9A8.5 8.5 0 0 1 .5 91z', fill: '#fff', opacity: 0.07 }),
    chip(13, 36), smallWaves(36, 43.2),
    text(13, 21, 11, label.slice(0, 17), { 'font-weight': 700, 'letter-spacing': 0.4 }),
    text(13, 69, 11.5, number, { 'letter-spacing': 0.2, 'font-family': 'ui-monospace, "DejaVu Sans Mono", monospace', textLength: 134, lengthAdjust: 'spacingAndGlyphs' }),
    text(13, 87, 7.2, card.id.toUpperCase(), { opacity: 0.85, 'letter-spacing': 0.5 }),
    flaw ? svg('g', {}, svg('rect', { x: 151 - (flaw.length * 4.3 + 9), y: 37, width: flaw.length * 4.3 + 9, height: 12, rx: 6, fill: '#000', opacity: 0.42 }),
      text(151 - (flaw.length * 4.3 + 9) / 2, 45.5, 7, flaw, { 'text-anchor': 'middle', 'font-weight': 600 })) : null);
}

/**
 * The cards and wallets to tap, by click, keyboard or dragging them on the terminal.
 *
 * - target(): the terminal, on which a dragged card must be dropped.
 * - tap(cards, removal): taps them.
 */
export function createTray({ store, target, tap }) {
  let cards = [];
  let filter = 'all';
  let chosen = [];
  const list = h('ul', { class: 'tray' });
  const pair = h('input', { type: 'checkbox', id: 'two-together' });
  const pairNote = h('p', { class: 'quiet pair-note', role: 'status' });
  pair.addEventListener('change', () => { chosen = []; render(); });

  const removal = h('select', { id: 'removal' },
    h('option', { value: '' }, 'stays until the payment is over'),
    h('option', { value: 'afterCommands' }, 'is torn off after so many commands'),
    h('option', { value: 'duringCommand' }, 'is torn off during a command'),
    h('option', { value: 'afterMilliseconds' }, 'is torn off after milliseconds'));
  const number = h('input', { type: 'number', min: 0, max: 60000, value: 3, 'aria-label': 'How many', class: 'short' });
  const instruction = h('select', { 'aria-label': 'Which command' },
    [['A4', 'SELECT'], ['A8', 'GET PROCESSING OPTIONS'], ['B2', 'READ RECORD'], ['AE', 'GENERATE AC'], ['2A', 'COMPUTE CRYPTOGRAPHIC CHECKSUM'], ['EA', 'EXCHANGE RELAY RESISTANCE DATA'], ['CA', 'GET DATA']]
      .map(([code, name]) => h('option', { value: code }, name)));
  instruction.value = 'AE';
  const removalBox = h('span', { class: 'removal-value' });
  const showRemoval = () => put(removalBox, removal.value === 'duringCommand' ? instruction : removal.value ? number : null);
  removal.addEventListener('change', showRemoval);
  const removalChoice = () => {
    switch (removal.value) {
      case 'afterCommands': return { afterCommands: Number(number.value) };
      case 'afterMilliseconds': return { afterMilliseconds: Number(number.value) };
      case 'duringCommand': return { duringCommand: instruction.value };
      default: return undefined;
    }
  };

  const filters = h('div', { class: 'segments', role: 'group', 'aria-label': 'Show' },
    [['all', 'All'], ['card', 'Cards'], ['phone', 'Phones']].map(([value, label]) => h('button', {
      type: 'button', 'aria-pressed': String(value === filter), dataset: { value },
      onclick: () => {
        filter = value;
        for (const button of filters.children) button.setAttribute('aria-pressed', String(button.dataset.value === filter));
        render();
      },
    }, label)));

  async function present(card) {
    if (pair.checked) {
      chosen = chosen.includes(card.id) ? chosen.filter((id) => id !== card.id) : [...chosen, card.id];
      if (chosen.length < 2) return render();
      const both = chosen;
      chosen = [];
      pair.checked = false;
      render();
      return tap(both, removalChoice());
    }
    return tap([card.id], removalChoice());
  }

  async function act(card, action) {
    const changed = await attempt(() => api.cardAction(card.id, action));
    if (!changed) return;
    take([changed], moment += 1);
    render();
    announce(`${card.title}: ${action === 'reset' ? 'as it left personalisation' : `${action}ed`}`);
  }

  // A response is as old as its request, but for what changed a card: that is as new as its response. Of each card the newest
  // is kept.
  let moment = 0;
  const asOf = new Map();

  /** Takes what is known of some cards as of a moment. Returns the names of those of which something newer was known. */
  function take(some, at) {
    const older = some.filter((card) => at < (asOf.get(card.id) ?? 0)).map((card) => card.id);
    const newer = new Map(some.filter((card) => !older.includes(card.id)).map((card) => [card.id, card]));
    for (const id of newer.keys()) asOf.set(id, at);
    cards = cards.map((each) => newer.get(each.id) ?? each);
    return older;
  }

  /** Reads some cards again, as their counters and locks have changed. */
  async function refresh(ids) {
    const at = moment += 1;
    const some = await Promise.all(ids.map((id) => api.card(id).catch(() => null)));
    const older = take(some.filter(Boolean), at);
    render();
    // They were changed from here while they were read: what else changed them may be missing from both.
    if (older.length) await refresh(older);
  }

  function item(card) {
    const isChosen = chosen.includes(card.id);
    const canAct = store.get().canAct;
    const button = h('button', {
      type: 'button', class: `card-button ${isChosen ? 'chosen' : ''} ${card.terminal ? 'tapped' : ''}`, disabled: !canAct, dataset: { card: card.id },
      'aria-label': `${pair.checked ? 'Choose' : 'Tap'} ${card.title}${card.kind === 'phone' ? (card.locked ? ', locked phone' : ', unlocked phone') : ''}${card.terminal ? `, held to ${card.terminal}` : ''}`,
      'aria-pressed': pair.checked ? String(isChosen) : undefined,
      onclick: (event) => { if (!event.currentTarget.dataset.wasDragged) present(card); },
    }, cardPicture(card));
    drag(button, card);
    return h('li', { class: 'tray-item' }, button,
      h('div', { class: 'tray-text' },
        h('span', { class: 'tray-title' }, card.title),
        card.kind === 'phone' && card.locked !== undefined && card.locked !== null
          ? h('button', { type: 'button', class: `small lock ${card.locked ? 'is-locked' : ''}`, disabled: !canAct, 'aria-label': `${card.locked ? 'Unlock' : 'Lock'} ${card.title}`, dataset: { lock: card.id }, onclick: () => act(card, card.locked ? 'unlock' : 'lock') },
            icon(card.locked ? 'lock' : 'unlock'), card.locked ? 'Unlock' : 'Lock')
          : null));
  }

  // A picture follows the pointer. A finger scrolls, and takes the card up where it rests on it first.
  function drag(button, card) {
    let ghost = null;
    button.addEventListener('pointerdown', (down) => {
      if (!down.isPrimary || down.button !== 0 || button.disabled) return;
      delete button.dataset.wasDragged;
      const isFinger = down.pointerType === 'touch';
      const { element: zone, landing } = target();
      const over = (event) => {
        const box = zone.getBoundingClientRect();
        return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      };
      const show = (event) => {
        ghost.style.transform = `translate(${event.clientX - 70}px, ${event.clientY - (isFinger ? 80 : 44)}px)`;
        landing.classList.toggle('is-over', over(event));
      };
      const lift = () => {
        ghost = cardPicture(card);
        ghost.classList.add('ghost');
        document.body.append(ghost);
      };
      const rest = isFinger ? setTimeout(() => { lift(); show(down); }, 300) : null;
      const move = (event) => {
        if (event.pointerId !== down.pointerId) return;
        const isFar = Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) >= 6;
        if (!ghost) {
          if (!isFar) return;
          if (isFinger) { clearTimeout(rest); return; }
          lift();
        }
        if (isFar) button.dataset.wasDragged = 'yes';
        show(event);
      };
      const end = (event) => {
        if (event.pointerId !== down.pointerId) return;
        clearTimeout(rest);
        removeEventListener('pointermove', move);
        removeEventListener('pointerup', end);
        removeEventListener('pointercancel', end);
        landing.classList.remove('is-over');
        if (ghost) {
          ghost.remove();
          ghost = null;
          if (event.type === 'pointerup' && button.dataset.wasDragged && over(event)) present(card);
          setTimeout(() => delete button.dataset.wasDragged, 0);
        }
      };
      addEventListener('pointermove', move);
      addEventListener('pointerup', end);
      addEventListener('pointercancel', end);
    });
    button.addEventListener('touchmove', (event) => { if (ghost) event.preventDefault(); }, { passive: false });
    button.addEventListener('contextmenu', (event) => { if (ghost) event.preventDefault(); });
    button.addEventListener('dragstart', (event) => event.preventDefault());
  }

  function render() {
    const focused = document.activeElement?.dataset;
    const shown = cards.filter((card) => filter === 'all' || card.kind === filter);
    put(list, shown.map(item));
    pairNote.textContent = pair.checked ? (chosen.length ? `${chosen.length} of 2 chosen.` : 'Choose two; they are held to the reader at the same time.') : '';
    if (focused?.card) list.querySelector(`[data-card="${CSS.escape(focused.card)}"]`)?.focus({ preventScroll: true });
    if (focused?.lock) list.querySelector(`[data-lock="${CSS.escape(focused.lock)}"]`)?.focus({ preventScroll: true });
  }

  const load = latest(async (signal) => {
    const at = moment += 1;
    const all = await api.cards(signal);
    const known = new Map(cards.map((card) => [card.id, card]));
    cards = all;
    const older = take(all, at);
    cards = cards.map((card) => (older.includes(card.id) ? known.get(card.id) ?? card : card));
    render();
  });

  const manage = latest((signal) => openCardDialog({ cards: () => cards, load, changed: (card) => { take([card], moment += 1); render(); }, signal }));

  const element = h('section', { class: 'panel tray-panel', 'aria-labelledby': 'tray-title' },
    h('header', { class: 'panel-head' }, h('h2', { id: 'tray-title' }, 'Cards and wallets'), filters,
      h('button', { type: 'button', class: 'plain small operator', onclick: () => manage() }, icon('plus'), 'Add or change')),
    list,
    h('div', { class: 'tap-options' },
      h('label', { class: 'check' }, pair, 'Two cards together'),
      h('label', { class: 'field inline grow' }, h('span', {}, 'The card'), removal), removalBox),
    pairNote);

  store.watch(['canAct'], render);
  return {
    element, load, refresh,
    find: (id) => cards.find((card) => card.id === id),
    picture: (id) => { const card = cards.find((each) => each.id === id); return card ? cardPicture(card) : h('span', { class: 'chip' }, id); },
    /** Lets the picture fly to the terminal. */
    fly(id) {
      const from = list.querySelector(`[data-card="${CSS.escape(id)}"] svg`);
      const to = target().landing;
      if (!from || reducedMotion()) return;
      const [start, end] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
      const ghost = from.cloneNode(true);
      ghost.classList.add('ghost');
      document.body.append(ghost);
      const flight = ghost.animate([
        { transform: `translate(${start.left}px, ${start.top}px)`, opacity: 1 },
        { transform: `translate(${end.left + end.width / 2 - 70}px, ${end.top + end.height / 2 - 44}px) scale(.7)`, opacity: 0.5 },
      ], { duration: 260, easing: 'cubic-bezier(.3,.7,.3,1)' });
      flight.finished.finally(() => ghost.remove());
    },
  };
}
