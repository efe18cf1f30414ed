import { h, frame } from './dom.js';

/**
 * A list of any length that holds only the rows in sight. All rows are equally high.
 *
 * - row(index): the element of a row.
 * - height(): pixels of a row.
 * - near(): called when the end comes into sight, to load more.
 */
export function virtualList({ row, height, near, role = 'list', label }) {
  const space = h('div', { class: 'virtual-space', role: role === 'table' ? 'rowgroup' : 'presentation' });
  const element = h('div', { class: 'virtual', role, 'aria-label': label, tabindex: '-1' }, space);
  let count = 0;
  let shown = new Map();

  function render() {
    const size = height();
    const first = Math.max(0, Math.floor(element.scrollTop / size) - 6);
    const last = Math.min(count, Math.ceil((element.scrollTop + (element.clientHeight || 600)) / size) + 6);
    const next = new Map();
    for (let index = first; index < last; index += 1) {
      let item = shown.get(index);
      if (!item) {
        item = row(index);
        item.classList.add('virtual-row');
        space.append(item);
      }
      item.style.transform = `translateY(${index * size}px)`;
      item.style.height = `${size}px`;
      next.set(index, item);
    }
    // A row that has the focus stays, so that the keyboard does not lose its place.
    for (const [index, item] of shown) {
      if (next.has(index)) continue;
      if (index < count && item.contains(document.activeElement)) next.set(index, item);
      else item.remove();
    }
    shown = next;
    if (near && last >= count - 10) near();
  }

  const later = frame(render);
  element.addEventListener('scroll', later, { passive: true });
  new ResizeObserver(() => { space.style.height = `${count * height()}px`; later(); }).observe(element);

  return {
    element,
    setCount(value) {
      count = value;
      space.style.height = `${count * height()}px`;
      render();
    },
    /** Draws every row anew. */
    refresh() {
      for (const item of shown.values()) item.remove();
      shown = new Map();
      render();
    },
    /** Scrolls to a row and gives it the focus. */
    focus(index) {
      if (index < 0 || index >= count) return;
      const size = height();
      const top = index * size;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + size > element.scrollTop + element.clientHeight) element.scrollTop = top + size - element.clientHeight;
      render();
      const item = shown.get(index);
      (item?.querySelector('a, button') ?? item)?.focus({ preventScroll: true });
    },
    rows: () => shown.size,
  };
}
