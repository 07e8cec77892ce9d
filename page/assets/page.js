// The page as the server has made it, kept up to date.
import { Chart } from './chart.js';
import { morph } from './morph.js';
import './confirm.js';

const source = document.body.dataset.stream;
const live = document.getElementById('live');
const chart = document.getElementById('plot') && new Chart(document.getElementById('chart'));

// The server says something every second, or every two when its own server is away.
const silence = 6000;
const again = 2000;

let stream, heard, watch;

function open() {
  close();
  stream = new EventSource(source);
  heard = Date.now();
  stream.addEventListener('part', (e) => {
    const { id, html } = JSON.parse(e.data);
    const element = document.getElementById(id);
    if (element) replace(element, html);
  });
  stream.addEventListener('failure', (e) => {
    const text = JSON.parse(e.data);
    const note = document.getElementById('failure');
    note.querySelector('span').textContent = text;
    note.hidden = text === '';
  });
  stream.addEventListener('timeline', (e) => chart?.add(JSON.parse(e.data)));
  stream.addEventListener('tick', (e) => {
    heard = Date.now();
    show(true);
    chart?.draw(JSON.parse(e.data));
  });
  stream.addEventListener('error', () => {
    show(false);
    // It tries again by itself, but not after an answer that is none of a stream.
    if (stream.readyState === EventSource.CLOSED) restart();
  });
  watch = setInterval(() => {
    if (Date.now() - heard > silence) {
      show(false);
      restart();
    }
  }, 1000);
}

function close() {
  clearInterval(watch);
  stream?.close();
}

let restarting;
function restart() {
  close();
  clearTimeout(restarting);
  restarting = setTimeout(open, again);
}

function show(is) {
  live.hidden = false;
  live.classList.toggle('off', !is);
  document.body.classList.toggle('stale', !is);
  const text = is ? 'live' : 'not live, reconnecting';
  if (live.textContent !== text) live.textContent = text; // a screen reader tells what changes
}

function replace(element, html) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  morph(element, html);
  if (focused && !focused.isConnected) { // with its migration, or since it means nothing any more
    const article = document.getElementById('m' + focused.dataset.migration);
    (article?.querySelector('a') ?? document.getElementById('running-title'))?.focus();
  }
  const running = document.querySelectorAll('#running > article').length;
  if (element.id === 'running') document.title = running ? `Midflight: ${running} running` : 'Midflight';
}

if (source) {
  // A browser has six connections for a server: pages that nobody sees need none.
  document.addEventListener('visibilitychange', () => (document.hidden ? (clearTimeout(restarting), close()) : open()));
  addEventListener('pagehide', close);
  addEventListener('pageshow', (e) => { if (e.persisted) open(); });
  open();
}
