// Compiled with the types of Node and without those of the DOM. Checked by test/package/types.test.ts.
import { once } from 'node:events';
import { ClientSecureWebSocket, Identity, inviteToSpace, type SpaceMember } from 'secure-websocket';

export async function talk(): Promise<unknown> {
  const socket = new ClientSecureWebSocket(new URL('wss://relay.example/'), [], {
    headers: { 'X-Own': '1' },
  });
  const asEventTarget: EventTarget = socket;
  await once(asEventTarget, 'open');
  await once(socket, 'message');
  socket.onmessage = (event: MessageEvent) => event.data as unknown;
  socket.onerror = (event: Event) => event.type;
  socket.addEventListener('close', event => [event.code, event.target]);
  socket.addEventListener('own', () => undefined, { signal: AbortSignal.timeout(1000) });
  socket.send(Buffer.from('text'));
  socket.send(new Blob(['text']));
  socket.onreconnected = event => {
    for (const lost of event.unacknowledged) socket.send(lost);
  };
  await new Blob(['text']).stream().pipeTo(socket.writable);
  const stream: ReadableStream<string | Uint8Array> = socket.readable;
  for await (const message of stream) socket.send(message);
  return socket.handshakeHash;
}

export async function meet(): Promise<readonly SpaceMember[]> {
  const admin = await Identity.generate();
  const invitation: string = inviteToSpace(admin, {
    space: 'room',
    publicKey: admin.publicKey,
    expires: new Date(),
  });
  const socket = new ClientSecureWebSocket('wss://relay.example/space/room', [], {
    space: { admins: [admin.signingKey], invitation, senderKeyMembers: 8, senderKeyRate: 2 },
  });
  socket.onmessage = ({ data, from, member }) => [data as unknown, from.length, member.length];
  socket.onmemberleave = ({ member, reason }) => (reason === 'left' ? member.id : member.publicKey);
  socket.addEventListener('keyswiped', ({ member, reason }) => [member.away, reason === 'absent']);
  socket.addEventListener('messageslost', ({ count, reason }) => [count + 1, reason]);
  socket.addEventListener('memberchange', ({ member }) => member.admitted);
  const names: string[] = [socket.space, socket.memberId, ...socket.members.map(({ id }) => id)];
  return names.length > 0 ? socket.members : socket.refreshMembers();
}
