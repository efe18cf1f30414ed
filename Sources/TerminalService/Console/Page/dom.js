// Elements without a framework. Text is always set as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'dataset') Object.assign(element.dataset, value);
    else if (key === 'value' || key === 'checked') element[key] = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== undefined && child !== null && child !== false) element.append(child);
  }
}

/** An HTML element: `h('button', { class: 'key', onclick }, 'OK')`. */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element. */
export const svg = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** Replaces what an element holds. */
export function put(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Sets text only where it changed, so that live regions do not repeat themselves. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says something to a screen reader. */
export function announce(text) {
  const region = document.getElementById('announcer');
  region.textContent = '';
  setTimeout(() => { region.textContent = text; }, 30);
}

/** Shows an error, or a short word of success, for some seconds. */
export function toast(text, kind = 'bad') {
  const close = h('button', { class: 'plain', type: 'button', 'aria-label': 'Dismiss' }, '×');
  const box = h('div', { class: `toast ${kind}` }, h('span', {}, text), close);
  close.addEventListener('click', () => box.remove());
  document.getElementById('toasts').append(box);
  setTimeout(() => box.remove(), kind === 'bad' ? 9000 : 3500);
}

/** Runs an action of the user's and shows the error, if any. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (error?.name === 'AbortError') return undefined;
    toast(error?.message ?? String(error));
    return undefined;
  }
}

/**
 * An action that may be begun anew before it has ended, as when the user chooses something else: only its latest run counts.
 * `action(signal, ...)` hands the signal to its requests, which are given up when a newer run begins, and after any other wait
 * asks `signal.throwIfAborted()`: so no older response is drawn over a newer one. An older run resolves to nothing, whatever
 * became of it. `cancel()` gives the run up without another.
 */
export function latest(action) {
  let controller = null;
  const run = async (...inputs) => {
    controller?.abort();
    controller = new AbortController();
    const { signal } = controller;
    try {
      return await action(signal, ...inputs);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  };
  run.cancel = () => controller?.abort();
  return run;
}

export const reducedMotion = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** Gathers calls until the next frame. */
export function frame(action) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; action(); });
  };
}

/** A file from text, kept by the browser's download. */
export function download(name, text, type = 'text/plain') {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`, 'good');
  } catch {
    toast('The browser does not let this page copy. Save the trace instead.');
  }
}
