import { h, put, copy } from './dom.js';
import { icon } from './icons.js';
import { byteCount } from './format.js';

/** Bytes as hexadecimal, of which ranges can be marked. */
export function hexBlock(hex) {
  const cells = [];
  const block = h('code', { class: 'hex' });
  for (let index = 0; index < byteCount(hex); index += 1) {
    const cell = h('span', {}, hex.slice(index * 2, index * 2 + 2));
    cells.push(cell);
    block.append(cell);
  }
  return {
    element: block,
    mark(from, until) {
      cells.forEach((cell, index) => cell.classList.toggle('marked', index >= from && index < until));
    },
  };
}

function range(node, hex) {
  const isTagged = node.tag && hex.slice(node.offset * 2, node.offset * 2 + node.tag.length).toUpperCase() === node.tag;
  const header = isTagged ? node.tag.length / 2 + (node.length < 128 ? 1 : node.length < 256 ? 2 : 3) : 0;
  return [node.offset, node.offset + header + (node.length ?? 0)];
}

function lineList(lines) {
  const shown = lines.filter((line) => line.isSet !== false);
  if (!shown.length) return null;
  return h('ul', { class: 'lines' }, shown.map((line) => h('li', { class: `indent-${Math.min(line.indent ?? 0, 4)}` },
    line.isSet === true ? h('span', { class: 'bit-set' }, icon('check', 'set')) : null, line.text)));
}

/** A node's own row: tag, name, value. */
export function nodeRow(node) {
  return [
    node.tag ? h('span', { class: 'tag' }, node.tag) : null,
    h('span', { class: 'name' }, node.name),
    node.value !== undefined && node.value !== null ? h('span', { class: 'value' }, node.value || '(empty)') : null,
    node.isMasked ? h('span', { class: 'chip quiet' }, 'masked') : null,
    node.error ? h('span', { class: 'chip bad' }, node.error) : null,
  ];
}

/** A decoded tree, collapsible with pointer and keyboard. `mark(from, until)` is told what is pointed at. */
export function decodedTree(node, { hex = '', mark, depth = 0, isRootHidden = false } = {}) {
  if (!node) return h('p', { class: 'empty' }, 'Nothing decoded.');
  if (isRootHidden && node.children?.length) {
    return h('div', {}, lineList(node.lines ?? []),
      h('ul', { class: 'tree' }, node.children.map((child) => h('li', {}, decodedTree(child, { hex, mark, depth: 1 })))));
  }
  const point = (element) => {
    if (!mark || node.offset === undefined) return element;
    const [from, until] = range(node, hex);
    element.addEventListener('pointerenter', () => mark(from, until));
    element.addEventListener('pointerleave', () => mark(0, 0));
    element.addEventListener('focus', () => mark(from, until));
    element.addEventListener('blur', () => mark(0, 0));
    return element;
  };
  const lines = lineList(node.lines ?? []);
  if (!node.children?.length) {
    return h('div', { class: 'leaf' }, point(h('div', { class: 'node' }, nodeRow(node))), lines);
  }
  const inside = h('div', { class: 'inside' });
  const details = h('details', { open: depth < 3 }, point(h('summary', { class: 'node' }, nodeRow(node))), inside);
  const build = () => {
    if (inside.childElementCount || !details.open) return;
    put(inside, lines, h('ul', { class: 'tree' }, node.children.map((child) => h('li', {}, decodedTree(child, { hex, mark, depth: depth + 1 })))));
  };
  details.addEventListener('toggle', build);
  build();
  return details;
}

/** Hexadecimal digits and the tree that explains them. */
export function explainedBytes(title, hex, tree) {
  const block = hexBlock(hex);
  return h('section', { class: 'bytes' },
    h('header', {}, h('h3', {}, title), h('span', { class: 'quiet' }, `${byteCount(hex)} bytes`),
      h('button', { type: 'button', class: 'plain small', onclick: () => copy(hex, title) }, icon('copy'), h('span', { class: 'visually-hidden' }, `Copy ${title.toLowerCase()}`))),
    block.element,
    decodedTree(tree, { hex, mark: block.mark, isRootHidden: true }));
}

/** Bits of a bit field from the decoded lines `byte N bit M: text`. */
export function bitsOf(node) {
  const value = node?.value ?? '';
  const bytes = value.match(/[0-9A-Fa-f]{2}/g)?.map((digits) => parseInt(digits, 16)) ?? [];
  const texts = new Map();
  for (const line of node?.lines ?? []) {
    const match = /^byte (\d+) bit (\d+): (.*)$/.exec(line.text);
    if (match) texts.set(`${match[1]}.${match[2]}`, match[3]);
  }
  return bytes.map((byte, index) => [8, 7, 6, 5, 4, 3, 2, 1].map((bit) => ({
    byte: index + 1, bit, isSet: (byte >> (bit - 1)) % 2 === 1, text: texts.get(`${index + 1}.${bit}`),
  })));
}

/** A bit field drawn: each byte a row of eight, and every set bit in words. */
export function bitField(node) {
  const rows = bitsOf(node);
  const set = rows.flat().filter((bit) => bit.isSet);
  const spoken = set.length ? set.map((bit) => bit.text ?? `byte ${bit.byte} bit ${bit.bit}`).join('; ') : 'no bit is set';
  return h('div', { class: 'bit-field' },
    h('div', { class: 'bits', role: 'img', 'aria-label': `${node.name} ${node.value}: ${spoken}` },
      rows.map((row, index) => h('div', { class: 'bit-row' }, h('span', { class: 'bit-byte' }, node.value.slice(index * 2, index * 2 + 2)),
        row.map((bit) => h('span', { class: `bit ${bit.isSet ? 'set' : ''} ${bit.text ? '' : 'reserved'}`, title: `byte ${bit.byte} bit ${bit.bit}: ${bit.text ?? 'reserved'}` }, bit.isSet ? '1' : '0'))))),
    set.length
      ? h('ul', { class: 'set-bits' }, set.map((bit) => h('li', {}, h('span', { class: 'chip mono' }, `${bit.byte}.${bit.bit}`), bit.text ?? 'reserved for future use')))
      : h('p', { class: 'quiet' }, 'No bit is set.'));
}
