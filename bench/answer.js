// @ts-check

/**
 * The other end of a `Party`: answers its questions, and ends with it.
 *
 * @param {Record<string, (details: any) => unknown>} handlers by question
 */
export function answer(handlers) {
  process.on('message', (/** @type {{ question: string, details: unknown }} */ { question, details }) => {
    void Promise.resolve()
      .then(() => handlers[question]?.(details))
      .then(
        result => process.send?.({ answer: result }),
        error => process.send?.({ error: messageOf(error) }),
      );
  });
  process.on('uncaughtException', error => {
    process.send?.({ error: messageOf(error) }, undefined, {}, () => process.exit(1));
  });
  process.on('disconnect', () => process.exit());
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
