/**
 * Gives a class the shape of an interface of the web (WebIDL sections 3.7.3 to 3.7.8): attributes, operations and
 * constants can be enumerated, constants cannot be assigned to, and `length` counts the arguments that are required.
 */
export function shapeInterface(
  target: { readonly prototype: object },
  shape: {
    /** The name that `Object.prototype.toString` tells. */
    readonly tag: string;
    readonly constants: Readonly<Record<string, number>>;
    /** How many arguments are required: by the constructor under 'constructor', and by operations. */
    readonly lengths: Readonly<Record<string, number>>;
  },
): void {
  const { prototype } = target;
  for (const [name, value] of Object.entries(shape.constants)) {
    const descriptor = { value, enumerable: true, writable: false, configurable: false };
    Object.defineProperty(target, name, descriptor);
    Object.defineProperty(prototype, name, descriptor);
  }
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (name !== 'constructor') Object.defineProperty(prototype, name, { enumerable: true });
  }
  for (const [name, value] of Object.entries(shape.lengths)) {
    Object.defineProperty(Reflect.get(prototype, name), 'length', { value, configurable: true });
  }
  Object.defineProperty(prototype, Symbol.toStringTag, { value: shape.tag, configurable: true });
}
