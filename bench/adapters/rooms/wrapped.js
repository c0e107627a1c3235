// Every message is sealed once, under a key of its own, which is wrapped for each member. However many they are and however
// much is sent: by default it is so with less than 16 members, of whom the sender does not send much.
import { spaceAdapter } from './space.js';

export { createIdentity, startRelay } from '../secure-websocket.js';

export const { openRoom, enterRoom } = spaceAdapter({ senderKeyMembers: 65_535, senderKeyRate: Infinity });
