/** JSON of others is parsed as any other, unless parsing it would take long. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jsonDepthMax, parseBoundedJson } from '../../../src/base/bounded-json.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';

const itemsMax = 1_000;

/** Returns the value of a text, or the code of its refusal. */
function parsed(text: string): unknown {
  try {
    return { value: parseBoundedJson(text, 'it', itemsMax) };
  } catch (thrown) {
    if (thrown instanceof DataPlaneError) return thrown.code;
    throw thrown;
  }
}

it('small texts have the value that JSON.parse gives, or none', () => {
  const small = fc.json({ maxDepth: 4 }).filter(({ length }) => length < itemsMax);
  const cut = fc.tuple(small, fc.nat(20)).map(([text, bytes]) => text.slice(0, Math.max(1, text.length - bytes)));
  const odd = fc.string({
    unit: fc.constantFrom('"', '\\', '[', ']', '{', '}', ',', ':', 'a', '1', ' '),
    minLength: 1,
  });
  fc.assert(
    fc.property(fc.oneof(small, cut, odd), (text) => {
      let expected: unknown = 'InvalidArgument';
      try {
        expected = { value: JSON.parse(text) };
      } catch {}
      expect(parsed(text)).toEqual(expected);
    }),
    { numRuns: 2_000 },
  );
});

it.each([
  ['levels', 'InvalidArgument', (count: number) => '['.repeat(count) + ']'.repeat(count), jsonDepthMax],
  [
    'levels of objects',
    'InvalidArgument',
    (count: number) => `${'{"a":'.repeat(count)}1${'}'.repeat(count)}`,
    jsonDepthMax,
  ],
  ['values', 'ResourceExhausted', (count: number) => `[${new Array(count).fill('1').join(',')}]`, itemsMax],
  ['empty arrays', 'ResourceExhausted', (count: number) => `[${new Array(count / 2).fill('[]').join(',')}]`, itemsMax],
  ['keys', 'ResourceExhausted', (count: number) => `{${new Array(count / 2).fill('"a":1').join(',')}}`, itemsMax],
])('%s above their limit are %s', (_what, code, textOf, max) => {
  expect(parsed(textOf(max))).toEqual({ value: JSON.parse(textOf(max)) });
  expect(parsed(textOf(max + 2))).toBe(code);
});

it('what stands within strings is not counted', () => {
  const text = '\\"[{,:'.repeat(2_000);
  expect(parsed(JSON.stringify([text, text]))).toEqual({ value: [text, text] });
});
