/** Look-ups are bounded by site and in all; sites take turns, and silent ones get a pause. */
import { expect, it } from 'vitest';
import { siteOfDid, siteOfHost } from '../../../src/identity/lookup-site.ts';
import { SiteLimits } from '../../../src/identity/site-limits.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const bounds = { siteRunningMax: 2, siteWaitingMax: 3, runningMax: 4, waitingMax: 6 };

/** Runs look-ups that end when the test says. */
class Lookups {
  readonly clock = new ManualClock();
  readonly limits = new SiteLimits(bounds, this.clock);
  readonly started: string[] = [];
  readonly #ends: (() => void)[] = [];

  run(site: string, result = 'answer'): Promise<string | null> {
    const task = async (): Promise<string> => {
      this.started.push(site);
      await new Promise<void>((resolve) => this.#ends.push(resolve));
      return result;
    };
    return this.limits.run(site, task, (found) => found === 'silence');
  }

  endAll(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

it('a site has few at once and few that wait; so have all together, and more are refused', async () => {
  const lookups = new Lookups();
  const ofA = Array.from({ length: 6 }, () => lookups.run('a'));
  expect(lookups.started).toEqual(['a', 'a']);
  expect(await ofA[5]).toBeNull();
  const ofOthers = ['b', 'b', 'b', 'c', 'c', 'c'].map((site) => lookups.run(site));
  expect(lookups.started).toEqual(['a', 'a', 'b', 'b']);
  expect(lookups.limits.runningCount).toBe(4);
  expect(await ofOthers[5]).toBeNull();
  for (let turn = 0; turn < 4; turn++) {
    lookups.endAll();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await Promise.all([...ofA, ...ofOthers])).filter((result) => result === 'answer')).toHaveLength(10);
  expect(lookups.limits.runningCount).toBe(0);
});

it('sites take turns, whoever has more waiting', async () => {
  const lookups = new Lookups();
  for (const site of ['a', 'a', 'b', 'b', 'a', 'a', 'a', 'c']) void lookups.run(site);
  lookups.endAll();
  await new Promise((resolve) => setImmediate(resolve));
  expect(lookups.started.slice(4).sort()).toEqual(['a', 'a', 'c']);
});

it('a site that says nothing many times in a row is paused, then tried by one at a time', async () => {
  const lookups = new Lookups();
  for (let count = 0; count < 8; count++) {
    const both = [lookups.run('a', 'silence'), lookups.run('a', 'silence')];
    lookups.endAll();
    await Promise.all(both);
  }
  expect(lookups.limits.hasCapacity('a')).toBe(false);
  expect(lookups.limits.hasCapacity('b')).toBe(true);
  expect(await lookups.run('a')).toBeNull();
  // The pause doubles with each look-up that gets no answer.
  for (const pauseMs of [1000, 2000, 4000]) {
    lookups.clock.advance(pauseMs - 1);
    expect(lookups.limits.hasCapacity('a')).toBe(false);
    lookups.clock.advance(1);
    const one = lookups.run('a', 'silence');
    expect(await lookups.run('a')).toBeNull();
    lookups.endAll();
    expect(await one).toBe('silence');
  }
  lookups.clock.advance(8000);
  const answered = lookups.run('a');
  lookups.endAll();
  expect(await answered).toBe('answer');
  void lookups.run('a');
  void lookups.run('a');
  expect(lookups.limits.hasCapacity('a')).toBe(true);
});

it('what waits for a site is refused when its pause begins', async () => {
  const lookups = new Lookups();
  for (let count = 0; count < 15; count++) {
    const one = lookups.run('a', 'silence');
    lookups.endAll();
    await one;
  }
  const running = [lookups.run('a', 'silence'), lookups.run('a', 'silence')];
  const waiting = lookups.run('a');
  lookups.endAll();
  expect(await Promise.all([...running, waiting])).toEqual(['silence', 'silence', null]);
});

it('a site is what one owner can name: the last two labels, an address, the directory', () => {
  expect(
    ['a.b.example.com', 'EXAMPLE.com:8080', '10.1.2.3:80', '[2001:db8::1]:443', 'localhost:99'].map(siteOfHost),
  ).toEqual(['example.com', 'example.com', '10.1.2.3', '2001:db8::1', 'localhost:99']);
  expect(siteOfDid('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')).toBe('directory');
  expect(siteOfDid('did:web:n1.silent.example%3A8443')).toBe('silent.example');
});
