// One process of bench/transfer.js. Roles: relay, receiver <relayed|direct> <relay>, sender <url> <bytes> <message bytes>.
import { ClientSecureWebSocket } from 'secure-websocket';
import { Identity, Relay, SecureWebSocketServer } from 'secure-websocket/server';

const [role, ...args] = process.argv.slice(2);
const anyServer = { check: () => true };

let before = 0;
let peak = 0;
const watch = () => {
  peak = Math.max(peak, process.memoryUsage.rss());
};

process.on('message', message => {
  if (message === 'begin') {
    before = process.memoryUsage.rss();
    setInterval(watch, 20);
    process.send({});
  }
  if (message === 'end') {
    watch();
    process.send({ before, peak, extra: peak - before });
  }
});
process.on('disconnect', () => process.exit());

if (role === 'relay') {
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity: await Identity.generate() });
  await relay.listen();
  process.send({ url: relay.url });
}

if (role === 'receiver') {
  const [way, relay] = args;
  const where = way === 'relayed' ? { relay, trustStore: anyServer } : { port: 0, host: '127.0.0.1' };
  const server = new SecureWebSocketServer({ ...where, identity: await Identity.generate() });
  server.on('connection', socket => {
    let bytes = 0;
    let seen = 0;
    socket.on('message', data => {
      bytes += data.length;
      seen ^= data[data.length - 1];
    });
    socket.on('close', () => process.send({ bytes, seen }));
  });
  await server.ready;
  process.send({ url: server.url });
}

if (role === 'sender') {
  const [url, bytes, size] = args;
  const socket = new ClientSecureWebSocket(url, [], {
    identity: Identity.generate(),
    trustStore: anyServer,
    reconnect: true,
  });
  socket.addEventListener('open', () => process.send({}));
  const send = async () => {
    const data = new Uint8Array(Number(size));
    for (let left = Number(bytes); left > 0; left -= data.length) {
      data[data.length - 1]++;
      socket.send(left < data.length ? data.subarray(0, left) : data);
      await socket.drained;
    }
    socket.close(1000);
  };
  process.on('message', message => {
    if (message === 'send') void send();
  });
}
