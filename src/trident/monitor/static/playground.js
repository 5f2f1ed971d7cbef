// A chat with the model, as its stream comes. The monitor passes it on, so no other address is asked.

import { byId, make } from '/dom.js';
import { store } from '/store.js';
import { word } from '/words.js';
import { number, secondsText } from '/format.js';

let turns = [];
let underWay = null;

export function models() {
  const select = byId('chat-model');
  const names = store.server?.models ?? [];
  if (names.join() === [...select.options].map((each) => each.value).join()) return;
  select.replaceChildren(...names.map((name) => make('option', { value: name }, name)));
}

function show(role, text) {
  const body = make('div', { class: 'text' }, text);
  const meta = make('div', { class: 'meta' });
  const turn = make('li', { class: `turn ${role}` }, body, meta);
  byId('chat-turns').append(turn);
  turn.scrollIntoView({ block: 'end' });
  return { turn, body, meta };
}

// The data of each event, whole lines only: a piece of the network may end anywhere.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data: ') && line !== 'data: [DONE]') yield JSON.parse(line.slice(6));
    }
  }
}

function request() {
  const system = byId('chat-system').value.trim();
  return {
    model: byId('chat-model').value,
    stream: true,
    stream_options: { include_usage: true },
    temperature: Number(byId('chat-temperature').value),
    max_tokens: Number(byId('chat-tokens').value),
    messages: [...(system ? [{ role: 'system', content: system }] : []), ...turns],
  };
}

async function stream(view, signal) {
  const begun = performance.now();
  const answer = await fetch('/api/chat', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request()), signal });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error?.message ?? `${answer.status} ${answer.statusText}`);
  }
  let text = '', first = null, pieces = 0, usage = null;
  for await (const event of events(answer.body)) {
    if (event.error) throw new Error(event.error.message);
    usage = event.usage ?? usage;
    const delta = event.choices?.[0]?.delta ?? {};
    const piece = (delta.reasoning_content ?? delta.reasoning ?? '') + (delta.content ?? '');
    if (!piece) continue;
    first ??= performance.now();
    pieces += 1;
    text += piece;
    view.body.textContent = text;
    byId('chat-turns').scrollTop = byId('chat-turns').scrollHeight;
  }
  const count = usage?.completion_tokens ?? pieces;
  const rate = first == null ? 0 : (count - 1) / Math.max((performance.now() - first) / 1000, 1e-3);
  view.meta.textContent = word('turn_meta', { ttft: secondsText(((first ?? performance.now()) - begun) / 1000), n: count, rate: number(rate) });
  turns.push({ role: 'assistant', content: text });
}

async function send(event) {
  event.preventDefault();
  const box = byId('chat-text');
  const text = box.value.trim();
  if (!text || underWay) return;
  box.value = '';
  turns.push({ role: 'user', content: text });
  show('user', text);
  const view = show('assistant', '…');
  underWay = new AbortController();
  byId('chat-send').hidden = true;
  byId('chat-stop').hidden = false;
  try {
    await stream(view, underWay.signal);
  } catch (error) {
    if (error.name === 'AbortError') {
      view.meta.textContent = word('turn_stopped');
      turns.push({ role: 'assistant', content: view.body.textContent });
    } else {
      view.turn.classList.add('failed');
      view.body.textContent = error.message;
      turns.pop();
    }
  }
  underWay = null;
  byId('chat-send').hidden = false;
  byId('chat-stop').hidden = true;
}

export function start() {
  byId('chat-form').addEventListener('submit', send);
  byId('chat-settings').addEventListener('submit', (event) => event.preventDefault());
  byId('chat-stop').addEventListener('click', () => underWay?.abort());
  byId('chat-clear').addEventListener('click', () => { underWay?.abort(); turns = []; byId('chat-turns').replaceChildren(); });
  byId('chat-text').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); byId('chat-form').requestSubmit(); }
  });
}
