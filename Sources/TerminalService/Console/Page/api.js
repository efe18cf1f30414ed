// The daemon's API. Errors are problem documents (RFC 9457) and become `ApiError`.

export class ApiError extends Error {
  constructor(problem, status) {
    super([problem.title, problem.detail].filter(Boolean).join(': ') || `The daemon answered ${status}`);
    this.name = 'ApiError';
    this.status = status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.retryable = problem.retryable === true;
  }
}

const TOKEN = 'tapbridge.token';
let token = null;
try { token = sessionStorage.getItem(TOKEN); } catch { /* asked for again on reload */ }

/** Asked for a token when the daemon wants one; set by the page. */
let askForToken = async () => null;
let asking = null;

export const authentication = {
  set onNeeded(action) { askForToken = action; },
  get isSignedIn() { return token !== null; },
  /** Takes a token if the daemon does. EventSource cannot send headers: it uses the session's cookie. */
  async signIn(candidate) {
    await request('POST', '/v1/session', { body: { token: candidate }, isSigningIn: true });
    token = candidate;
    try { sessionStorage.setItem(TOKEN, candidate); } catch { /* as above */ }
  },
  /** Begins a new session with the token that is known: sessions end when they are not used, and with the daemon. */
  async renew() {
    if (token) await request('POST', '/v1/session', { body: { token } });
  },
  /** Ends the session at the daemon, and with it the page's event streams; forgets the token. */
  async signOut() {
    try {
      await request('DELETE', '/v1/session', { isSigningIn: true });
    } finally {
      forget();
    }
  },
};

function forget() {
  token = null;
  try { sessionStorage.removeItem(TOKEN); } catch { /* nothing was kept */ }
}

function address(path, query) {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== '') parameters.append(key, each);
    }
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

async function request(method, path, options = {}) {
  const headers = { ...options.headers };
  // Who signs in or out shows what it takes itself.
  if (token && !options.isSigningIn) headers.Authorization = `Bearer ${token}`;
  let body;
  if (options.text !== undefined) {
    headers['Content-Type'] = 'text/plain; charset=utf-8';
    body = options.text;
  } else if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(options.body);
  }
  let response;
  try {
    response = await fetch(address(path, options.query), { method, headers, body, signal: options.signal, cache: 'no-store' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError({ title: 'The daemon cannot be reached', code: 'unreachable', retryable: true }, 0);
  }
  if (response.status === 401 && !options.isSigningIn && !options.isRepeated) {
    forget();
    asking ??= askForToken().finally(() => { asking = null; });
    await asking;
    return request(method, path, { ...options, isRepeated: true });
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new ApiError(problem, response.status);
  }
  return response;
}

async function json(method, path, options) {
  const response = await request(method, path, options);
  if (response.status === 204) return null;
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

const part = encodeURIComponent;

/** The pages of a list, one after another. */
async function* pages(path) {
  let cursor;
  do {
    const page = await json('GET', path, { query: { limit: 200, cursor } });
    yield page.items;
    cursor = page.next;
  } while (cursor);
}

async function all(path) {
  const items = [];
  for await (const page of pages(path)) items.push(...page);
  return items;
}

export const api = {
  status: () => json('GET', '/v1/status'),
  readers: () => all('/v1/readers'),
  terminalPages: () => pages('/v1/terminals'),
  firstTerminal: async () => (await json('GET', '/v1/terminals', { query: { limit: 1 } })).items[0],
  terminal: (id) => json('GET', `/v1/terminals/${part(id)}`),
  createTerminal: (body) => json('POST', '/v1/terminals', { body }),
  deleteTerminal: (id) => json('DELETE', `/v1/terminals/${part(id)}`),
  tap: (terminal, body) => json('POST', `/v1/terminals/${part(terminal)}/taps`, { body }),
  removeCards: (terminal) => json('DELETE', `/v1/terminals/${part(terminal)}/taps`),
  pin: (terminal, body) => json('POST', `/v1/terminals/${part(terminal)}/pin`, { body }),
  batch: (terminal) => json('GET', `/v1/terminals/${part(terminal)}/batch`),
  settle: (terminal) => json('POST', `/v1/terminals/${part(terminal)}/settlements`),
  cards: () => all('/v1/cards'),
  card: (id) => json('GET', `/v1/cards/${part(id)}`),
  createCard: (body) => json('POST', '/v1/cards', { body }),
  deleteCard: (id) => json('DELETE', `/v1/cards/${part(id)}`),
  cardAction: (id, action) => json('POST', `/v1/cards/${part(id)}/${action}`),
  cardProfiles: () => all('/v1/card-profiles'),
  cardProfile: async (id) => (await request('GET', `/v1/card-profiles/${part(id)}`)).text(),
  pay: (body, key) => json('POST', '/v1/payments', { body, headers: { 'Idempotency-Key': key } }),
  payment: (id) => json('GET', `/v1/payments/${part(id)}`),
  payments: async (query) => (await json('GET', '/v1/payments', { query: { limit: 50, ...query } })).items,
  paymentAction: (id, action, body) => json('POST', `/v1/payments/${part(id)}/${action}`, { body }),
  receipt: async (id) => (await request('GET', `/v1/payments/${part(id)}/receipt`)).text(),
  paymentTrace: async (id) => (await request('GET', `/v1/payments/${part(id)}/trace`)).text(),
  traces: () => all('/v1/traces'),
  trace: async (name) => (await request('GET', `/v1/traces/${part(name)}`)).text(),
  upload: (name, text) => json('PUT', `/v1/traces/${part(name)}`, { text }),
  deleteTrace: (name) => json('DELETE', `/v1/traces/${part(name)}`),
  replay: (name, mode) => json('POST', `/v1/traces/${part(name)}/replay`, { body: { mode } }),
  journal: (query, signal) => json('GET', '/v1/journal', { query, signal }),
  journalEntry: (id) => json('GET', `/v1/journal/${part(id)}`),
  journalExport: async (query) => (await request('GET', '/v1/journal/export', { query })).text(),
  verifyJournal: () => json('GET', '/v1/journal/verification'),

  /** Reads a payment's events from its first, until it is finished or `signal` says so. */
  async paymentEvents(id, take, signal) {
    const response = await request('GET', `/v1/payments/${part(id)}/events`, { signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value.replaceAll('\r\n', '\n');
      const blocks = rest.split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart());
        if (data.length) take(JSON.parse(data.join('\n')));
      }
    }
  },
};
