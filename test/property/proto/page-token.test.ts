/** Page tokens decode to what was encoded, within the limit; any other text is refused. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePageToken, encodePageToken } from '../../../src/proto/page-token.ts';

const times = fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 });
const rests = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));

test('a token decodes to its time and rest, and holds nothing that the AppView refuses', () => {
  fc.assert(
    fc.property(times, rests, fc.nat(), (timeMs, bytes, from) => {
      const start = from % (bytes.length + 1);
      const token = encodePageToken(timeMs, bytes, start);
      expect(token).not.toContain('::');
      expect(decodePageToken(token, 64)).toEqual({ timeMs, rest: bytes.subarray(start) });
    }),
  );
});

test('a rest above the limit is refused, one at the limit is not', () => {
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 64 }), (timeMs, limit) => {
      const atLimit = encodePageToken(timeMs, Buffer.alloc(limit));
      expect(decodePageToken(atLimit, limit)).toBeDefined();
      expect(decodePageToken(encodePageToken(timeMs, Buffer.alloc(limit + 1)), limit)).toBeUndefined();
    }),
  );
});

test('any text decodes to a position within the limit, or is refused', () => {
  const alike = fc.stringMatching(/^-?\d{0,17}_{0,3}[A-Za-z0-9_:+/=-]{0,40}$/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), alike), (token) => {
      const position = decodePageToken(token, 16);
      if (position === undefined) return;
      expect(Number.isSafeInteger(position.timeMs)).toBe(true);
      expect(position.rest.length).toBeLessThanOrEqual(16);
    }),
  );
});
