// Numbers as people read them. Unknown is a dash.

import { current, word } from '/words.js';

const DASH = '–';

export function number(value, digits = 3) {
  if (value == null || Number.isNaN(value)) return DASH;
  if (value !== 0 && Math.abs(value) < 0.001) return '<0.001';
  if (Math.abs(value) >= 10 ** digits) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(digits)));
}

export const whole = (value) => (value == null ? DASH : Math.round(value).toLocaleString('en-US'));

// [text, unit]: 67 µs, 12.3 ms, 1.24 s.
export function seconds(value) {
  if (value == null) return [DASH, ''];
  if (value > 0 && value < 0.001) return [number(value * 1e6, 2), 'µs'];
  if (value < 1) return [number(value * 1000), 'ms'];
  if (value < 100) return [number(value), 's'];
  return [number(value / 60), 'min'];
}

export const secondsText = (value) => seconds(value).join(' ').trim();

export function percent(share, digits = 1) {
  if (share == null) return DASH;
  const shown = 100 * share;
  if (shown > 99 && shown < 100) return `${Math.floor(shown * 1000) / 1000} %`;
  return `${Number(shown.toFixed(shown < 10 ? digits : digits - 1))} %`;
}

export function bytes(value) {
  if (value == null) return DASH;
  return value >= 2 ** 30 ? `${number(value / 2 ** 30)} GiB` : `${number(value / 2 ** 20)} MiB`;
}

export function duration(total) {
  const [s, minutes, hours, days] = [total, total / 60, total / 3600, total / 86400].map(Math.floor);
  if (total < 60) return `${Math.max(0, s)} s`;
  const [d, h, min] = ['d', 'h', 'min'].map((name) => word(name));
  if (minutes < 60) return `${minutes} ${min}`;
  return hours < 24 ? `${hours} ${h} ${minutes % 60} ${min}` : `${days} ${d} ${hours % 24} ${h}`;
}

export const clock = (unix) => new Date(unix * 1000).toLocaleTimeString(current() === 'zh' ? 'zh-CN' : 'en-GB');
