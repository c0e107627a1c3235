// The package ships no types: what the interop test uses of it.

declare module 'noise-handshake' {
  interface NoiseKeyPair {
    publicKey: Uint8Array;
    secretKey: Uint8Array;
  }

  class Noise {
    constructor(pattern: 'XX' | 'IK', initiator: boolean, staticKeypair?: NoiseKeyPair);
    initialise(prologue: Uint8Array, remoteStatic?: Uint8Array): void;
    send(payload?: Uint8Array): Uint8Array;
    recv(message: Uint8Array): Uint8Array;
    readonly complete: boolean;
    /** Own static key pair. */
    readonly s: NoiseKeyPair;
    /** The peer's static public key. */
    readonly rs: Uint8Array;
    /** Handshake hash, once complete. */
    readonly hash: Uint8Array;
    /** Key for sending, once complete. */
    readonly tx: Uint8Array;
    /** Key for receiving, once complete. */
    readonly rx: Uint8Array;
  }

  export default Noise;
}

declare module 'noise-handshake/cipher' {
  class Cipher {
    constructor(key: Uint8Array);
    encrypt(plaintext: Uint8Array, ad?: Uint8Array): Uint8Array;
    decrypt(ciphertext: Uint8Array, ad?: Uint8Array): Uint8Array;
  }

  export default Cipher;
}
