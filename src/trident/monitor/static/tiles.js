// The large numbers. data-metric names the family of /metrics whose value, exactly, is in data-value.

import { make, say, svg } from '/dom.js';
import { store } from '/store.js';
import { word } from '/words.js';
import { number, percent, seconds, whole } from '/format.js';

const MOST_S = 300, LEAST_S = 60;

const part = (text) => { const at = text.lastIndexOf(' '); return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]; };
const quantile = (n, name) => ({ value: seconds(n[`${name}_p95_s`]), more: `p99 ${seconds(n[`${name}_p99_s`]).join(' ')}` });

const TILES = [
  { id: 'requests', title: 'requests_rate', column: 'requests_per_s', color: 2,
    show: (n) => ({ value: [number(n.requests_per_s), word('per_s')], more: word('failed_n', { n: percent(n.failed_share ?? 0) }), level: n.failed_share > 0 ? 'bad' : '' }) },
  { id: 'output', title: 'output_tokens', column: 'output_tokens_per_s', color: 0,
    show: (n) => ({ value: [number(n.output_tokens_per_s), word('per_s')], more: word('prompt_rate', { n: number(n.prompt_tokens_per_s) }) }) },
  { id: 'ttft', title: 'first_token', tag: 'p95', column: 'ttft_p95_s', color: 2, show: (n) => quantile(n, 'ttft') },
  { id: 'itl', title: 'itl', tag: 'p95', column: 'itl_p95_s', color: 3, show: (n) => quantile(n, 'itl') },
  { id: 'e2e', title: 'e2e', tag: 'p95', column: 'e2e_p95_s', color: 0, show: (n) => quantile(n, 'e2e') },
  { id: 'running', title: 'running', column: 'running', color: 0, metric: 'vllm:num_requests_running',
    show: (n) => ({ value: [whole(n.running), store.server?.max_running ? word('of', { n: whole(store.server.max_running) }) : ''], more: n.tokens_per_step != null ? word('per_step', { n: number(n.tokens_per_step) }) : '' }) },
  { id: 'waiting', title: 'waiting', column: 'waiting', color: 1, metric: 'vllm:num_requests_waiting',
    show: (n) => ({ value: [whole(n.waiting), ''], more: n.queued != null ? word('in_front_n', { n: whole(n.queued) }) : '' }) },
  { id: 'kv', title: 'kv', column: 'kv_share', color: 2, metric: 'vllm:kv_cache_usage_perc',
    show: (n) => ({ value: part(percent(n.kv_share)), more: n.preemptions_per_min ? word('preempted', { n: number(n.preemptions_per_min) }) : word('reuse_n', { n: percent(n.prefix_hit_share) }) }) },
  { id: 'gpu', title: 'gpu', column: 'gpu_share', color: 0, needs: 'gpu_memory_share',
    show: (n) => ({ value: part(percent(n.gpu_share)), more: [n.gpu_celsius != null && `${whole(n.gpu_celsius)} °C`, n.gpu_memory_share != null && word('memory_n', { n: percent(n.gpu_memory_share) })].filter(Boolean).join(' · ') }) },
  { id: 'power', title: 'power', column: 'gpu_watts', color: 1, needs: 'gpu_watts',
    show: (n) => ({ value: [whole(n.gpu_watts), 'W'], more: n.joules_per_token != null ? word('joules', { n: number(n.joules_per_token) }) : '' }) },
];

// A curve of the last minutes, 100 wide and 26 high.
function spark(column) {
  const values = store.columns[column] ?? [];
  const { at } = store.columns;
  const end = at[at.length - 1] ?? 0;
  const span = Math.min(MOST_S, Math.max(LEAST_S, end - at[0]));
  const points = [];
  for (let i = 0; i < at.length; i += 1) if (at[i] >= end - span && values[i] != null) points.push([at[i], values[i]]);
  if (points.length < 2) return ['', ''];
  const most = Math.max(...points.map(([, value]) => value)) || 1;
  const step = Math.ceil(points.length / 100);
  const kept = points.filter((_, i) => i % step === 0 || i === points.length - 1);
  const place = ([t, value]) => `${((t - end + span) / span * 100).toFixed(2)} ${(24 - value / most * 21).toFixed(2)}`;
  const line = `M${kept.map(place).join('L')}`;
  return [line, `${line}L100 26L${((kept[0][0] - end + span) / span * 100).toFixed(2)} 26Z`];
}

export class Tiles {
  constructor(parent) {
    this.parent = parent;
    this.made = new Map();
  }

  make(tile) {
    const parts = { name: make('span'), text: make('span'), unit: make('span', { class: 'unit' }), more: make('span', { class: 'more' }),
      line: svg('path', { class: 'spark' }), area: svg('path', { class: 'sparkfill' }) };
    parts.value = make('span', { class: 'value', 'data-metric': tile.metric }, parts.text, parts.unit);
    this.parent.append(make('div', { class: 'card tile', id: `tile-${tile.id}` }, make('span', { class: 'name' }, parts.name, tile.tag ? make('small', {}, tile.tag) : null), parts.value, parts.more,
      svg('svg', { class: `k${tile.color}`, viewBox: '0 0 100 26', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, parts.area, parts.line)));
    this.made.set(tile.id, parts);
    return parts;
  }

  draw(snapshot) {
    this.parent.classList.toggle('ten', snapshot.numbers.gpu_memory_share != null);
    for (const tile of TILES) {
      if (tile.needs && snapshot.numbers[tile.needs] == null) continue;
      const parts = this.made.get(tile.id) ?? this.make(tile);
      const { value, more, level } = tile.show(snapshot.numbers);
      say(parts.name, word(tile.title));
      parts.more.className = `more ${level ?? ''}`;
      say(parts.text, value[0]);
      say(parts.unit, value[1]);
      say(parts.more, more);
      if (tile.metric) parts.value.dataset.value = snapshot.totals[tile.metric] ?? snapshot.numbers[tile.column] ?? '';
      const [line, area] = spark(tile.column);
      parts.line.setAttribute('d', line);
      parts.area.setAttribute('d', area);
    }
  }
}
