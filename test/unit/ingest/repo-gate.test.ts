/** A repo's entries reach the log once and in order, held or not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CommitEntry } from '../../../src/entry/entry.ts';
import { RepoGate, type RepoHold } from '../../../src/ingest/repo-gate.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { authorDid, otherDid } from '../atproto/signed-repo.ts';

const revOf = (number: number): string => `3k${String(number).padStart(11, '0')}`;

function commit(number: number, did = authorDid): CommitEntry {
  return { kind: 'commit', did, rev: revOf(number), since: null, eventMs: number, ops: [] };
}

type Step =
  | { readonly type: 'live' }
  | { readonly type: 'hold' }
  | { readonly type: 'succeed'; readonly lead: number }
  | { readonly type: 'fail' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Step>({ type: 'live' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ type: 'hold' }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('succeed' as const), lead: fc.nat(8) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ type: 'fail' }) },
);

describe('the gate of a repo', () => {
  it('appends every commit once and in order, unless a snapshot contains it', async () => {
    let succeeded = 0;
    let voided = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const log = new MemoryLog();
        const gate = new RepoGate(log, { entriesMax: 2, repoBytesMax: 1e9, bytesMax: 1e9 });
        const appends: Promise<void>[] = [];
        const snapshots: number[] = [];
        let hold: RepoHold | null = null;
        let heldFrom = 0;
        let last = 0;
        for (const one of steps) {
          if (one.type === 'live') appends.push(gate.append(commit(++last)));
          if (one.type === 'hold' && hold === null) {
            hold = gate.hold(authorDid);
            heldFrom = last;
          }
          if (one.type === 'fail' && hold !== null) {
            hold.release(null, Promise.resolve());
            hold = null;
          }
          if (one.type === 'succeed' && hold !== null) {
            // At least as new as the commits before the hold; maybe newer than the latest.
            const rev = heldFrom + one.lead;
            if (hold.isVoid) voided++;
            else {
              succeeded++;
              snapshots.push(rev);
              const end = gate.appendSnapshot(authorDid, {
                kind: 'resync-end',
                did: authorDid,
                rev: revOf(rev),
                eventMs: 0,
              });
              hold.release(revOf(rev), end);
            }
            hold.release(null, Promise.resolve());
            hold = null;
          }
        }
        hold?.release(null, Promise.resolve());
        await Promise.all(appends);
        const revs = log.of('commit').map(({ rev }) => rev);
        expect(revs).toEqual([...new Set(revs)].sort());
        for (let number = 1; number <= last; number++) {
          const isContained = snapshots.some((rev) => number <= rev);
          expect(revs.includes(revOf(number)) || isContained, `commit ${number}`).toBe(true);
        }
        // Commits that the snapshot lacks follow it.
        const story = log.storyOf(authorDid);
        for (const rev of snapshots) {
          const end = story.indexOf(`resync-end ${revOf(rev)}`);
          const later = story.flatMap((text, index) => (text === `commit ${revOf(rev + 1)}` ? [index] : []));
          for (const index of later) expect(index).toBeGreaterThan(end);
        }
        expect(gate.heldBytes).toBe(0);
      }),
      { numRuns: 500 },
    );
    expect(succeeded).toBeGreaterThan(10);
    expect(voided).toBeGreaterThan(0);
  });

  it('holds only its repo, and resolves contained entries only when the snapshot is durable', async () => {
    const log = new MemoryLog();
    const gate = new RepoGate(log);
    const hold = gate.hold(authorDid);
    let isSettled = false;
    const contained = gate.append(commit(1)).then(() => {
      isSettled = true;
    });
    await gate.append(commit(2, otherDid));
    expect(log.of('commit').map(({ did }) => did)).toEqual([otherDid]);
    log.isHeld = true;
    const end = gate.appendSnapshot(authorDid, { kind: 'resync-end', did: authorDid, rev: revOf(1), eventMs: 0 });
    hold.release(revOf(1), end);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isSettled).toBe(false);
    log.acknowledgeAll();
    await contained;
    expect(log.of('commit', authorDid)).toEqual([]);
  });

  it('ends the hold of a repo whose messages are large, and no other', async () => {
    const log = new MemoryLog();
    const gate = new RepoGate(log);
    const [hold, other] = [gate.hold(authorDid), gate.hold(otherDid)];
    const waiting = gate.append(commit(1, otherDid), 1_000);
    const appends = [1, 2, 3].map((number) => gate.append(commit(number), 4_000_000));
    await Promise.all(appends);
    expect([hold.isVoid, other.isVoid]).toEqual([true, false]);
    expect(log.of('commit').map(({ did, rev }) => [did, rev])).toEqual(
      [1, 2, 3].map((number) => [authorDid, revOf(number)]),
    );
    expect(gate.heldBytes).toBe(1_000);
    other.release(null, Promise.resolve());
    await waiting;
  });
});
