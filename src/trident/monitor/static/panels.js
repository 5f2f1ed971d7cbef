// Objectives, hints, processes, totals and requests in flight.

import { byId, make, say, table } from '/dom.js';
import { store } from '/store.js';
import { current, word } from '/words.js';
import { duration, number, percent, secondsText, whole } from '/format.js';

const FEW = 8;

// Draws again only when there is another thing to show.
const drawn = new Map();
function when(id, content, draw) {
  const key = current() + JSON.stringify(content);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  byId(id).replaceChildren(...draw());
}

export function slos(list) {
  when('slos', list, () => list.map((slo) => {
    const name = slo.name === 'availability' ? word('availability') : word(`slo_${slo.name}`, { s: secondsText(slo.limit_s) });
    const left = slo.budget_left;
    const level = left == null || left > 0.5 ? '' : left > 0 ? 'warn' : 'bad';
    const bar = make('span', { class: level });
    bar.style.width = `${100 * Math.min(1, Math.max(left == null ? 0 : 0.02, left ?? 0))}%`;
    const note = left == null ? word('too_few') : left <= 0 ? word('budget_gone') : word('budget_left', { n: percent(left, 0.999) });
    const burn = slo.burn >= 0.1 && left != null ? ` · ${word('burn', { n: number(slo.burn, 2) })}` : '';
    return make('div', { class: 'slo' }, make('div', { class: 'name' }, name),
      make('div', { class: `share ${level}` }, percent(slo.share, 2), ' ', make('small', {}, word('target', { n: percent(slo.target, 2) }))),
      make('div', { class: 'budget' }, bar), make('div', { class: 'note' }, note + burn));
  }));
}

export function hints(list) {
  when('hints', list, () => {
    if (!list.length) return [make('li', { class: 'level-ok' }, make('span', {}, word('all_well')), make('small', {}, word('all_well_more')))];
    return list.map((hint) => make('li', { class: `level-${hint.level}`, 'data-hint': hint.id }, make('span', {}, hint.what[current()]), make('small', {}, hint.next[current()])));
  });
}

export function phaseWord(phase) {
  return word({ starting: 'starting_up', failed: 'server_failed' }[phase] ?? phase);
}

export const phaseLevel = (phase) => ({ ready: 'good', starting: 'note', degraded: 'warn', draining: 'warn' }[phase] ?? 'bad');

export function children(list) {
  when('children', list, () => list.map((child) => {
    const notes = [child.restarts ? word('restarts', { n: child.restarts }) : '', child.mended ? word('mended', { n: child.mended }) : ''].filter(Boolean).join(', ');
    return make('div', { class: 'child' }, make('span', {}, child.name, ' ', make('small', {}, notes)),
      make('span', { class: `pill ${child.is_ready ? 'good' : phaseLevel(child.phase)}` }, child.is_ready ? word('ready') : phaseWord(child.phase)));
  }));
}

export function totals(sums) {
  const box = byId('totals');
  const rows = Object.entries(sums);
  if (box.childElementCount !== 2 * rows.length) {
    box.replaceChildren(...rows.flatMap(([name]) => [make('dt', {}, make('code', {}, name)), make('dd', { 'data-metric': name })]));
  }
  box.querySelectorAll('dd').forEach((each) => {
    const value = sums[each.dataset.metric];
    each.dataset.value = value;
    say(each, whole(value));
  });
}

function answer(one) {
  const bar = make('span', { class: 'made', 'aria-hidden': 'true' }, make('span'));
  bar.firstChild.style.width = `${Math.min(100, 100 * (one.output_tokens ?? 0) / (one.max_tokens || Infinity))}%`;
  return make('span', {}, whole(one.output_tokens ?? 0), one.max_tokens ? bar : null);
}

const LEVEL = { queued: 'warn', starting: 'note', decoding: 'good' };

export function requestTable(list, withPrompts) {
  if (!list.length) return make('p', { class: 'empty' }, word('none_in_flight'));
  const heads = [[word('age'), 'num'], [word('state')], [word('made'), 'num'], [word('prompt_tokens'), 'num'], [word('door')], [word('model')], [word('client')], ...(withPrompts ? [[word('asked'), 'wrap']] : [])];
  return table(heads, list.map((one) => [secondsText(one.age_s), make('span', { class: `pill ${LEVEL[one.state]}` }, word(one.state)), answer(one),
    whole(one.prompt_tokens), one.door, one.model, one.client || '–', ...(withPrompts ? [one.prompt ?? ''] : [])]));
}

export function requestsFew(told) {
  when('requests-few', told, () => {
    const more = told.total - Math.min(FEW, told.requests.length);
    return [requestTable(told.requests.slice(0, FEW), false), more > 0 ? make('p', { class: 'empty' }, word('more', { n: whole(more) })) : ''];
  });
}

export function head(snapshot) {
  const { server } = store;
  say(byId('model'), server?.model?.name || 'Trident');
  document.title = `${server?.model?.name || 'Trident'} · ${phaseWord(snapshot.phase)}`;
  const phase = byId('phase');
  phase.className = `pill ${phaseLevel(snapshot.phase)}`;
  say(phase, phaseWord(snapshot.phase));
  say(byId('uptime'), server?.started ? word('up_for', { time: duration(snapshot.numbers.at - server.started) }) : '');
  say(byId('request-count'), snapshot.requests.total ? whole(snapshot.requests.total) : '');
}
