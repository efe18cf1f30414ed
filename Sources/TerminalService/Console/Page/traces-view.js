import { h, put, setText, attempt, latest, toast, download, reducedMotion } from './dom.js';
import { api } from './api.js';
import { icon } from './icons.js';
import { createDevice, languageSwitch } from './device.js';
import { createEngineer } from './engineer.js';
import { readSource } from './sources.js';
import { newSession, apply } from './exchange.js';
import { duration, words, tone } from './format.js';

/** What an event is called in the stepper. */
function caption(event) {
  switch (event.type) {
    case 'command': return `Command: ${event.name}`;
    case 'response': return `Answer ${event.sw}, ${duration(event.microseconds)}`;
    case 'display': return `Display: ${event.display?.text ?? ''}`;
    case 'kernel': return `Kernel: ${words(event.state)}`;
    case 'outcome': return `Outcome: ${words(event.status)}`;
    case 'card': return 'Card activated';
    case 'finished': return `Finished: ${words(event.payment?.result?.status)}`;
    case 'authorizationAnswered': return `Host answers ${event.responseCode ?? ''}`;
    case 'readerError': case 'authorizationFailed': return event.text;
    default: return words(event.type).replace(/^./, (letter) => letter.toUpperCase());
  }
}

/** Traces: list, upload, and replay by steps. */
export function createTracesView({ store, navigate }) {
  let traces = [];
  let opened = null;
  // What is to be opened, which is in sight only when the daemon has replayed it.
  let asked = null;
  let step = 0;
  let playing = null;

  const search = h('input', { type: 'search', placeholder: 'Search traces', 'aria-label': 'Search traces', autocomplete: 'off', oninput: () => listTraces() });
  const list = h('ul', { class: 'trace-list' });
  const file = h('input', { type: 'file', accept: '.trace,text/plain', class: 'visually-hidden', id: 'trace-file', tabindex: '-1', 'aria-label': 'Trace file' });
  const upload = h('button', { type: 'button', class: 'small operator', onclick: () => file.click() }, icon('upload'), 'Upload');
  file.addEventListener('change', () => attempt(async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    if (chosen.size > 1 << 20) throw new Error('A trace is at most 1 MiB');
    const name = chosen.name.toLowerCase().replace(/\.(trace|txt)$/, '').replace(/[^a-z0-9.-]+/g, '-').replace(/^[^a-z0-9]+/, '').slice(0, 64) || 'trace';
    await api.upload(name, await chosen.text());
    opened = null;
    await load();
    toast(`Uploaded as ${name}`, 'good');
    navigate(`#/traces/${encodeURIComponent(name)}`);
  }).finally(() => { file.value = ''; }));

  const title = h('h2', {}, 'Choose a trace');
  const verdict = h('p', { class: 'replay-verdict', role: 'status' });
  const device = createDevice({ label: 'Terminal at this step' });
  const languages = languageSwitch(device);
  const slider = h('input', { type: 'range', min: 0, max: 0, value: 0, step: 1, 'aria-label': 'Step', class: 'slider' });
  const position = h('span', { class: 'position mono' });
  const now = h('p', { class: 'caption', role: 'status' });
  const button = (name, label, action) => h('button', { type: 'button', class: 'step', 'aria-label': label, title: label, onclick: action }, icon(name));
  const play = button('play', 'Play', () => (playing ? stop() : start()));
  const steps = h('div', { class: 'stepper', role: 'group', 'aria-label': 'Steps of the replay' },
    button('first', 'To the beginning', () => go(0)), button('back', 'One step back', () => go(step - 1)), play,
    button('forward', 'One step forward', () => go(step + 1)), button('last', 'To the end', () => go(Infinity)), slider, position);
  const mode = h('select', { 'aria-label': 'How strictly' }, h('option', { value: 'strict' }, 'strict'), h('option', { value: 'lenient' }, 'lenient'));
  mode.addEventListener('change', () => asked && open(asked));
  const save = h('button', { type: 'button', class: 'plain small', onclick: async () => { const { name } = opened; const text = await attempt(() => api.trace(name)); if (text) download(`${name}.trace`, text); } }, icon('save'), 'Save');
  const compare = h('button', { type: 'button', class: 'plain small', onclick: () => navigate(`#/compare?a=trace:${encodeURIComponent(opened.name)}`) }, icon('compare'), 'Compare');
  const remove = h('button', { type: 'button', class: 'plain small danger operator', onclick: () => attempt(async () => {
    const { name } = opened;
    await api.deleteTrace(name);
    await load();
    if (asked === name) navigate('#/traces');
  }) }, icon('trash'), 'Delete');
  const engineer = createEngineer({ label: 'Replay', follow: false, head: h('header', { class: 'panel-head' }, h('h2', {}, 'What happened')) });

  const stage = h('div', { class: 'stage', hidden: true },
    h('section', { class: 'panel stage-head', 'aria-label': 'Trace' },
      h('header', { class: 'panel-head' }, title, mode, h('div', { class: 'row end' }, compare, save, remove)), verdict, steps, now),
    h('section', { class: 'panel customer', 'aria-label': 'Customer' }, h('header', { class: 'panel-head' }, h('h2', {}, 'Customer'), languages.element), device.element),
    engineer.element);
  const empty = h('div', { class: 'panel empty-stage' }, h('p', { class: 'empty' }, 'Choose a trace to replay it step by step: what the terminal showed, what it sent, what the card answered.'));
  const element = h('div', { class: 'view traces-view' }, h('h1', { class: 'visually-hidden' }, 'Traces'),
    h('section', { class: 'panel trace-panel', 'aria-labelledby': 'traces-title' },
      h('header', { class: 'panel-head' }, h('h2', { id: 'traces-title' }, 'Traces'), upload, file), search, list),
    empty, stage);

  // Arrow keys step wherever the focus is in the stage, but in fields that use them themselves.
  stage.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.matches('select, input:not([type=range]), textarea, [role=tab]')) return;
    const target = { ArrowRight: step + 1, ArrowLeft: step - 1, Home: 0, End: Infinity }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    stop();
    go(target);
  });
  slider.addEventListener('input', () => { stop(); go(Number(slider.value)); });

  function listTraces() {
    const wanted = search.value.trim().toLowerCase();
    put(list, traces.filter((trace) => `${trace.name} ${trace.title ?? ''}`.toLowerCase().includes(wanted)).map((trace) => h('li', {},
      h('a', { href: `#/traces/${encodeURIComponent(trace.name)}`, 'aria-current': opened?.name === trace.name ? 'page' : undefined },
        h('b', {}, trace.title || trace.name), h('span', { class: 'quiet' }, `${trace.name} · ${trace.commands} commands${trace.builtIn ? '' : ' · uploaded'}`)))));
    if (!list.childElementCount) put(list, h('li', { class: 'empty' }, 'No trace of that name.'));
  }

  const load = latest(async (signal) => {
    traces = await api.traces(signal);
    listTraces();
  });

  const open = latest(async (signal, name) => {
    stop();
    const read = await attempt(() => readSource(`trace:${name}`, { mode: mode.value, signal }));
    if (!read) return;
    const trace = traces.find((each) => each.name === name);
    opened = { ...read, name, trace };
    empty.hidden = true;
    stage.hidden = false;
    remove.hidden = trace?.builtIn !== false;
    setText(title, trace?.title || name);
    const result = read.replay.result;
    const difference = read.replay.difference;
    put(verdict, difference ? h('span', { class: 'chip bad' }, icon('warning'), 'differs from the trace') : h('span', { class: 'chip good' }, icon('check'), 'as recorded'),
      result?.status ? h('span', { class: `chip ${tone(result.status)}` }, words(result.status), result.online === undefined || result.online === null ? '' : result.online ? ' online' : ' offline') : null,
      difference ? h('span', { class: 'difference' }, difference) : null);
    slider.max = read.events.length;
    languages.offer(Object.keys(read.events.find((event) => event.display)?.display.texts ?? {}));
    engineer.showNow(read.session);
    listTraces();
    go(0);
    if (element.contains(document.activeElement) || document.activeElement === document.body) slider.focus({ preventScroll: true });
  });

  const show = latest(async (signal, name) => {
    asked = name ?? null;
    open.cancel();
    if (!traces.length) await attempt(load);
    signal.throwIfAborted();
    if (name && name !== opened?.name) await open(name);
    else if (!name) { opened = null; stage.hidden = true; empty.hidden = false; listTraces(); }
  });

  function go(wanted) {
    if (!opened) return;
    step = Math.max(0, Math.min(opened.events.length, wanted));
    const session = opened.events.slice(0, step).reduce(apply, newSession(opened.name));
    const current = opened.events[step - 1];
    slider.value = step;
    slider.setAttribute('aria-valuetext', current ? `${step} of ${opened.events.length}: ${caption(current)}` : 'before the first step');
    setText(position, `${step} / ${opened.events.length}`);
    setText(now, current ? `${caption(current)} · at ${duration(current.elapsed)}` : 'Before the first step');
    device.render({
      display: session.display, payment: session.payment, field: [], isPINAsked: session.isPINAsked,
      terminal: { merchant: opened.trace?.title ? '' : opened.name },
    });
    for (const row of engineer.list.rows) {
      row.item.classList.toggle('future', row.entry.event > step);
      row.item.classList.toggle('awaiting', row.entry.event <= step && row.entry.lastEvent > step);
    }
    const row = engineer.list.current(step);
    row?.item.scrollIntoView({ block: 'nearest', behavior: playing || reducedMotion() ? 'auto' : 'smooth' });
  }

  function start() {
    if (!opened) return;
    if (step >= opened.events.length) go(0);
    play.setAttribute('aria-label', 'Pause');
    put(play, icon('pause'));
    const next = () => {
      if (step >= opened.events.length) return stop();
      go(step + 1);
      // Long waits are shortened, instants are stretched: so that eyes can follow.
      const wait = (opened.events[step]?.elapsed ?? 0) - (opened.events[step - 1]?.elapsed ?? 0);
      playing = setTimeout(next, Math.min(1200, Math.max(220, wait / 1000)));
      return undefined;
    };
    playing = setTimeout(next, 0);
  }
  function stop() {
    clearTimeout(playing);
    playing = null;
    play.setAttribute('aria-label', 'Play');
    put(play, icon('play'));
  }

  return {
    element,
    title: 'Traces',
    show: (path) => show(path[0]),
    hide() { stop(); show.cancel(); open.cancel(); },
  };
}
