/** Long work that is asked for while the same thing waits loses nothing of either. */
import { expect, it } from 'vitest';
import { merged } from '../../../src/slot/apply/long-work-apply.ts';
import type { LongWork } from '../../../src/slot/table/long-work.ts';

const [none, half] = [Buffer.alloc(0), Buffer.from('half')];
const did = 'did:web:a.example';
const deletion = (originMs: number, after: Buffer): LongWork => ({ type: 'delete-account', did, originMs, after });
const erasure = (originMs: number, after: Buffer): LongWork => ({
  type: 'erase',
  did,
  kind: 'drafts',
  originMs,
  after,
});
const judging = (fromMs: number, after: Buffer): LongWork => ({
  type: 'gate-verdicts',
  did,
  gate: 'thread',
  rkey: 'r',
  fromMs,
  after,
});
const byFact = (fromMs: number, after: Buffer): LongWork => ({
  type: 'fact-verdicts',
  did,
  fact: { kind: 'followed', did },
  fromMs,
  after,
});
const sweep = (rev: string, after: Buffer): LongWork => ({ type: 'resync-sweep', did, rev, after });

it.each<[name: string, earlier: LongWork, later: LongWork, merged: LongWork]>([
  ['a deletion begins anew, with the later time', deletion(1, half), deletion(2, half), deletion(2, none)],
  ['a deletion keeps a time that came first', deletion(2, half), deletion(1, none), deletion(2, none)],
  ['an erasure begins anew, with the later time', erasure(1, half), erasure(2, half), erasure(2, none)],
  ['an erasure keeps a time that came first', erasure(2, half), erasure(1, none), erasure(2, none)],
  ['a gate is judged from the earliest time', judging(1, half), judging(2, half), judging(1, none)],
  ['a fact that concerns more goes on', byFact(1, half), byFact(2, none), byFact(1, half)],
  ['a fact of the same time begins anew', byFact(1, half), byFact(1, none), byFact(1, none)],
  ['a sweep is that of the later snapshot', sweep('r1', half), sweep('r2', none), sweep('r2', none)],
])('%s', (_name, earlier, later, expected) => {
  expect(merged(earlier, later)).toEqual(expected);
});
