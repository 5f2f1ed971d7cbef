// A key for a cookie. The key is sent once, and kept nowhere here.

import { apply, word } from '/words.js';

const form = document.getElementById('form');
const said = document.getElementById('said');

apply();
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  said.textContent = '';
  try {
    const answer = await fetch('/api/session', { method: 'POST', body: document.getElementById('key').value.trim() });
    if (answer.ok) location.replace('/');
    else said.textContent = word('wrong_key');
  } catch {
    said.textContent = word('no_server');
  }
});
