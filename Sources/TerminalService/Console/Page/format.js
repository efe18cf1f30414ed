// Values as people read them.

/** `1,234.50` of 123450 minor units. */
export function amount(minor, currency) {
  const exponent = currency?.exponent ?? 2;
  const digits = String(Math.abs(minor ?? 0)).padStart(exponent + 1, '0');
  const whole = digits.slice(0, digits.length - exponent).replace(/\B(?=(\d{3})+$)/g, ',');
  const text = exponent ? `${whole}.${digits.slice(-exponent)}` : whole;
  return (minor < 0 ? '−' : '') + text;
}

export const money = (minor, currency) => `${amount(minor, currency)} ${currency?.letters ?? ''}`.trim();

/** Microseconds: `640 µs`, `12.4 ms`, `1.24 s`. */
export function duration(us) {
  if (us === undefined || us === null) return '';
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : us < 1e5 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short' });
const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export const time = (iso) => (iso ? clock.format(new Date(iso)) : '');
export const dateTime = (iso) => (iso ? full.format(new Date(iso)) : '');
export const shortDate = (iso) => (iso ? `${day.format(new Date(iso))} ${clock.format(new Date(iso))}` : '');

/** `onlineRequest` and `card-read` as words: `online request`, `card read`. */
export const words = (name) => String(name ?? '')
  .replace(/([a-z])([A-Z])/g, '$1 $2').replace(/[-_]/g, ' ')
  .split(' ').map((word) => (/^[A-Z]{2,}$/.test(word) ? word : word.toLowerCase())).join(' ');

export const sentence = (name) => {
  const text = words(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** Bytes of a hexadecimal text whose masked digits may be any character. */
export const byteCount = (hex) => Math.floor((hex?.length ?? 0) / 2);

/** `476173******0119` in groups of four. */
export const cardNumber = (pan) => String(pan ?? '').replace(/(.{4})(?=.)/g, '$1 ');

export const languageName = (code) => {
  try { return new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code; } catch { return code; }
};

/** How good a payment's result is: good, bad or neutral. */
export const tone = (status) => ({
  approved: 'good', declined: 'bad', failed: 'bad', 'refused-by-merchant': 'bad', ended: 'bad',
  'try-another-interface': 'warn', cancelled: 'neutral', 'timed-out': 'warn',
}[status] ?? 'neutral');
