// Elements without markup in strings: nothing that a server, a client or a model says is ever read as HTML.

const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Only when it is another text: a screen reader and a selection are not disturbed for nothing.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function table(heads, rows) {
  const head = make('tr', {}, ...heads.map(([text, kind]) => make('th', { class: kind, scope: 'col' }, text)));
  const body = rows.map((cells) => make('tr', {}, ...cells.map((cell, i) => make('td', { class: heads[i][1] }, cell))));
  return make('table', {}, make('thead', {}, head), make('tbody', {}, ...body));
}
