import { h, put, setText, toast, attempt, latest } from './dom.js';
import { api, authentication } from './api.js';
import { createStore, preferences } from './store.js';
import { icon, mark } from './icons.js';
import { sound } from './sound.js';
import { openDialog } from './dialog.js';
import { createTerminalView } from './terminal-view.js';
import { createTracesView } from './traces-view.js';
import { createCompareView } from './compare-view.js';
import { createJournalView } from './journal-view.js';

const store = createStore({ connection: 'connecting', canAct: true, status: null, terminal: null, terminalId: null, shown: null, finishedCount: 0 });
const navigate = (hash) => { if (location.hash === hash) route(); else location.hash = hash; };

// The colours: as the system has them, until the user chooses.
const THEMES = ['auto', 'light', 'dark'];
let theme = preferences.read('theme', 'auto');
if (!THEMES.includes(theme)) theme = 'auto';
const themeButton = h('button', { type: 'button', class: 'plain round', onclick: () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  preferences.write('theme', theme);
  showTheme();
} });
function showTheme() {
  document.documentElement.dataset.theme = theme;
  put(themeButton, icon({ auto: 'auto', light: 'sun', dark: 'moon' }[theme]));
  themeButton.setAttribute('aria-label', `Colours: ${theme === 'auto' ? 'as the system' : theme}`);
  themeButton.title = themeButton.getAttribute('aria-label');
}

const soundButton = h('button', { type: 'button', class: 'plain round', 'aria-pressed': 'false', 'aria-label': 'Sound', title: 'Sound', onclick: () => {
  sound.turn(!sound.isOn);
  soundButton.setAttribute('aria-pressed', String(sound.isOn));
  put(soundButton, icon(sound.isOn ? 'soundOn' : 'soundOff'));
} }, icon('soundOff'));

const signOut = h('button', { type: 'button', class: 'plain round', hidden: true, 'aria-label': 'Sign out', title: 'Sign out', onclick: () => attempt(async () => { await authentication.signOut(); location.reload(); }) }, icon('person'));
const connection = h('span', { class: 'connection', title: 'Connection to the daemon' });
const version = h('span', { class: 'quiet version' });

const views = {
  terminal: createTerminalView({ store, navigate }),
  traces: createTracesView({ store, navigate }),
  compare: createCompareView({ store, navigate }),
  journal: createJournalView({ store, navigate, refund: (payment) => views.terminal.refund(payment) }),
};
const links = Object.entries(views).map(([name, view]) => h('a', { href: `#/${name}`, dataset: { view: name } }, view.title));
const main = document.getElementById('main');
let current = null;

async function route() {
  const [path, search] = location.hash.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').filter(Boolean).map((piece) => { try { return decodeURIComponent(piece); } catch { return piece; } });
  const name = views[parts[0]] ? parts[0] : 'terminal';
  if (current !== name) {
    views[current]?.hide?.();
    current = name;
    for (const [key, view] of Object.entries(views)) view.element.hidden = key !== name;
    for (const link of links) {
      if (link.dataset.view === name) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    document.title = `${views[name].title} · Tapbridge`;
    scrollTo(0, 0);
  }
  await attempt(async () => views[name].show(parts.slice(1), new URLSearchParams(search ?? '')));
}

// Asked for once, by whichever request first needs it.
authentication.onNeeded = () => new Promise((resolve) => {
  const token = h('input', { type: 'password', autocomplete: 'current-password', required: true });
  const error = h('p', { class: 'error', role: 'alert' });
  const dialog = openDialog('Sign in', h('form', {
    class: 'form',
    onsubmit: async (event) => {
      event.preventDefault();
      setText(error, '');
      try {
        await authentication.signIn(token.value.trim());
        dialog.close();
        resolve();
      } catch (problem) {
        setText(error, problem.message);
        token.select();
      }
    },
  }, h('p', {}, 'This daemon asks for a token. It is kept until this tab is closed.'),
  h('label', { class: 'field' }, h('span', {}, 'Token'), token), error, h('button', { type: 'submit', class: 'primary' }, 'Sign in')), { mustAnswer: true });
  token.focus();
});

const readStatus = latest(async (signal) => {
  try {
    const status = await api.status(signal);
    store.set({ status, canAct: status.role !== 'observer' && status.state === 'running' });
    document.documentElement.dataset.role = status.role;
    signOut.hidden = !authentication.isSignedIn;
    setText(version, `${status.version}${status.role === 'observer' ? ' · watching only' : ''}${status.state === 'stopping' ? ' · stopping' : ''}`);
  } catch { /* the stream tells of a lost connection */ }
});

const banner = document.getElementById('connection');
store.watch(['connection'], (state, before) => {
  const words = { connecting: 'connecting', open: 'live', lost: 'connection lost' };
  put(connection, h('i', { class: `state-dot ${state.connection}` }), words[state.connection]);
  if (state.connection === 'lost') {
    if (!banner.textContent) put(banner, icon('warning'), 'The daemon cannot be reached. The page goes on by itself when it is back.');
  } else {
    put(banner);
    if (state.connection === 'open' && before.connection === 'lost') {
      toast('Connected again', 'good');
      readStatus();
    }
  }
});

put(document.getElementById('top'),
  h('a', { class: 'brand', href: '#/terminal', 'aria-label': 'Tapbridge' }, mark(), h('span', { 'aria-hidden': 'true' }, 'Tapbridge')),
  h('nav', { 'aria-label': 'Views' }, links),
  h('div', { class: 'top-end' }, version, connection, soundButton, themeButton, signOut));
main.replaceChildren(...Object.values(views).map((view) => { view.element.hidden = true; return view.element; }));
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
showTheme();
addEventListener('hashchange', route);
// Whatever is looked at first, the line to the daemon is watched.
readStatus().then(route).then(() => { if (current !== 'terminal') attempt(() => views.terminal.listen()); });
setInterval(() => { if (!document.hidden && store.get().connection === 'open') readStatus(); }, 30000);
