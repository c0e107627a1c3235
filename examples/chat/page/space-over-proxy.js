// Browser → proxy on this machine → relay. A plain WebSocket: the proxy has the keys, this page has none.

/** With this subprotocol the proxy tells who sent what and who is there, one JSON object a message. */
const SUBPROTOCOL = 'secure-websocket.space.v1+json';
/** More than so many bytes do not wait in the browser: the rest is sent when the proxy has taken some. */
const MAX_WAITING = 262_144;
/** A plain WebSocket does not tell when it has room: it is looked at so often, milliseconds. */
const LOOK_AGAIN = 20;

/**
 * @param {import('./space.js').Where} where
 * @param {import('./space.js').SpaceEvents} events
 * @returns {import('./space.js').Space}
 */
export function openSpace({ url, space }, events) {
  const socket = new WebSocket(`${url}/space/${encodeURIComponent(space)}`, SUBPROTOCOL);
  let isOpen = false;

  const handlers = {
    open({ members }) {
      isOpen = true;
      events.opened(
        members.find(({ isSelf }) => isSelf),
        members,
      );
    },
    message({ from, member, data, base64 }) {
      events.message({ id: member, publicKey: from }, data ?? bytesOf(base64));
    },
    memberjoin: ({ member }) => events.joined(member),
    memberleave: ({ member, reason }) => events.left(member, reason),
    keyswiped: ({ member }) => events.wiped(member),
    messageslost: ({ member, count }) => events.lost(member, count),
    memberchange: ({ member }) => events.changed(member),
    reconnecting: () => events.away(),
    reconnected: ({ resumed, members }) => events.back(resumed, members),
  };

  socket.addEventListener('message', ({ data }) => {
    const report = JSON.parse(data);
    // What a later proxy tells and this page does not know is for others.
    if (Object.hasOwn(handlers, report.type)) handlers[report.type](report);
  });
  socket.addEventListener('close', ({ reason }) => {
    if (isOpen) events.ended(reason || 'The proxy on this machine has ended.');
    else events.ended(reason || `The proxy did not let this page in, or does not run. Is it at ${url}?`);
  });

  return {
    send: data => socket.send(typeof data === 'string' ? JSON.stringify({ type: 'message', data }) : data),
    async drained() {
      while (socket.bufferedAmount > MAX_WAITING && socket.readyState === WebSocket.OPEN) {
        await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN));
      }
    },
    close: () => socket.close(1000),
  };
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), letter => letter.charCodeAt(0)).buffer;
}
