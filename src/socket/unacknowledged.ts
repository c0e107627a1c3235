import { fromUtf8 } from '../core/bytes.js';
import type { UnacknowledgedMessage } from '../link/channel-port.js';
import { toArrayBuffer } from './array-buffer.js';
import type { DomBlob } from './dom-types.js';
import type { UnacknowledgedData } from './events.js';
import type { OutgoingMessage } from './outgoing-message.js';

/** A message that was not acknowledged, as the application would send it again. */
export function toUnacknowledgedData(message: UnacknowledgedMessage | OutgoingMessage): UnacknowledgedData {
  if ('blob' in message) return message.blob as unknown as DomBlob;
  return message.isText ? (fromUtf8(message.data) ?? '') : toArrayBuffer(message.data);
}
