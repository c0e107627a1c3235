/**
 * What the status page does: asks each second, shows the answer, and says so when there is none. Plain JavaScript, as
 * browsers take it. Nothing that comes from the relay becomes HTML.
 */
export const STATUS_PAGE_SCRIPT = String.raw`
'use strict';
(function () {
  var SAMPLES = 300, WIDTH = 600, HEIGHT = 120;
  var samples = [], next = 0, startedAt, lastAnswer, wasAnswered = false;

  function at(id) { return document.getElementById(id); }
  function show(id, text) { var node = at(id); if (node.textContent !== text) node.textContent = text; }
  function count(n) { return n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 1 : 0 }); }
  function size(n) {
    var units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], i = 0;
    while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
    return n.toLocaleString('en', { maximumFractionDigits: i > 0 && n < 100 ? 1 : 0 }) + ' ' + units[i];
  }
  function duration(s) {
    s = Math.max(0, Math.floor(s));
    var d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
    if (d > 0) return d + ' d ' + h + ' h';
    if (h > 0) return h + ' h ' + m + ' min';
    if (m > 0) return m + ' min ' + (s % 60) + ' s';
    return s + ' s';
  }
  function clock(date) { return date.toLocaleTimeString('en-GB'); }

  /** The smallest of 1, 2, 5, 10, 20, ... times unit that is not below n. */
  function roundUp(n, unit) {
    var step = unit, i = 0;
    while (step < n) { step *= [2, 2.5, 2][i++ % 3]; }
    return step;
  }
  function roundUpBytes(n) {
    var unit = 1;
    while (n > 1000 * unit) unit *= 1024;
    return roundUp(n, unit);
  }

  var PLOTS = [
    { id: 'connections', name: 'Connections', field: 'connections', format: count, top: function (n) { return roundUp(n, 10); } },
    { id: 'messages', name: 'Messages per second', field: 'messages', format: count, top: function (n) { return roundUp(n, 10); } },
    { id: 'bytes', name: 'Bytes per second', field: 'bytes', format: function (n) { return size(n) + '/s'; }, top: roundUpBytes }
  ];

  function draw(plot) {
    var values = samples.map(function (sample) { return sample[plot.field]; });
    var peak = values.reduce(function (a, b) { return Math.max(a, b); }, 0);
    var top = plot.top(Math.max(peak, 1));
    var points = values.map(function (value, i) {
      var x = WIDTH * (SAMPLES - values.length + i) / (SAMPLES - 1);
      return x.toFixed(1) + ' ' + (HEIGHT * (1 - value / top)).toFixed(1);
    });
    var line = points.length > 1 ? 'M' + points.join('L') : '';
    var left = points.length > 1 ? points[0].split(' ')[0] : '0';
    at(plot.id + '-curve').setAttribute('d', line);
    at(plot.id + '-area').setAttribute('d', line && line + 'V' + HEIGHT + 'H' + left + 'Z');
    show(plot.id + '-top', plot.format(top));
    show(plot.id + '-peak', 'peak ' + plot.format(peak));
    var now = values.length > 0 ? plot.format(values[values.length - 1]) : 'not known yet';
    at(plot.id + '-svg').setAttribute('aria-label',
      plot.name + ' over the last 5 minutes: now ' + now + ', at most ' + plot.format(peak) + '.');
    return values[values.length - 1];
  }

  function keep(status) {
    if (status.history.first !== next) samples = [];
    samples = samples.concat(status.history.samples).slice(-SAMPLES);
    next = status.history.first + status.history.samples.length;
  }

  function render(status) {
    var state = at('state');
    var said = status.state === 'listening' && !status.isReady ? 'not ready' : status.state;
    show('state', said);
    state.className = 'state ' + (said === 'not ready' ? '' : status.state);
    show('version', 'version ' + status.version);
    show('uptime', 'up ' + duration(status.now - status.startedAt));
    show('key', status.publicKey);
    document.title = count(status.connections) + ' connections – relay';

    var rates = PLOTS.map(draw);
    show('connections-now', count(status.connections));
    show('connections-unit', 'of ' + count(status.maxConnections));
    show('messages-now', rates[1] === undefined ? '–' : count(rates[1]));
    show('bytes-now', rates[2] === undefined ? '–' : size(rates[2]) + '/s');

    show('registered', count(status.connections));
    show('unregistered', count(status.unregistered));
    show('listening-keys', count(status.listeningKeys));
    show('throttled', count(status.throttled));
    show('envelopes', count(status.envelopes));
    show('spaces', count(status.spaces));
    show('space-members', count(status.spaceMembers));
    show('space-messages', count(status.spaceMessages));
    show('forwarded', size(status.bytes));
    show('queued', size(status.queuedBytes));
    show('queue-limit', ' of ' + size(status.maxTotalQueueBytes));
    var queue = at('queue-meter');
    queue.max = status.maxTotalQueueBytes;
    queue.high = 0.8 * status.maxTotalQueueBytes;
    queue.low = 0.5 * status.maxTotalQueueBytes;
    queue.optimum = 0;
    queue.value = status.queuedBytes;
    var expires = status.certificateExpiresAt;
    at('certificate-row').hidden = expires === undefined;
    if (expires !== undefined) {
      var left = expires - status.now;
      show('certificate', left <= 0 ? 'has expired' : 'in ' + duration(left));
      at('certificate').className = left < 14 * 86400 ? 'alarm' : '';
    }

    Object.keys(status.drops).forEach(function (reason) {
      var cell = at('drop-' + reason);
      if (cell === null) return;
      show('drop-' + reason, count(status.drops[reason]));
      cell.parentNode.className = status.drops[reason] === 0 ? 'none' : '';
    });
  }

  function answered(status) {
    lastAnswer = new Date();
    wasAnswered = true;
    document.body.className = '';
    at('contact').hidden = true;
    if (startedAt !== status.startedAt && startedAt !== undefined && next !== 0) {
      // Another process: its samples have other numbers.
      next = 0;
      samples = [];
      startedAt = status.startedAt;
      return poll();
    }
    startedAt = status.startedAt;
    keep(status);
    render(status);
  }

  function unanswered() {
    document.body.className = 'lost';
    show('state', 'no answer');
    at('state').className = 'state';
    at('contact').hidden = false;
    show('contact', 'The relay does not answer. ' +
      (wasAnswered ? 'What you see is from ' + clock(lastAnswer) + '.' : 'Nothing is known of it yet.'));
    document.title = 'No answer – relay';
  }

  function poll() {
    var controller = new AbortController();
    var timer = setTimeout(function () { controller.abort(); }, 5000);
    return fetch('status.json?after=' + next, { cache: 'no-store', signal: controller.signal })
      .then(function (response) {
        if (!response.ok) throw new Error('status ' + response.status);
        return response.json();
      })
      .then(answered)
      .catch(unanswered)
      .then(function () { clearTimeout(timer); });
  }

  function again() { poll().then(function () { setTimeout(again, 1000); }); }
  again();
})();
`;
