// The last 15 minutes by columns, and the stream that makes them longer.

const KEPT_S = 900;

export const store = { columns: { at: [] }, latest: null, server: null };

export async function json(path) {
  const answer = await fetch(path);
  if (answer.status === 401) location.reload(); // the session is over: the door asks for a key
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

export async function loadHistory() {
  const found = await json('/api/history');
  store.columns = { at: [], ...found };
}

export async function loadServer() {
  store.server = await json('/api/server');
}

export function take(snapshot) {
  const { columns } = store;
  const { at } = snapshot.numbers;
  store.latest = snapshot;
  if (columns.at.length && at <= columns.at[columns.at.length - 1]) return;
  const length = columns.at.length;
  for (const name of new Set([...Object.keys(columns), ...Object.keys(snapshot.numbers)])) {
    if (!columns[name]) columns[name] = new Array(length).fill(null);
    columns[name].push(snapshot.numbers[name] ?? null);
  }
  let old = 0;
  while (columns.at[old] < at - KEPT_S) old += 1;
  if (old) Object.values(columns).forEach((column) => column.splice(0, old));
}

// Calls back with each snapshot while the page is in sight. ``isDown`` says whether the monitor answers.
export function follow(onSnapshot, onState) {
  let source = null;
  let again = null;
  const close = () => { source?.close(); source = null; clearTimeout(again); };
  const open = async () => {
    close();
    try {
      await loadHistory();
      await loadServer();
    } catch {
      onState(true);
      again = setTimeout(open, 2000);
      return;
    }
    if (document.hidden) return;
    source = new EventSource('/api/live');
    source.onmessage = (event) => { onState(false); onSnapshot(JSON.parse(event.data)); };
    source.onerror = () => { onState(true); close(); again = setTimeout(open, 2000); };
  };
  // Nobody looks at a hidden page, so nothing is read for it.
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  return open();
}
