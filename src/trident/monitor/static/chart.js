// One time chart as SVG. Its legend tells the newest values, or those under the pointer.

import { make, say, svg } from '/dom.js';
import { store } from '/store.js';
import { word } from '/words.js';
import { clock } from '/format.js';

const SHORTEST_S = 60;
const HEIGHT = 148, LEFT = 46, RIGHT = 6, TOP = 8, BOTTOM = 18;

// 1, 2, 5 times a power of ten above the value.
function nice(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 8, 10].map((step) => step * power).find((step) => step >= value * 0.9999);
}

export class Chart {
  // spec: {id, title, note, kind: lines|stack|band, series: [{column, word|name, color}], format, tell, limit(), least, most, needs}
  constructor(parent, spec) {
    this.spec = spec;
    this.cursor = null;
    this.title = make('span');
    this.note = make('small');
    this.legend = make('div', { class: 'legend' });
    this.svg = svg('svg', { tabindex: 0, role: 'img' });
    this.element = make('section', { class: 'card chart', id: `chart-${spec.id}` },
      make('h2', {}, this.title, this.note), this.legend, this.svg);
    parent.append(this.element);
    this.svg.addEventListener('pointermove', (event) => this.point(event));
    this.svg.addEventListener('pointerleave', () => { this.cursor = null; this.draw(this.window); });
    this.svg.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw(this.window)).observe(this.svg);
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    this.cursor = Math.min(1, Math.max(0, share));
    this.draw(this.window);
  }

  key(event) {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (event.key === 'Escape') this.cursor = null;
    else if (step) this.cursor = Math.min(1, Math.max(0, (this.cursor ?? 1) + step));
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw(this.window);
  }

  // At most one point for each pixel and a half, always at the same moments: a curve that is only shifted does not jitter.
  sampled(width) {
    const { at } = store.columns;
    const end = at[at.length - 1] ?? 0;
    const start = end - this.span;
    const step = Math.max(this.span / (width / 1.5), 0.001);
    const chosen = [];
    for (let i = 0; i < at.length; i += 1) {
      if (at[i] >= start && (i + 1 === at.length || Math.floor(at[i] / step) !== Math.floor(at[i + 1] / step))) chosen.push(i);
    }
    return { chosen, start, end };
  }

  draw(window) {
    this.window = window;
    const { at: times } = store.columns;
    // A page that was just opened fills its charts with what there is.
    this.span = Math.min(window ?? 0, Math.max(SHORTEST_S, (times[times.length - 1] ?? 0) - (times[0] ?? 0)));
    const width = this.svg.clientWidth;
    if (!width || !window) return;
    const { spec } = this;
    const plot = width - LEFT - RIGHT;
    const { chosen, start, end } = this.sampled(plot);
    const values = spec.series.map(({ column }) => chosen.map((i) => store.columns[column]?.[i] ?? null));
    if (spec.kind === 'stack') {
      for (let s = 1; s < values.length; s += 1) {
        values[s] = values[s].map((value, i) => (value == null && values[s - 1][i] == null ? null : (value ?? 0) + (values[s - 1][i] ?? 0)));
      }
    }
    const limit = spec.limit?.();
    const highest = Math.max(0, ...values.flat().filter((value) => value != null));
    const shownLimit = limit != null && limit <= highest * 2.5 ? limit : null;
    const top = Math.min(spec.most ?? Infinity, nice(Math.max(highest * 1.05, shownLimit ?? 0, spec.least ?? 0) || 1));
    const x = (t) => LEFT + ((t - start) / this.span) * plot;
    const y = (value) => TOP + (1 - Math.min(value, top * 1.02) / top) * (HEIGHT - TOP - BOTTOM);
    const parts = [...this.axes(top, y, width, plot)];
    const path = (list) => this.path(list, chosen, x, y);
    parts.push(...this.curves(values, path, chosen, x, y));
    if (shownLimit != null) parts.push(svg('line', { class: 'limit', x1: LEFT, x2: width - RIGHT, y1: y(shownLimit), y2: y(shownLimit) }));
    const at = this.cursor == null ? null : start + this.cursor * this.span;
    if (at != null) parts.push(svg('line', { class: 'cross', x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(...parts);
    this.tell(at ?? end, at != null);
  }

  axes(top, y, width, plot) {
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const value = top * share;
      parts.push(svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
      parts.push(svg('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, this.spec.format(value, top)));
    }
    const ago = (s) => `−${s >= 90 ? `${Number((s / 60).toFixed(1))} min` : `${Math.round(s)} s`}`;
    const marks = [[0, ago(this.span)], [0.5, ago(this.span / 2)], [1, word('now')]];
    for (const [share, text] of marks) {
      const anchor = ['start', 'middle', 'end'][share * 2];
      parts.push(svg('text', { x: LEFT + share * plot, y: HEIGHT - 4, 'text-anchor': anchor }, text));
    }
    return parts;
  }

  curves(values, path, chosen, x, y) {
    const { series, kind } = this.spec;
    const parts = [];
    if (kind === 'band') {
      parts.push(svg('path', { class: `area k${series[1].color}`, d: this.between(values[2], values[0], chosen, x, y) }));
      series.forEach(({ color }, i) => parts.push(svg('path', { class: `curve k${color} ${i === 1 ? '' : 'thin'}`, d: path(values[i]) })));
    } else if (kind === 'stack') {
      const floor = values[0].map((value) => (value == null ? null : 0));
      series.forEach(({ color }, i) => parts.push(svg('path', { class: `stack k${color}`, d: this.between(values[i], i ? values[i - 1] : floor, chosen, x, y) })));
    } else {
      const floor = values[0].map(() => 0);
      parts.push(svg('path', { class: `area k${series[0].color}`, d: this.between(values[0], floor, chosen, x, y) }));
      [...series.keys()].reverse().forEach((i) => parts.push(svg('path', { class: `curve k${series[i].color}`, d: path(values[i]) })));
    }
    return parts;
  }

  // Where nothing is known there is no line.
  path(list, chosen, x, y) {
    let text = '', pen = 'M';
    list.forEach((value, i) => {
      if (value == null) { pen = 'M'; return; }
      text += `${pen}${x(store.columns.at[chosen[i]]).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = 'L';
    });
    return text;
  }

  between(upper, lower, chosen, x, y) {
    let text = '', run = [];
    const close = () => {
      if (run.length) {
        const up = run.map((i) => `${x(store.columns.at[chosen[i]]).toFixed(1)} ${y(upper[i]).toFixed(1)}`);
        const down = run.reverse().map((i) => `${x(store.columns.at[chosen[i]]).toFixed(1)} ${y(lower[i] ?? 0).toFixed(1)}`);
        text += `M${up.join('L')}L${down.join('L')}Z`;
      }
      run = [];
    };
    upper.forEach((value, i) => { if (value == null || lower[i] === undefined) close(); else run.push(i); });
    close();
    return text;
  }

  tell(at, isCursor) {
    const { spec } = this;
    const { columns } = store;
    let index = columns.at.length - 1;
    while (index > 0 && columns.at[index - 1] >= at) index -= 1;
    say(this.title, word(spec.title));
    say(this.note, isCursor ? clock(columns.at[index] ?? at) : word(spec.note));
    const entries = spec.series.map(({ column, name, color }) => {
      const value = columns[column]?.[index];
      return [color, WORDLESS.has(name) ? name : word(name), spec.tell(value)];
    });
    const key = JSON.stringify(entries);
    if (key === this.told) return;
    this.told = key;
    this.legend.replaceChildren(...entries.map(([color, name, value]) => make('span', {}, make('i', { class: `k${color}` }), name, make('b', {}, value))));
    this.svg.setAttribute('aria-label', `${word(spec.title)}: ${entries.map(([, name, value]) => `${name} ${value}`).join(', ')}`);
  }
}

const WORDLESS = new Set(['p50', 'p95', 'p99']);
