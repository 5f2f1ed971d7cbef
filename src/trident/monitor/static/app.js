// Puts the page together: views, keys, and what happens at each snapshot.

import { byId, say } from '/dom.js';
import { Charts } from '/charts.js';
import { Tiles } from '/tiles.js';
import { follow, loadServer, store, take } from '/store.js';
import * as pages from '/pages.js';
import * as panels from '/panels.js';
import * as playground from '/playground.js';
import * as words from '/words.js';
import { clock } from '/format.js';

const VIEWS = ['overview', 'requests', 'logs', 'server', 'playground'];
const LOG_EVERY_MS = 2000;

let view = 'overview';
let window_s = Number(localStorage.getItem('window')) || 300;
let isPaused = false;
const charts = new Charts(byId('charts'));
const tiles = new Tiles(byId('tiles'));

function drawOverview(snapshot) {
  tiles.draw(snapshot);
  panels.slos(snapshot.slos);
  panels.hints(snapshot.hints);
  panels.children(snapshot.children);
  panels.totals(snapshot.totals);
  panels.requestsFew(snapshot.requests);
  charts.draw(window_s);
}

function draw() {
  const snapshot = store.latest;
  if (!snapshot) return;
  panels.head(snapshot);
  document.body.dataset.number = snapshot.number;
  say(byId('updated'), words.word(isPaused ? 'paused' : 'updated', { time: clock(snapshot.numbers.at), s: store.server?.monitor?.refresh_s ?? 1 }));
  if (view === 'overview') drawOverview(snapshot);
  if (view === 'requests') pages.requests().catch(() => {});
  if (view === 'server') pages.server();
}

async function onSnapshot(snapshot) {
  if (isPaused) return;
  take(snapshot);
  if (store.server?.version !== snapshot.server) {
    await loadServer().catch(() => {});
    playground.models();
    pages.logNames();
  }
  draw();
}

function onState(isDown) {
  byId('offline').hidden = !isDown;
  if (isDown) say(byId('offline'), words.word('offline'));
}

function open(name) {
  view = name;
  for (const each of VIEWS) {
    const isOpen = each === name;
    byId(each).hidden = !isOpen;
    byId(`tab-${each}`).setAttribute('aria-selected', String(isOpen));
    byId(`tab-${each}`).tabIndex = isOpen ? 0 : -1;
  }
  if (location.hash.slice(1) !== name) history.replaceState(null, '', `#${name}`);
  if (name === 'logs') { pages.logNames(); pages.logs(true).catch(() => {}); }
  draw();
}

function pause() {
  isPaused = !isPaused;
  byId('pause').setAttribute('aria-pressed', String(isPaused));
  byId('pause').dataset.word = isPaused ? 'resume' : 'pause';
  words.apply();
  draw();
}

function recolour() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
  localStorage.setItem('theme', root.dataset.theme);
}

function translate() {
  words.toggle();
  nameLanguage();
  charts.forget();
  pages.logNames();
  draw();
}

function nameLanguage() {
  const other = words.current() === 'zh' ? ['English', 'en'] : ['中文', 'zh'];
  byId('language').textContent = other[0];
  byId('language').lang = other[1];
}

function chooseWindow(seconds) {
  window_s = seconds;
  localStorage.setItem('window', seconds);
  byId('window').querySelectorAll('button').forEach((each) => each.setAttribute('aria-pressed', String(Number(each.dataset.window) === seconds)));
  draw();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select')) return;
  const actions = { p: pause, t: recolour, l: translate };
  if (VIEWS[event.key - 1]) { open(VIEWS[event.key - 1]); byId(`tab-${view}`).focus(); }
  else actions[event.key]?.();
}

function onTabKey(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  open(VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length]);
  byId(`tab-${view}`).focus();
}

async function leave() {
  await fetch('/api/session', { method: 'DELETE' });
  location.reload();
}

async function start() {
  words.apply();
  nameLanguage();
  VIEWS.forEach((name) => byId(`tab-${name}`).addEventListener('click', () => open(name)));
  document.querySelector('nav').addEventListener('keydown', onTabKey);
  document.addEventListener('keydown', onKey);
  byId('pause').addEventListener('click', pause);
  byId('theme').addEventListener('click', recolour);
  byId('language').addEventListener('click', translate);
  byId('leave').addEventListener('click', leave);
  byId('prompts').addEventListener('change', draw);
  byId('log-filter').addEventListener('input', pages.drawLog);
  byId('window').addEventListener('click', (event) => event.target.dataset.window && chooseWindow(Number(event.target.dataset.window)));
  playground.start();
  setInterval(() => { if (view === 'logs' && !document.hidden && !isPaused) pages.logs().catch(() => {}); }, LOG_EVERY_MS);
  open(VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'overview');
  chooseWindow(window_s);
  await follow(onSnapshot, onState);
  byId('leave').hidden = !store.server?.monitor?.has_keys;
  playground.models();
  pages.logNames();
}

start();
