/** What `skyshard status` says of replicas that a log has left behind. */
import { expect, it } from 'vitest';
import { leftBehindText } from '../../../src/cli/command/status.ts';

it('names each replica once, with all of its slots', () => {
  const nodes = [
    { name: 'n0', slots: [{ slot: 0, leftBehind: ['n2'] }, { slot: 1, leftBehind: ['n1', 'n2'] }, { slot: 2 }] },
    { name: 'n1', slots: [{ slot: 3, leftBehind: [] }] },
    { name: 'n2', state: 'down' },
  ];
  expect(leftBehindText(nodes)).toBe(
    'n2 is left behind by the log of slots 0,1: it begins again from copies once it runs\n' +
      'n1 is left behind by the log of slots 1: it begins again from copies once it runs\n',
  );
  expect(leftBehindText([])).toBe('');
});
