/** Which `traceparent` headers are taken, as W3C Trace Context says. */
import { expect, it, test } from 'vitest';
import { parseTraceparent, readTrace, traceBytes, writeTrace } from '../../../src/wire/trace-context.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';

it.each([
  [`00-${traceId}-${parentId}-01`, true],
  [`00-${traceId}-${parentId}-00`, false],
  [`00-${traceId}-${parentId}-03`, true],
  [`cc-${traceId}-${parentId}-01-what-a-later-version-adds`, true],
])('takes %s', (header, isSampled) => {
  expect(parseTraceparent(header)).toEqual({ traceId, parentId, isSampled });
});

it.each([
  '',
  'nonsense',
  `ff-${traceId}-${parentId}-01`,
  `00-${traceId}-${parentId}-01-more`,
  `00-${'0'.repeat(32)}-${parentId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-${parentId}-01`,
  `00-${traceId}-${parentId}`,
  `00-${traceId}0-${parentId}-01`,
  `00-${traceId}-${parentId}-01\n`,
])('takes %j for none', (header) => {
  expect(parseTraceparent(header)).toBeNull();
});

test('its bytes say the same', () => {
  const bytes = Buffer.alloc(traceBytes + 2, 0xff);
  for (const isSampled of [true, false]) {
    writeTrace({ traceId, parentId, isSampled }, bytes, 1);
    expect(readTrace(bytes, 1)).toEqual({ traceId, parentId, isSampled });
  }
  expect([bytes[0], bytes.at(-1)]).toEqual([0xff, 0xff]);
});
