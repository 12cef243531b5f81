/**
 * Shapes of JSON that comes from outside: the shard map, bodies of requests, files.
 *
 * Owns: how a problem is worded. It names the key and what the value must be, since people read it.
 */
import * as v from 'valibot';

/** The library's own object shapes also accept arrays. */
function plainObject<Input>() {
  return v.custom<Input>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object',
  );
}

/** Returns the message of a shape, which says what a value must be. */
function requirementOf(shape: object | undefined): string {
  const { message } = (shape ?? {}) as { readonly message?: unknown };
  return typeof message === 'string' ? message : 'is missing';
}

/** Returns the shape of an object that has these keys and no others. */
export function objectShape<const Entries extends v.ObjectEntries>(entries: Entries) {
  const known = Object.keys(entries).join(', ');
  const shape = v.strictObject(entries, ({ expected, received }) =>
    expected === 'never' ? `unknown key ${received} (known: ${known})` : requirementOf(entries[JSON.parse(expected)]),
  );
  return v.pipe(plainObject<v.InferInput<typeof shape>>(), shape);
}

/** Returns the shape of an object that has these keys; others are dropped. */
export function openObjectShape<const Entries extends v.ObjectEntries>(entries: Entries) {
  const shape = v.object(entries);
  return v.pipe(plainObject<v.InferInput<typeof shape>>(), shape);
}

/** Returns the shape of an object whose keys have one shape and values another. */
export function recordShape<
  const Name extends v.GenericSchema<string, string>,
  const Value extends v.GenericSchema<unknown, unknown>,
>(name: Name, value: Value) {
  const shape = v.record(name, value);
  return v.pipe(plainObject<v.InferInput<typeof shape>>(), shape);
}

/** Returns the shape of a whole number within bounds. */
export function wholeNumberShape(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

const textMessage = 'must be a text that is not empty';
export const textShape = v.pipe(v.string(textMessage), v.minLength(1, textMessage));

function isUnknownKey(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === 'strict_object' && issue.expected === 'never';
}

/** Returns the path of a value, such as `shards[0].slots`. */
function whereOf(issue: v.BaseIssue<unknown>): string {
  const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`));
  // An unknown key is a problem of the object that holds it.
  if (isUnknownKey(issue)) path.pop();
  return path.join('').replace(/^\./, '') || 'top level';
}

/** Returns the checked value. `fail` gets the first problem, as `path: problem`. */
export function readShape<Shape extends v.GenericSchema>(
  shape: Shape,
  value: unknown,
  fail: (problem: string) => never,
): v.InferOutput<Shape> {
  const result = v.safeParse(shape, value);
  if (result.success) return result.output;
  // An unknown key is often a misspelt one, whose intended key is then missing.
  const issue = result.issues.find(isUnknownKey) ?? result.issues[0];
  return fail(`${whereOf(issue)}: ${issue.message}`);
}

/** Returns a JSON text's checked value; undefined for another shape, or a text that is no JSON. */
export function parseShape<Shape extends v.GenericSchema>(
  shape: Shape,
  text: string,
): v.InferOutput<Shape> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const result = v.safeParse(shape, value);
  return result.success ? result.output : undefined;
}
