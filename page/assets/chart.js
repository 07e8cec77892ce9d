// The chart: what the applications felt, and the migrations' phases, on one axis of time.

const most = 15 * 60 * 1000; // drawn.go has the same
const least = 2 * 60 * 1000; // it grows with what is known
const gap = 3500; // without a sample for so long, nothing is known
const phases = ['queued', 'preparing', 'copying', 'catching_up', 'verifying', 'ready', 'cutting_over'];
const mostLanes = 6;
const laneHeight = 20;
const heights = { latency: 132, rate: 76, errors: 34 };
const space = 36; // above each panel, for its title

export class Chart {
  constructor(section) {
    this.plot = section.querySelector('#plot');
    this.readout = section.querySelector('#readout');
    this.legend = section.querySelector('#legend');
    this.clients = section.dataset.clients;
    this.samples = []; // [at, statements, errors, p50, p99]
    this.lanes = [];
    this.now = Date.now();
    this.cursor = null; // the moment that is read out; null: the latest
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.plot.addEventListener('pointermove', (e) => this.point(e));
    this.plot.addEventListener('pointerdown', (e) => this.point(e));
    this.plot.addEventListener('pointerleave', (e) => { if (e.pointerType === 'mouse') this.move(null); });
    this.plot.addEventListener('keydown', (e) => this.key(e));
    this.plot.addEventListener('blur', () => this.move(null));
  }

  add({ samples, migrations }) {
    const last = this.samples.at(-1)?.[0] ?? 0;
    this.samples.push(...samples.filter((s) => s[0] > last));
    // Another Midflight, which has taken this one's place, doesn't know what was before.
    const known = new Map(migrations.map((m) => [m.id, m]));
    for (const m of this.lanes) {
      const spans = m.spans.map((s) => (s.to ? s : { ...s, to: this.now }));
      const after = known.get(m.id);
      if (!after) known.set(m.id, { ...m, spans });
      else if (after.spans.length) {
        const begins = after.spans[0].from;
        after.spans.unshift(...spans.filter((s) => s.from < begins - 1).map((s) => ({ ...s, to: Math.min(s.to, begins) })));
      }
    }
    this.lanes = [...known.values()].sort((a, b) => a.id - b.id);
  }

  draw(now = this.now) {
    this.now = now;
    while (this.samples.length && this.samples[0][0] < now - most - gap) this.samples.shift();
    const window = Math.min(most, Math.max(least, now - (this.samples[0]?.[0] ?? now)));
    const from = now - window;
    const width = this.plot.clientWidth;
    if (!width) return;
    const left = width < 500 ? 48 : 54;
    this.x = (at) => left + ((at - from) / window) * (width - left - 8);
    this.at = (x) => from + ((x - left) / (width - left - 8)) * window;

    const shown = this.lanes.filter((m) => m.spans.length && (m.spans.at(-1).to || now) > from);
    const failed = this.samples.some((s) => s[2] > 0);
    const svg = element('svg', {});
    const body = [];
    let y = 2 + laneHeight * this.lane(body, shown, from, width);
    const top = y + 4;
    y = this.latency(body, y + space, width, left);
    y = this.rate(body, y + space, width, left);
    if (failed) y = this.errors(body, y + space, width, left);
    for (const m of shown) {
      for (const s of m.spans) {
        const [x0, x1] = this.ends(s, from);
        if (x1 > left) svg.append(element('rect', { class: `shade ${s.phase}`, x: x0, y: top, width: Math.max(x1 - x0, 1.5), height: y - top }));
      }
    }
    svg.append(...body);
    this.time(svg, from, y, width, left);
    if (!this.samples.some((s) => s[1] > 0)) {
      const lines = ['No statement has come through Midflight in this time.', this.clients && `Clients connect to ${this.clients}.`];
      lines.filter(Boolean).forEach((line, i) => svg.append(text(left + (width - left) / 2, top + 80 + 18 * i, line, 'title', 'middle')));
    }
    this.line = element('line', { class: 'cursor', y1: 0, y2: y, visibility: 'hidden' });
    svg.append(this.line);
    const height = y + 18;
    set(svg, { viewBox: `0 0 ${width} ${height}`, height, 'aria-hidden': 'true' });
    this.plot.replaceChildren(svg);
    this.explain(shown, failed);
    this.read();
  }

  ends(span, from) { return [this.x(Math.max(span.from, from)), this.x(span.to || this.now)]; }

  // lane draws migrations, several in a row where one ends before the next begins, and
  // returns how many rows there are. The latest have room.
  lane(out, migrations, from, width) {
    const rows = []; // how far each is used
    const places = migrations.map((m) => {
      const bands = m.spans.filter((s) => (s.to || this.now) > from).map((s) => {
        const [x0, x1] = this.ends(s, from);
        return { phase: s.phase, x: x0, end: Math.max(x1, x0 + 2) };
      });
      const name = `${m.id} ${m.table}`;
      const wide = name.length * 6.3 + 10;
      const begin = bands[0].x;
      const before = begin + wide > width - 8;
      const left = before ? Math.max(begin - wide, 0) : begin;
      let row = rows.findIndex((end) => end < left);
      if (row < 0) row = rows.push(0) - 1;
      rows[row] = Math.max(bands.at(-1).end, begin + (before ? 0 : wide)) + 6;
      return { bands, name, row, at: before ? Math.max(begin - 5, wide) : begin + 5, anchor: before ? 'end' : 'start' };
    });
    const first = Math.max(0, rows.length - mostLanes);
    for (const { bands, name, row, at, anchor } of places) {
      if (row < first) continue;
      const y = 2 + (row - first) * laneHeight;
      for (const b of bands) out.push(element('rect', { class: `band ${b.phase}`, x: b.x, y, width: b.end - b.x, height: laneHeight - 4 }));
      out.push(text(at, y + 12, name, 'lane', anchor));
    }
    return Math.min(rows.length, mostLanes);
  }

  // latency: of logarithms, since a statement that is held for its table's swap takes a
  // hundred times as long as the others.
  latency(out, y, width, left) {
    const values = this.samples.flatMap((s) => [s[3], s[4]]).filter((v) => v > 0);
    let low = values.length ? Math.floor(Math.log10(Math.min(...values))) : -1;
    let high = values.length ? Math.ceil(Math.log10(Math.max(...values))) : 1;
    if (high - low < 2) high = low + 2;
    const h = heights.latency;
    const scale = (v) => y + h - ((Math.log10(v) - low) / (high - low)) * h;
    out.push(text(0, y - 12, 'latency, p50 and p99', 'title'));
    for (let d = low; d <= high; d++) grid(out, scale(10 ** d), left, width, duration(10 ** d));
    out.push(element('path', { class: 'p50', d: this.path(3, scale) }));
    out.push(element('path', { class: 'p99', d: this.path(4, scale) }));
    return y + h;
  }

  rate(out, y, width, left) {
    const top = nice(Math.max(0, ...this.samples.map((s) => s[1])));
    const h = heights.rate;
    const scale = (v) => y + h - (v / top) * h;
    out.push(text(0, y - 12, 'statements a second', 'title'));
    for (const v of [0, top / 2, top]) grid(out, scale(v), left, width, short(v));
    const line = this.path(1, scale, true);
    out.push(element('path', { class: 'rate-area', d: this.area(line, y + h) }), element('path', { class: 'rate', d: line }));
    return y + h;
  }

  errors(out, y, width, left) {
    const top = nice(Math.max(...this.samples.map((s) => s[2])));
    const h = heights.errors;
    const scale = (v) => y + h - (v / top) * h;
    out.push(text(0, y - 12, 'errors a second', 'title'));
    for (const v of [0, top]) grid(out, scale(v), left, width, short(v));
    out.push(element('path', { class: 'errors', d: this.path(2, scale, true) }));
    return y + h;
  }

  // path leaves out what is not known.
  path(column, scale, zero = false) {
    let d = '';
    let last = -Infinity;
    for (const s of this.samples) {
      if (!zero && !(s[column] > 0)) continue;
      d += `${s[0] - last > gap ? 'M' : 'L'}${this.x(s[0]).toFixed(1)} ${scale(s[column]).toFixed(1)}`;
      last = s[0];
    }
    return d;
  }

  area(line, bottom) {
    return line.split('M').filter(Boolean).map((part) => {
      const points = part.split('L');
      const x = (p) => p.split(' ')[0];
      return `M${x(points[0])} ${bottom}L${points.join('L')}L${x(points.at(-1))} ${bottom}Z`;
    }).join('');
  }

  time(svg, from, y, width, left) {
    const step = [0.5, 1, 2, 5].map((m) => m * 60000).find((m) => (this.now - from) / m <= width / 90) ?? 300000;
    svg.append(element('line', { class: 'axis', x1: left, x2: width - 8, y1: y, y2: y }));
    for (let t = Math.ceil(from / step) * step; t <= this.now; t += step) {
      const x = this.x(t);
      if (x > width - 24) continue;
      svg.append(element('line', { class: 'axis', x1: x, x2: x, y1: y, y2: y + 4 }), text(x, y + 15, clock(t).slice(0, step < 60000 ? 8 : 5), '', 'middle'));
    }
  }

  explain(lanes, failed) {
    const used = new Set(lanes.flatMap((m) => m.spans.map((s) => s.phase)));
    const items = [['p50', 'p50', 'path'], ['p99', 'p99', 'path'], ['rate', 'statements', 'path']];
    if (failed) items.push(['errors', 'errors', 'path']);
    for (const p of phases) if (used.has(p)) items.push([p, p.replace('_', ' '), 'rect']);
    const key = items.join();
    if (this.legend.dataset.key === key) return;
    this.legend.dataset.key = key;
    this.legend.replaceChildren(...items.map(([kind, name, shape]) => {
      const li = document.createElement('li');
      const svg = element('svg', { viewBox: '0 0 14 10', 'aria-hidden': 'true' });
      svg.append(shape === 'path' ? element('path', { class: kind, d: 'M0 5L14 5' }) : element('rect', { class: kind, width: 14, height: 10 }));
      li.append(svg, name);
      return li;
    }));
  }

  point(e) { this.move(this.at(e.clientX - this.plot.getBoundingClientRect().left)); }

  key(e) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -30, PageUp: 30 };
    if (e.key === 'Escape') return this.move(null);
    if (!this.samples.length) return;
    const last = this.samples.length - 1;
    let i = this.cursor === null ? last : this.nearest(this.cursor);
    if (e.key === 'Home') i = 0;
    else if (e.key === 'End') i = last;
    else if (e.key in steps) i = Math.min(last, Math.max(0, i + steps[e.key]));
    else return;
    e.preventDefault();
    this.move(this.samples[i][0]);
  }

  move(at) {
    this.cursor = at;
    if (this.line) this.read();
  }

  nearest(at) {
    let low = 0;
    let high = this.samples.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.samples[middle][0] < at) low = middle + 1;
      else high = middle;
    }
    return low > 0 && at - this.samples[low - 1][0] < this.samples[low][0] - at ? low - 1 : low;
  }

  // read tells what there is at the cursor, or at the latest sample.
  read() {
    const s = this.samples[this.cursor === null ? this.samples.length - 1 : this.nearest(this.cursor)];
    if (!s) return this.readout.replaceChildren('no sample yet');
    const at = this.cursor === null ? this.now : s[0];
    const parts = [['', clock(s[0])]];
    if (s[3] > 0) parts.push(['p50', duration(s[3])], ['p99', duration(s[4])]);
    parts.push(['', `${short(s[1])}/s`]);
    if (s[2] > 0) parts.push(['errors', `${short(s[2])}/s`]);
    for (const m of this.lanes) {
      const span = m.spans.find((p) => p.from <= at && at <= (p.to || this.now));
      if (span) parts.push([`${m.id}`, span.phase.replace('_', ' ')]);
    }
    this.readout.replaceChildren(...parts.flatMap(([name, value], i) => {
      const b = document.createElement('b');
      b.textContent = value;
      return [i ? ' · ' : '', name && `${name} `, b];
    }));
    set(this.line, this.cursor === null ? { visibility: 'hidden' } : { visibility: 'visible', x1: this.x(s[0]), x2: this.x(s[0]) });
    set(this.plot, { 'aria-valuenow': Math.round((most - (this.now - s[0])) / 1000), 'aria-valuetext': this.readout.textContent });
  }
}

function grid(out, y, left, width, label) {
  out.push(element('line', { class: 'grid', x1: left, x2: width - 8, y1: y, y2: y }), text(left - 6, y + 4, label, '', 'end'));
}

function element(name, attributes) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name);
  set(e, attributes);
  return e;
}

function set(e, attributes) { for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value); }

function text(x, y, content, kind, anchor = 'start') {
  const e = element('text', { x, y, class: kind, 'text-anchor': anchor });
  e.textContent = content;
  return e;
}

function clock(t) { return new Date(t).toISOString().slice(11, 19); }

// duration of milliseconds, with its unit.
function duration(v) {
  if (v >= 1000) return `${+(v / 1000).toPrecision(3)} s`;
  if (v >= 0.1) return `${+v.toPrecision(3)} ms`;
  return `${+(v * 1000).toPrecision(3)} µs`;
}

function short(v) {
  if (v >= 10000) return `${+(v / 1000).toPrecision(3)}k`;
  return `${+v.toPrecision(v >= 1000 ? 4 : 3)}`;
}

// nice is a round number above a value: 1, 2, 5, 10 …
function nice(v) {
  const power = 10 ** Math.floor(Math.log10(Math.max(v, 1)));
  return [1, 2, 5, 10].map((m) => m * power).find((n) => n >= v);
}
