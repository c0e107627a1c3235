/** A token of a message pattern (Noise specification section 7.1). */
export type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk';

/** A handshake pattern as data (section 7). */
export interface HandshakePattern {
  /** What is known before the first message: `-> s` and `<- s`. */
  readonly preMessages: { readonly initiator: readonly 's'[]; readonly responder: readonly 's'[] };
  /** The messages in turn; the initiator sends the first, third, … */
  readonly messages: readonly (readonly Token[])[];
}

const NOTHING_KNOWN = { initiator: [], responder: [] } as const;
const RESPONDER_KNOWN = { initiator: [], responder: ['s'] } as const;

export const HANDSHAKE_PATTERNS = {
  // One-way patterns (section 7.4): a message to a known recipient; X also tells who sent it.
  N: { preMessages: RESPONDER_KNOWN, messages: [['e', 'es']] },
  X: { preMessages: RESPONDER_KNOWN, messages: [['e', 'es', 's', 'ss']] },
  // Interactive patterns (section 7.5).
  XX: { preMessages: NOTHING_KNOWN, messages: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']] },
  IX: {
    preMessages: NOTHING_KNOWN,
    messages: [
      ['e', 's'],
      ['e', 'ee', 'se', 's', 'es'],
    ],
  },
  IK: {
    preMessages: RESPONDER_KNOWN,
    messages: [
      ['e', 'es', 's', 'ss'],
      ['e', 'ee', 'se'],
    ],
  },
  // The psk2 modifier puts the psk at the end of the second message (section 9.4).
  IKpsk2: {
    preMessages: RESPONDER_KNOWN,
    messages: [
      ['e', 'es', 's', 'ss'],
      ['e', 'ee', 'se', 'psk'],
    ],
  },
} as const satisfies Record<string, HandshakePattern>;

export type PatternName = keyof typeof HANDSHAKE_PATTERNS;
