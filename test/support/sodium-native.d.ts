declare module 'sodium-native' {
  const sodium: import('../../src/crypto/sodium-native.js').SodiumNative;
  export default sodium;
}
