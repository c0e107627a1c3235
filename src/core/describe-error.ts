/**
 * One line for people about whatever was thrown: for messages that carry the cause of a failure.
 * Node's errors for a host with several addresses have no message of their own; a DOMException may have only a name.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError) return error.errors.map(describeError).join('; ');
  return error.name;
}
