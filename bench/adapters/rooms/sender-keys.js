// Every message is sealed once, under a key of the sender that all members have, and signed. However few they are, so that
// the figures for few and for many can be compared: by default it takes 16 members, or a sender who sends much.
import { spaceAdapter } from './space.js';

export { createIdentity, startRelay } from '../secure-websocket.js';

export const { openRoom, enterRoom } = spaceAdapter({ senderKeyMembers: 1 });
