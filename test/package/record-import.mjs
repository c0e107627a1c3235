// @ts-check
// Imports a module and prints, as JSON, what that module's package touched while it was being evaluated.
//
//   node record-import.mjs import|require <specifier or path> <part of the path of the package's files>
import crypto from 'node:crypto';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import timers from 'node:timers';
import { pathToFileURL } from 'node:url';

const [, self = '', how, specifier = '', own = ''] = process.argv;
Error.stackTraceLimit = 50;

/** @type {Set<string>} */
const touched = new Set();

/**
 * Notes it when the code that did it is the package's: not a package that it imports, nor Node on its behalf.
 *
 * @param {string} what
 */
function note(what) {
  const frames = (new Error().stack ?? '').split('\n').slice(1);
  const caller = frames.find(frame => !frame.includes(self) && !frame.includes('<anonymous>)'));
  if (caller?.replaceAll('\\', '/').includes(own)) touched.add(`${what} ${caller.trim()}`);
}

/**
 * @param {any} object
 * @param {string} objectName
 * @param {string[]} names
 */
function watchCalls(object, objectName, names) {
  for (const name of names) {
    const original = object[name];
    if (typeof original !== 'function') continue;
    const value = function (/** @type {any} */ ...args) {
      note(`${objectName}${name}`);
      return original.apply(object, args);
    };
    Object.defineProperty(object, name, { configurable: true, writable: true, value });
  }
}

/** @param {string[]} names */
function watchGlobals(names) {
  for (const name of names) {
    const original = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get() {
        note(name);
        return original?.get ? original.get.call(globalThis) : original?.value;
      },
    });
  }
}

const { Date: RealDate } = globalThis;
globalThis.Date = new Proxy(RealDate, {
  construct(target, args, newTarget) {
    if (args.length === 0) note('new Date');
    return Reflect.construct(target, args, newTarget);
  },
});
watchCalls(Math, 'Math.', ['random']);
watchCalls(RealDate, 'Date.', ['now']);
watchCalls(performance, 'performance.', ['now']);
watchCalls(globalThis.crypto, 'crypto.', ['getRandomValues', 'randomUUID']);
watchCalls(crypto, 'node:crypto.', ['randomBytes', 'randomFillSync', 'randomInt', 'randomUUID']);
watchCalls(globalThis, '', ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'fetch']);
watchCalls(timers, 'node:timers.', ['setTimeout', 'setInterval', 'setImmediate']);
watchCalls(process, 'process.', ['nextTick', 'on', 'once', 'cwd', 'hrtime']);
watchGlobals([
  'WebSocket',
  'window',
  'self',
  'document',
  'navigator',
  'location',
  'indexedDB',
  'localStorage',
]);
watchGlobals(['sessionStorage', 'BroadcastChannel', 'Worker']);
const environment = process.env;
Object.defineProperty(process, 'env', {
  get() {
    note('process.env');
    return environment;
  },
});
syncBuiltinESMExports();

const before = process.getActiveResourcesInfo();
const isPath = path.isAbsolute(specifier);
const exports =
  how === 'require'
    ? createRequire(import.meta.url)(specifier)
    : await import(isPath ? pathToFileURL(specifier).href : specifier);
const after = process.getActiveResourcesInfo();

console.log(
  JSON.stringify({
    exports: Object.keys(exports),
    touched: [...touched],
    /** Set by stand-ins. */
    loaded: /** @type {{ wereLoaded?: string[] }} */ (globalThis).wereLoaded ?? [],
    resources: after.filter(kind => !before.includes(kind)),
  }),
);
