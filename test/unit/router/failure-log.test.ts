/** Which failed requests a router notes, and how many. */
import { expect, test } from 'vitest';
import { DataPlaneError, type ErrorCode } from '../../../src/base/data-plane-error.ts';
import { FailureLog } from '../../../src/router/failure-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('notes a few failures a second, and how many it left out', () => {
  const noted: Record<string, unknown>[] = [];
  const clock = new ManualClock();
  const log = new FailureLog((_message, fields) => noted.push(fields), clock);
  const fail = (requestId: string, code: ErrorCode = 'Unavailable'): void =>
    log.add({ requestId, method: 'GetActors', caller: '', error: new DataPlaneError(code, 'a test'), trace: null });
  fail('mistake', 'InvalidArgument');
  for (let index = 0; index < 25; index++) fail(`r${index}`);
  expect(noted).toEqual(Array.from({ length: 10 }, (_unused, index) => ({ request: `r${index}` })));
  clock.advance(1_000);
  fail('later');
  expect(noted.at(-1)).toEqual({ request: 'later', failuresNotNoted: 15 });
  fail('last');
  expect(noted.at(-1)).toEqual({ request: 'last' });
});
