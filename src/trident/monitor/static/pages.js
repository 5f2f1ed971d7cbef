// The other views: all requests, logs, the server.

import { byId, make, say, table } from '/dom.js';
import { json, store } from '/store.js';
import { word } from '/words.js';
import { duration, secondsText, whole } from '/format.js';
import { phaseLevel, phaseWord, requestTable } from '/panels.js';

const MOST_LINES = 1000;

// Requests ------------------------------------------------------------------------------------------------------------

export async function requests() {
  const box = byId('prompts');
  const allowed = store.server?.monitor?.show_prompts;
  box.disabled = !allowed;
  byId('prompts-label').title = allowed ? '' : word('prompts_hidden');
  const withPrompts = allowed && box.checked;
  const told = withPrompts ? await json('/api/requests?prompts=1') : store.latest.requests;
  byId('requests-all').replaceChildren(requestTable(told.requests, withPrompts));
  const note = told.total ? word('shown_of', { n: whole(told.total), shown: told.requests.length }) : '';
  say(byId('requests-note'), allowed ? note : [note, word('prompts_hidden')].filter(Boolean).join(' · '));
}

// Logs ----------------------------------------------------------------------------------------------------------------

const log = { name: null, place: null, lines: [] };

export function logNames() {
  const names = store.server?.logs ?? [];
  if (!names.includes(log.name)) log.name = names.includes('engine') ? 'engine' : names[0] ?? null;
  byId('log-names').replaceChildren(...names.map((name) => {
    const button = make('button', { type: 'button', 'aria-pressed': String(name === log.name) }, name);
    button.addEventListener('click', () => { Object.assign(log, { name, place: null, lines: [] }); logNames(); logs(true); });
    return button;
  }));
}

export async function logs(isAnew = false) {
  if (!log.name) return;
  const asked = log.name;
  const place = log.place == null ? '' : `&place=${log.place}`;
  const told = await json(`/api/log?name=${encodeURIComponent(asked)}${place}`);
  if (asked !== log.name) return;
  if (log.place != null && told.place < log.place) log.lines = [];
  log.place = told.place;
  if (!told.lines.length && !isAnew) return;
  log.lines = [...log.lines, ...told.lines].slice(-MOST_LINES);
  drawLog();
}

export function drawLog() {
  const box = byId('log');
  const wanted = byId('log-filter').value.toLowerCase();
  const shown = log.lines.filter((line) => !wanted || line.toLowerCase().includes(wanted));
  box.replaceChildren(...shown.map((line) => {
    const level = /\b(ERROR|CRITICAL|FATAL)\b|^E\d{4}/.test(line) ? 'error' : /\bWARN(ING)?\b|^W\d{4}/.test(line) ? 'warning' : null;
    return make('span', { class: level }, `${line}\n`);
  }));
  if (byId('log-follow').checked) box.scrollTop = box.scrollHeight;
}

// Server --------------------------------------------------------------------------------------------------------------

const card = (title, ...content) => make('section', { class: 'card' }, make('h2', {}, title), ...content);
const text = (value) => (value == null ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value));
const list = (entries) => make('dl', { class: 'facts' }, ...entries.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, text(value))]));

function configuration(all) {
  const plain = Object.entries(all).filter(([, value]) => value == null || typeof value !== 'object');
  const sections = Object.entries(all).filter(([, value]) => value && typeof value === 'object' && Object.keys(value).length);
  return [list(plain), ...sections.map(([name, section]) => make('details', {}, make('summary', {}, name), list(Object.entries(section))))];
}

export function server() {
  const found = store.server;
  if (!found || !found.configuration) return;
  const now = store.latest.numbers.at;
  const rows = store.latest.children.flatMap((child) => [
    [child.name, make('span', { class: `pill ${child.is_ready ? 'good' : phaseLevel(child.phase)}` }, child.is_ready ? word('ready') : phaseWord(child.phase)), text(child.pid), duration(now - child.since), whole(child.restarts ?? 0), child.last_death ?? ''],
    ...Object.entries(child.parts ?? {}).map(([name, pid]) => [`· ${name}`, '', text(pid), '', '', '']),
  ]);
  const heads = [[word('processes')], [word('state')], ['pid', 'num'], [word('age'), 'num'], ['↻', 'num'], ['', 'wrap']];
  const doors = Object.entries(found.urls).map(([name, url]) => [name, url]);
  const answers = found.doors.map((door) => [door.name, door.ok ? word('answered', { s: secondsText(door.seconds) }) : door.why]);
  const facts = Object.entries(found.facts).map(([name, each]) => make('div', {}, Object.keys(found.facts).length > 1 ? make('h2', {}, name) : null, list(Object.entries(each))));
  const link = make('a', { href: '/metrics', target: '_blank', rel: 'noopener' }, word('metrics_link'));
  const open = new Set([...document.querySelectorAll('#server details[open] > summary')].map((each) => each.textContent));
  byId('server-body').replaceChildren(
    card(word('processes'), make('div', { class: 'scroll' }, table(heads, rows))),
    card(word('doors_title'), list([...doors, ...answers]), make('p', { class: 'empty' }, link)),
    card(word('facts'), ...facts, make('h2', {}, word('versions')), list([...Object.entries(found.versions), ['path', found.model.path]])),
    card(word('configuration'), ...configuration(found.configuration), make('p', { class: 'empty' }, word('secrets'))),
  );
  document.querySelectorAll('#server details').forEach((each) => { each.open = open.has(each.firstChild.textContent); });
}
