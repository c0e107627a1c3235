// A space of this library, as an application would use it. `space`: its options.
import { ClientSecureWebSocket } from 'secure-websocket';
import { opened } from './opened.js';

const NAME = 'bench';

export function spaceAdapter(space) {
  const enter = async (url, identity) => {
    const socket = new ClientSecureWebSocket(url, [], { identity, space });
    socket.binaryType = 'arraybuffer';
    await opened(socket);
    return socket;
  };
  return {
    async openRoom(url, identity) {
      const room = `${url}/space/${NAME}`;
      const socket = await enter(room, identity);
      return {
        room,
        send: payload => socket.send(payload),
        hasMembers: count =>
          new Promise(resolve => {
            const look = () => {
              if (socket.members.length !== count) return;
              socket.removeEventListener('memberjoin', look);
              resolve();
            };
            socket.addEventListener('memberjoin', look);
            look();
          }),
      };
    },
    async enterRoom(_url, identity, room, onMessage) {
      const socket = await enter(room, identity);
      socket.addEventListener('message', ({ data }) => onMessage(new Uint8Array(data)));
      return socket;
    },
  };
}
