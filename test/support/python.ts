import { findPython, isPythonRequired, missingPythonMessage } from '../../scripts/python.mjs';

/** The Python to test with, which has `websockets`. Undefined: there is none, and none is needed. */
export function pythonToTest(): string | undefined {
  const found = findPython();
  if (found === undefined && isPythonRequired()) throw new Error(missingPythonMessage());
  if (found === undefined) console.warn(`${missingPythonMessage()}\nNothing is tested with it.`);
  return found;
}
