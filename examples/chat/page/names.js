// Names are claims: whoever is in the space can call itself anything. What tells people apart is the key.

/** Longest name, in characters as people count them (code points). */
export const MAX_NAME = 32;

/** What is not to be seen, or changes how what stands beside it is seen: control characters, directions, lone halves. */
const INVISIBLE = /(?!\s)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
/** Two marks on one letter are a language; twenty cover the lines around. */
const PILED_MARKS = /(\p{M}{2})\p{M}+/gu;

/** A name as it is shown, at most `MAX_NAME` characters; '' when nothing is left of it. */
export function cleanName(name) {
  const visible = name
    .replace(INVISIBLE, '')
    .replace(/\s+/gu, ' ')
    .normalize('NFC')
    .replace(PILED_MARKS, '$1');
  return [...visible.trim()].slice(0, MAX_NAME).join('').trim();
}

/** The first 64 bits of a public key, in groups that can be read aloud. */
export function fingerprint(publicKey) {
  return publicKey.slice(0, 16).replace(/(.{4})(?=.)/g, '$1 ');
}

/** A colour for a public key, so that eyes can tell keys apart. */
export function hue(publicKey) {
  return (parseInt(publicKey.slice(0, 6), 16) * 47) % 360;
}

/**
 * The names that more than one key goes by, of `people` with `name` and `publicKey`, as `likeness` has them. Two tabs of
 * one key may share a name.
 */
export function ambiguousNames(people) {
  const keys = new Map();
  for (const { name, publicKey } of people) {
    const alike = likeness(name);
    if (alike !== '') keys.set(alike, (keys.get(alike) ?? new Set()).add(publicKey));
  }
  return new Set([...keys].filter(([, owners]) => owners.size > 1).map(([alike]) => alike));
}

/** Names that look the same at a glance have the same likeness: case, accents, spaces and dots do not count. */
export function likeness(name) {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{So}]/gu, '');
}
