import { expect } from 'vitest';
import { type ErrorCode, SecureWebSocketError } from '../../src/core/errors.js';

/** Runs `action`, which must throw a SecureWebSocketError with one of `codes`, and returns it. */
export function expectCode(action: () => unknown, ...codes: ErrorCode[]): SecureWebSocketError {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, `expected an error ${codes.join(' or ')}`).toBeInstanceOf(SecureWebSocketError);
  const error = thrown as SecureWebSocketError;
  expect(codes, error.message).toContain(error.code);
  return error;
}
