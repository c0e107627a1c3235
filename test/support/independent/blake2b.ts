/**
 * BLAKE2b (RFC 7693) with a key, and with the salt and the personalization of the BLAKE2 specification, which
 * `node:crypto` does not offer. Slow and plain: it derives a few keys.
 */
const MASK = (1n << 64n) - 1n;
const BLOCK_LENGTH = 128;

const IV = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
];

/** In which order each round takes the words of the block, one hexadecimal digit a word. */
const SIGMA = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
].map(order => Array.from(order, digit => Number.parseInt(digit, 16)));

/** The columns, then the diagonals. */
const QUARTERS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

const rotateRight = (word: bigint, bits: bigint): bigint => ((word >> bits) | (word << (64n - bits))) & MASK;

function compress(h: bigint[], block: Buffer, length: bigint, isLast: boolean): void {
  const m = Array.from({ length: 16 }, (_, index) => block.readBigUInt64LE(index * 8));
  const v = [...h, ...IV];
  v[12]! ^= length & MASK;
  v[13]! ^= length >> 64n;
  if (isLast) v[14]! ^= MASK;
  for (let round = 0; round < 12; round++) {
    const order = SIGMA[round % 10]!;
    QUARTERS.forEach(([a, b, c, d], index) => {
      for (const [word, first, second] of [
        [m[order[2 * index]!]!, 32n, 24n],
        [m[order[2 * index + 1]!]!, 16n, 63n],
      ] as const) {
        v[a] = (v[a]! + v[b]! + word) & MASK;
        v[d] = rotateRight(v[d]! ^ v[a], first);
        v[c] = (v[c]! + v[d]) & MASK;
        v[b] = rotateRight(v[b]! ^ v[c], second);
      }
    });
  }
  for (let index = 0; index < 8; index++) h[index]! ^= v[index]! ^ v[index + 8]!;
}

export interface Blake2bOptions {
  readonly length: number;
  readonly key?: Uint8Array;
  /** 16 bytes at most; padded with zeros. */
  readonly salt?: Uint8Array;
  /** 16 bytes at most; padded with zeros. */
  readonly personal?: Uint8Array;
}

export function blake2b(input: Uint8Array, options: Blake2bOptions): Buffer {
  const { length, key = new Uint8Array(0), salt = new Uint8Array(0), personal = new Uint8Array(0) } = options;
  const parameters = Buffer.alloc(64);
  parameters.set([length, key.length, 1, 1]);
  parameters.set(salt, 32);
  parameters.set(personal, 48);
  const h = IV.map((word, index) => word ^ parameters.readBigUInt64LE(index * 8));

  const keyed = key.length > 0 ? Buffer.concat([key, Buffer.alloc(BLOCK_LENGTH - key.length), input]) : input;
  const blocks = Math.max(1, Math.ceil(keyed.length / BLOCK_LENGTH));
  for (let index = 0; index < blocks; index++) {
    const block = Buffer.alloc(BLOCK_LENGTH);
    block.set(keyed.subarray(index * BLOCK_LENGTH, (index + 1) * BLOCK_LENGTH));
    const isLast = index === blocks - 1;
    compress(h, block, BigInt(isLast ? keyed.length : (index + 1) * BLOCK_LENGTH), isLast);
  }
  const output = Buffer.alloc(64);
  h.forEach((word, index) => output.writeBigUInt64LE(word, index * 8));
  return output.subarray(0, length);
}
