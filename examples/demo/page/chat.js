// A chat between tabs, end to end encrypted. All there is to it: listen at one's own key, dial another's.
import { ClientSecureWebSocket, IndexedDbKeyStore, SecureWebSocketServer } from 'secure-websocket';
import { tabName } from './tab-name.js';
import * as view from './view.js';

const relay = location.origin.replace(/^http/, 'ws');
const keyStore = new IndexedDbKeyStore({ name: `demo-${await tabName()}` });
const sockets = new Map();

// Others dial us: a server, in a tab.
const server = new SecureWebSocketServer({ relay, keyStore });
server.on('listening', () => {
  view.showAddress(server.publicKey, `${location.origin}/#${server.publicKey}`);
  dialPeerInLink();
});
server.on('connection', socket => {
  talk(socket, socket.peerPublicKey);
});
server.on('error', error => {
  view.showFailure(error.message);
});

// We dial others: a WebSocket whose URL ends in a public key.
function dialPeerInLink() {
  const address = location.hash.slice(1);
  if (address === '' || address === server.publicKey) return;
  let socket;
  try {
    socket = new ClientSecureWebSocket(`${relay}/${address}`, [], { keyStore });
  } catch (error) {
    view.showFailure(error.message);
    return;
  }
  socket.addEventListener('open', () => {
    talk(socket, address);
  });
  socket.addEventListener('error', event => {
    view.showFailure(event.message);
  });
}
addEventListener('hashchange', dialPeerInLink);

// From here on it is a WebSocket like any other.
function talk(socket, peer) {
  sockets.set(peer, socket);
  view.showPeer(peer, true);
  socket.addEventListener('message', event => {
    view.showMessage(peer, event.data, 'theirs');
  });
  socket.addEventListener('close', () => {
    if (sockets.get(peer) !== socket) return;
    sockets.delete(peer);
    view.showPeer(peer, false);
  });
}

view.onSend((peer, text) => {
  sockets.get(peer)?.send(text);
  view.showMessage(peer, text, 'mine');
});
