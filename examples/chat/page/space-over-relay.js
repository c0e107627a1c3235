// Browser → relay. The library runs in the page: keys are made here, kept in IndexedDB, and never leave the browser.
import { ClientSecureWebSocket, IndexedDbKeyStore } from 'secure-websocket';

/**
 * @param {import('./space.js').Where} where
 * @param {import('./space.js').SpaceEvents} events
 * @returns {import('./space.js').Space}
 */
export function openSpace({ url, relayKey, space, name }, events) {
  const socket = new ClientSecureWebSocket(`${url}/space/${encodeURIComponent(space)}`, [], {
    // A name is somebody: the same name in the same browser has the same key again.
    keyStore: new IndexedDbKeyStore({ name: `chat-${name}` }),
    serverKey: relayKey,
    reconnect: true,
  });
  socket.binaryType = 'arraybuffer';
  let problem = '';

  socket.addEventListener('open', () => {
    const { members } = socket;
    events.opened(
      members.find(({ isSelf }) => isSelf),
      members,
    );
  });
  socket.addEventListener('message', ({ data, member, from }) => {
    events.message({ id: member, publicKey: from }, data);
  });
  socket.addEventListener('memberjoin', ({ member }) => events.joined(member));
  socket.addEventListener('memberleave', ({ member, reason }) => events.left(member, reason));
  socket.addEventListener('memberchange', ({ member }) => events.changed(member));
  socket.addEventListener('keyswiped', ({ member }) => events.wiped(member));
  socket.addEventListener('messageslost', ({ member, count }) => events.lost(member, count));
  socket.addEventListener('reconnecting', () => events.away());
  socket.addEventListener('reconnected', ({ resumed }) => events.back(resumed, socket.members));
  socket.addEventListener('error', ({ message }) => {
    problem = message;
  });
  socket.addEventListener('close', ({ reason }) => events.ended(problem || reason));

  return {
    send: data => socket.send(data),
    drained: () => socket.drained,
    close: () => socket.close(),
  };
}
