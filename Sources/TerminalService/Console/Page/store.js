/** Shared state of the page: `get`, `set` of some members, and subscriptions to members that change. */
export function createStore(state) {
  const listeners = new Set();
  return {
    get: () => state,
    set(change) {
      const before = state;
      state = { ...state, ...change };
      for (const { keys, action } of [...listeners]) {
        if (keys.some((key) => before[key] !== state[key])) action(state, before);
      }
    },
    /** Calls `action` now and whenever one of `keys` changes. */
    watch(keys, action) {
      const listener = { keys, action };
      listeners.add(listener);
      action(state, state);
      return () => listeners.delete(listener);
    },
  };
}

/** What the user chose, kept by the browser where it lets us. */
export const preferences = {
  read(key, otherwise) {
    try { return localStorage.getItem(`tapbridge.${key}`) ?? otherwise; } catch { return otherwise; }
  },
  write(key, value) {
    try { localStorage.setItem(`tapbridge.${key}`, value); } catch { /* private window: forgotten on reload */ }
  },
};
