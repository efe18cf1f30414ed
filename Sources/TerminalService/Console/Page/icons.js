import { svg } from './dom.js';

const PATHS = {
  sun: ['M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6l1.5 1.5M16.9 16.9l1.5 1.5M5.6 18.4l1.5-1.5M16.9 7.1l1.5-1.5', 'M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8z'],
  moon: ['M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z'],
  auto: ['M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18z', 'M12 3v18', 'M15 5.5v13M18 8v8'],
  soundOn: ['M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z', 'M15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11'],
  soundOff: ['M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z', 'M16 9.5l5 5M21 9.5l-5 5'],
  lock: ['M6.5 11h11v8.5h-11z', 'M8.5 11V8a3.5 3.5 0 0 1 7 0v3'],
  unlock: ['M6.5 11h11v8.5h-11z', 'M8.5 11V8a3.5 3.5 0 0 1 6.7-1.4'],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  cross: ['M6 6l12 12M18 6L6 18'],
  dash: ['M6 12h12'],
  copy: ['M8.5 8.5h11v11h-11z', 'M15.5 8.5v-4h-11v11h4'],
  save: ['M12 4v11M7.5 11l4.5 4.5l4.5-4.5', 'M4.5 19.5h15'],
  upload: ['M12 16V5M7.5 9l4.5-4.5L16.5 9', 'M4.5 19.5h15'],
  play: ['M8 5.5l10.5 6.5L8 18.5z'],
  pause: ['M8.5 5.5v13M15.5 5.5v13'],
  first: ['M6.5 6v12M18 6l-8.5 6L18 18z'],
  last: ['M17.5 6v12M6 6l8.5 6L6 18z'],
  back: ['M15 6l-7 6l7 6'],
  forward: ['M9 6l7 6l-7 6'],
  swap: ['M5 9h13l-3.5-3.5M19 15H6l3.5 3.5'],
  search: ['M10.5 4.5a6 6 0 1 0 0 12a6 6 0 0 0 0-12z', 'M15 15l5 5'],
  plus: ['M12 5v14M5 12h14'],
  trash: ['M5 7h14M9.5 7V4.5h5V7M7 7l1 12.5h8L17 7'],
  erase: ['M9 6h11v12H9l-5.5-6z', 'M12 9.5l5 5M17 9.5l-5 5'],
  reset: ['M5 12a7 7 0 1 0 2.2-5.1', 'M5 4.5V8h3.5'],
  compare: ['M4.5 5h6v14h-6zM13.5 5h6v14h-6z'],
  receipt: ['M6.5 4v16l2-1.5l2 1.5l1.5-1.5l1.5 1.5l2-1.5l2 1.5V4z', 'M9.5 8.5h5M9.5 12h5'],
  chevron: ['M7 9.5l5 5l5-5'],
  warning: ['M12 4.5l8.5 15h-17z', 'M12 10.5v4M12 17v.2'],
  person: ['M12 4.5a3.7 3.7 0 1 0 0 7.4a3.7 3.7 0 0 0 0-7.4z', 'M4.8 20a7.2 7.2 0 0 1 14.4 0'],
};

/** A drawn sign of 24 units; decoration unless it has a label. */
export function icon(name, label) {
  return svg('svg', {
    class: 'icon', viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', 'stroke-width': '1.8',
    'stroke-linecap': 'round', 'stroke-linejoin': 'round',
    ...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' }),
  }, (PATHS[name] ?? []).map((d) => svg('path', { d })));
}

/** Four waves: here a card or phone is held. */
export function waves() {
  const arc = (radius, half) => {
    const x = radius * Math.cos(half);
    const y = radius * Math.sin(half);
    return `M${(10 + x).toFixed(1)} ${(32 - y).toFixed(1)}A${radius} ${radius} 0 0 1 ${(10 + x).toFixed(1)} ${(32 + y).toFixed(1)}`;
  };
  return svg('svg', { class: 'waves', viewBox: '0 0 64 64', fill: 'none', stroke: 'currentColor', 'stroke-width': '4.4', 'stroke-linecap': 'round', 'aria-hidden': 'true' },
    [12, 22, 32, 42].map((radius, index) => svg('path', { d: arc(radius, 0.62), class: `wave wave-${index + 1}` })));
}

/** The program's mark. */
export function mark() {
  return svg('svg', { class: 'mark', viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    svg('rect', { width: 32, height: 32, rx: 8, class: 'mark-ground' }),
    svg('g', { fill: 'none', stroke: '#fff', 'stroke-width': 2.6, 'stroke-linecap': 'round' },
      ['M9 12.5a7 7 0 0 1 0 7', 'M13.5 10a12 12 0 0 1 0 12', 'M18 7.5a17 17 0 0 1 0 17'].map((d) => svg('path', { d }))),
    svg('circle', { cx: 24.5, cy: 16, r: 2.2, fill: '#8ff0c8' }));
}
