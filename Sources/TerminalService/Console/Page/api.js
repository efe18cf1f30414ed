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
async function* pages(path, signal) {
  let cursor;
  do {
    const page = await json('GET', path, { query: { limit: 200, cursor }, signal });
    yield page.items;
    cursor = page.next;
  } while (cursor);
}

async function all(path, signal) {
  const items = [];
  for await (const page of pages(path, signal)) items.push(...page);
  return items;
}

export const api = {
  status: (signal) => json('GET', '/v1/status', { signal }),
  readers: () => all('/v1/readers'),
  terminalPages: () => pages('/v1/terminals'),
  firstTerminal: async (signal) => (await json('GET', '/v1/terminals', { query: { limit: 1 }, signal })).items[0],
  terminal: (id, signal) => json('GET', `/v1/terminals/${part(id)}`, { signal }),
  createTerminal: (body) => json('POST', '/v1/terminals', { body }),
  deleteTerminal: (id) => json('DELETE', `/v1/terminals/${part(id)}`),
  tap: (terminal, body) => json('POST', `/v1/terminals/${part(terminal)}/taps`, { body }),
  removeCards: (terminal) => json('DELETE', `/v1/terminals/${part(terminal)}/taps`),
  pin: (terminal, body) => json('POST', `/v1/terminals/${part(terminal)}/pin`, { body }),
  batch: (terminal, signal) => json('GET', `/v1/terminals/${part(terminal)}/batch`, { signal }),
  settle: (terminal) => json('POST', `/v1/terminals/${part(terminal)}/settlements`),
  cards: (signal) => all('/v1/cards', signal),
  card: (id) => json('GET', `/v1/cards/${part(id)}`),
  createCard: (body) => json('POST', '/v1/cards', { body }),
  deleteCard: (id) => json('DELETE', `/v1/cards/${part(id)}`),
  cardAction: (id, action) => json('POST', `/v1/cards/${part(id)}/${action}`),
  cardProfiles: (signal) => all('/v1/card-profiles', signal),
  cardProfile: async (id, signal) => (await request('GET', `/v1/card-profiles/${part(id)}`, { signal })).text(),
  pay: (body, key) => json('POST', '/v1/payments', { body, headers: { 'Idempotency-Key': key } }),
  payment: (id, signal) => json('GET', `/v1/payments/${part(id)}`, { signal }),
  payments: async (query, signal) => (await json('GET', '/v1/payments', { query: { limit: 50, ...query }, signal })).items,
  paymentAction: (id, action, body) => json('POST', `/v1/payments/${part(id)}/${action}`, { body }),
  receipt: async (id) => (await request('GET', `/v1/payments/${part(id)}/receipt`)).text(),
  paymentTrace: async (id) => (await request('GET', `/v1/payments/${part(id)}/trace`)).text(),
  traces: (signal) => all('/v1/traces', signal),
  trace: async (name) => (await request('GET', `/v1/traces/${part(name)}`)).text(),
  upload: (name, text) => json('PUT', `/v1/traces/${part(name)}`, { text }),
  deleteTrace: (name) => json('DELETE', `/v1/traces/${part(name)}`),
  replay: (name, mode, signal) => json('POST', `/v1/traces/${part(name)}/replay`, { body: { mode }, signal }),
  journal: (query, signal) => json('GET', '/v1/journal', { query, signal }),
  journalEntry: (id, signal) => json('GET', `/v1/journal/${part(id)}`, { signal }),
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
