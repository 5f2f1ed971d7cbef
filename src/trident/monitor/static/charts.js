// Which charts there are.

import { Chart } from '/chart.js';
import { store } from '/store.js';
import { number, percent, secondsText, whole } from '/format.js';

const plain = (value) => number(value);
const tokens = (value) => (value == null ? '–' : number(value));
const slo = (name) => () => store.latest?.slos.find((each) => each.name === name)?.limit_s;
const quantiles = (name, color) => ['p50', 'p95', 'p99'].map((q) => ({ column: `${name}_${q}_s`, name: q, color }));

const SPECS = [
  { id: 'tokens', title: 'tokens', note: 'ten_s', kind: 'lines', format: plain, tell: tokens,
    series: [{ column: 'output_tokens_per_s', name: 'output', color: 0 }, { column: 'prompt_tokens_per_s', name: 'prompt', color: 4 }] },
  { id: 'ttft', title: 'ttft', note: 'minute', kind: 'band', format: secondsText, tell: secondsText, series: quantiles('ttft', 2), limit: slo('ttft') },
  { id: 'itl', title: 'itl', note: 'minute', kind: 'band', format: secondsText, tell: secondsText, series: quantiles('itl', 3), limit: slo('tpot') },
  { id: 'batch', title: 'batch', note: 'now', kind: 'stack', format: plain, tell: whole, limit: () => store.server?.max_running,
    series: [{ column: 'running', name: 'running', color: 0 }, { column: 'waiting', name: 'waiting', color: 1 }, { column: 'queued', name: 'in_front', color: 4 }] },
  { id: 'kv', title: 'kv', note: 'now', kind: 'lines', format: percent, tell: percent, least: 0.1, most: 1,
    series: [{ column: 'kv_share', name: 'used', color: 2 }, { column: 'prefix_hit_share', name: 'reused', color: 5 }] },
  { id: 'split', title: 'time_split', note: 'per_request', kind: 'stack', format: secondsText, tell: secondsText,
    series: [{ column: 'gate_s', name: 'in_front', color: 4 }, { column: 'queue_s', name: 'in_queue', color: 1 },
      { column: 'prefill_s', name: 'prefill', color: 3 }, { column: 'decode_s', name: 'decode', color: 0 }] },
  { id: 'e2e', title: 'e2e', note: 'minute', kind: 'band', format: secondsText, tell: secondsText, series: quantiles('e2e', 0) },
  { id: 'requests', title: 'requests_rate', note: 'ten_s', kind: 'lines', format: plain, tell: plain,
    series: [{ column: 'requests_per_s', name: 'per_s', color: 2 }, { column: 'refused_per_s', name: 'refused', color: 1 }] },
  { id: 'gpu', title: 'gpu', note: 'now', kind: 'lines', format: percent, tell: percent, least: 1, needs: 'gpu_memory_share',
    series: [{ column: 'gpu_share', name: 'utilization', color: 0 }, { column: 'gpu_memory_share', name: 'memory', color: 5 }] },
  { id: 'power', title: 'power', note: 'now', kind: 'lines', needs: 'gpu_watts', format: (v) => `${number(v)} W`, tell: (v) => (v == null ? '–' : `${whole(v)} W`),
    series: [{ column: 'gpu_watts', name: 'power', color: 1 }] },
  { id: 'cpu', title: 'cpu', note: 'ten_s', kind: 'stack', needs: 'engine_cpu_cores', format: plain, tell: plain,
    series: [{ column: 'engine_cpu_cores', name: 'engine', color: 0 }, { column: 'doors_cpu_cores', name: 'doors', color: 4 }] },
];

export class Charts {
  constructor(parent) {
    this.parent = parent;
    this.made = new Map();
  }

  draw(window) {
    for (const spec of SPECS) {
      // What the machine does not have has no chart.
      if (spec.needs && !store.columns[spec.needs]?.some((value) => value != null)) continue;
      if (!this.made.has(spec.id)) this.made.set(spec.id, new Chart(this.parent, spec));
      this.made.get(spec.id).draw(window);
    }
  }

  forget() {
    this.made.forEach((chart) => { chart.told = null; });
  }
}
