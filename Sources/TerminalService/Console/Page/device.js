import { h, put, setText } from './dom.js';
import { waves, icon } from './icons.js';
import { amount, languageName } from './format.js';

const STATUS = {
  notReady: 'not ready', idle: 'idle', readyToRead: 'ready to read', processing: 'processing',
  cardReadSuccessfully: 'card read successfully', processingError: 'processing error',
  contactlessCollision: 'more than one card', notApplicable: '',
};

/**
 * The terminal as the customer sees it: four lights, display, the place to hold the card to, and a PIN pad.
 * `onPIN({ pin } | { action })` makes the pad usable; without it the picture only shows.
 */
export function createDevice({ onPIN, label = 'Terminal' } = {}) {
  const lights = [0, 1, 2, 3].map(() => h('span', { class: 'light' }));
  const alertLight = h('span', { class: 'light alert' });
  const lightText = h('span', { class: 'visually-hidden' });
  const figure = h('div', { class: 'screen-amount' });
  const message = h('p', { class: 'screen-message', role: onPIN ? 'status' : undefined, 'aria-live': onPIN ? 'polite' : undefined });
  const merchant = h('div', { class: 'screen-merchant' });
  const status = h('div', { class: 'screen-status' });
  const digits = h('div', { class: 'screen-pin', 'aria-hidden': 'true' });
  const screen = h('div', { class: 'screen' }, merchant, figure, message, digits, status);
  const landing = h('div', { class: 'landing' }, waves(), h('div', { class: 'held' }));
  const held = landing.lastChild;

  let pin = '';
  let isAsked = false;
  let language = 'auto';
  let last = {};
  const count = h('span', { class: 'visually-hidden', role: 'status' });

  const showPIN = () => {
    element.classList.toggle('asks-pin', isAsked);
    put(digits, isAsked ? Array.from({ length: Math.max(4, pin.length) }, (_, index) => h('span', { class: index < pin.length ? 'dot full' : 'dot' })) : []);
    setText(count, isAsked && pin.length ? `${pin.length} digits entered` : '');
    for (const key of keys) key.disabled = !isAsked;
    enter.disabled = !isAsked || pin.length < 4;
  };
  const press = (digit) => {
    if (isAsked && pin.length < 12) { pin += digit; showPIN(); }
  };
  const send = (answer) => {
    if (!isAsked) return;
    pin = '';
    isAsked = false;
    showPIN();
    onPIN?.(answer);
  };
  const confirm = () => { if (pin.length >= 4) send({ pin }); };
  const clear = () => { pin = ''; showPIN(); };

  const digitKeys = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '0'].map((digit) => h('button', { type: 'button', class: `pad-key digit-${digit}`, onclick: () => press(digit) }, digit));
  const cancel = h('button', { type: 'button', class: 'pad-key cancel', 'aria-label': 'Cancel PIN entry', onclick: () => send({ action: 'cancel' }) }, icon('cross'));
  const erase = h('button', { type: 'button', class: 'pad-key clear', 'aria-label': 'Clear the PIN', onclick: clear }, icon('erase'));
  const enter = h('button', { type: 'button', class: 'pad-key enter', 'aria-label': 'Confirm the PIN', onclick: confirm }, icon('check'));
  const keys = [...digitKeys, cancel, erase, enter];
  const pad = h('div', { class: 'pad', role: 'group', 'aria-label': 'PIN pad' },
    digitKeys.slice(0, 3), cancel, digitKeys.slice(3, 6), erase, digitKeys.slice(6, 9), enter, digitKeys[9]);
  pad.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^\d$/.test(event.key)) press(event.key);
    else if (event.key === 'Backspace') { pin = pin.slice(0, -1); showPIN(); }
    else if (event.key === 'Escape') send({ action: 'cancel' });
    else if (event.key === 'Enter' && pin.length >= 4) confirm();
    else return;
    event.preventDefault();
  });

  const element = h('div', { class: 'device', role: 'group', 'aria-label': label },
    h('div', { class: 'light-row', 'aria-hidden': 'true' }, lights, alertLight), lightText,
    screen, landing, onPIN ? pad : null, count);

  function render(state = last) {
    last = state;
    const { display, payment, terminal, field = [], isPINAsked = false, picture } = state;
    const shown = display?.lights ?? ['off', 'off', 'off', 'off'];
    lights.forEach((light, index) => { light.className = `light ${shown[index]}`; });
    alertLight.className = `light alert ${display?.alert ? 'on' : 'off'}`;
    const lit = shown.filter((light) => light === 'on').length;
    const blinking = shown.filter((light) => light === 'blinking').length;
    setText(lightText, `Lights: ${lit} on, ${blinking} blinking${display?.alert ? ', red light on' : ''}`);
    const chosen = language === 'auto' ? display?.language : language;
    let text = (language !== 'auto' && display?.texts?.[language]) || display?.text || '';
    const isPaying = payment && payment.state !== 'finished' || payment?.result;
    if (isPaying && payment.currency) {
      const plain = `${amount(payment.amount, payment.currency).replaceAll(',', '')} ${payment.currency.letters}`;
      // The amount has a place of its own.
      if (text.endsWith(plain)) text = text.slice(0, -plain.length).trim();
      put(figure, h('span', {}, amount(payment.amount, payment.currency)), h('small', {}, payment.currency.letters));
    } else put(figure);
    figure.hidden = !isPaying;
    setText(message, text);
    message.lang = chosen ?? 'en';
    setText(merchant, terminal?.merchant ?? '');
    setText(status, STATUS[display?.status] ?? '');
    screen.dataset.status = display?.status ?? 'notApplicable';
    screen.dataset.message = display?.messageId ?? '';
    if (isPINAsked !== isAsked) {
      isAsked = isPINAsked;
      pin = '';
    }
    landing.classList.toggle('is-ready', display?.status === 'readyToRead');
    if (held.dataset.cards !== field.join(' ')) {
      held.dataset.cards = field.join(' ');
      put(held, picture ? field.map((id) => picture(id)) : []);
    }
    showPIN();
  }
  render({});

  return {
    element, landing, render,
    focusPad: () => digitKeys[0].focus({ preventScroll: false }),
    get language() { return language; },
    setLanguage(value) { language = value; render(); },
  };
}

/** The switch of the customer's language. */
export function languageSwitch(device) {
  const select = h('select', { 'aria-label': 'Language of the display' });
  let offered = '';
  select.addEventListener('change', () => device.setLanguage(select.value));
  return {
    element: h('label', { class: 'field inline' }, h('span', {}, 'Language'), select),
    offer(codes) {
      if (offered === codes.join()) return;
      offered = codes.join();
      put(select, h('option', { value: 'auto' }, 'automatic'), codes.map((code) => h('option', { value: code, lang: code }, languageName(code))));
      select.value = codes.includes(device.language) ? device.language : 'auto';
    },
  };
}
