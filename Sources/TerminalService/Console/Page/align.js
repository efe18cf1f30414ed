// Comparison of two exchanges. Pure.

/**
 * Pairs two lists so that the sum of `score(a, b)` is greatest, each in its order (Needleman and Wunsch).
 * A score of 0 or less never pairs. Returns `[a | null, b | null]` pairs.
 */
export function align(left, right, score) {
  const [n, m] = [left.length, right.length];
  const best = Array.from({ length: n + 1 }, () => new Float64Array(m + 1));
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      const match = score(left[i], right[j]);
      best[i][j] = Math.max(best[i + 1][j], best[i][j + 1], match > 0 ? match + best[i + 1][j + 1] : -1);
    }
  }
  const pairs = [];
  let [i, j] = [0, 0];
  while (i < n && j < m) {
    const match = score(left[i], right[j]);
    if (match > 0 && best[i][j] === match + best[i + 1][j + 1]) { pairs.push([left[i], right[j]]); i += 1; j += 1; }
    else if (best[i][j] === best[i + 1][j]) { pairs.push([left[i], null]); i += 1; }
    else { pairs.push([null, right[j]]); j += 1; }
  }
  while (i < n) { pairs.push([left[i], null]); i += 1; }
  while (j < m) { pairs.push([null, right[j]]); j += 1; }
  return pairs;
}

/** How well two commands go together: the same command with the same parameters best. */
export function commandScore(a, b) {
  const head = (entry) => entry.command.hex.slice(0, 8);
  if (head(a).slice(2, 4) !== head(b).slice(2, 4)) return 0;
  if (a.command.hex === b.command.hex) return 4;
  if (head(a) === head(b)) return a.detail === b.detail ? 3 : 2;
  return 1;
}

/** The fields of a decoded tree in order, with the path that names each. */
export function fieldsOf(node) {
  const fields = [];
  const visit = (each, path) => {
    const own = `${path}/${each.tag ?? each.name}`;
    if (each.value !== undefined && each.value !== null) {
      fields.push({ path: own, tag: each.tag, name: each.name, value: each.value, lines: (each.lines ?? []).filter((line) => line.isSet !== false).map((line) => line.text), isMasked: each.isMasked });
    }
    for (const child of each.children ?? []) visit(child, own);
  };
  for (const child of node?.children ?? []) visit(child, '');
  return fields;
}

/** Fields of both trees side by side: `{ kind: 'same' | 'changed' | 'left' | 'right', a, b }`. */
export function compareFields(left, right) {
  return align(fieldsOf(left), fieldsOf(right), (a, b) => (a.path === b.path ? (a.value === b.value ? 2 : 1) : 0))
    .map(([a, b]) => ({ kind: !a ? 'right' : !b ? 'left' : a.value === b.value ? 'same' : 'changed', a, b }));
}

/** Rows of the comparison: commands of both, with what differs. */
export function compareExchanges(left, right) {
  return align(left, right, commandScore).map(([a, b]) => {
    if (!a || !b) return { a, b, isSame: false, command: [], response: [], differences: 1 };
    const command = compareFields(a.command.tree, b.command.tree);
    const response = compareFields(a.response?.tree, b.response?.tree);
    const differences = [...command, ...response].filter((field) => field.kind !== 'same').length
      + (a.response?.sw === b.response?.sw ? 0 : 1);
    return { a, b, command, response, differences, isSame: a.command.hex === b.command.hex && a.response?.hex === b.response?.hex };
  });
}

/** Two hexadecimal values in pieces that are the same or differ, by byte. */
export function diffBytes(value, other) {
  const pieces = [];
  for (let index = 0; index < value.length; index += 2) {
    const byte = value.slice(index, index + 2);
    const isSame = byte === other.slice(index, index + 2);
    const last = pieces.at(-1);
    if (last && last.isSame === isSame) last.text += byte;
    else pieces.push({ text: byte, isSame });
  }
  return pieces;
}
