/**
 * Slots in this process take what ingest would let through: no rule throws, effects come to an end,
 * and the good accounts' records are there and nothing else is theirs.
 */
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { decodeFirehoseMessage } from '../../src/atproto/firehose-event.ts';
import { checkRecord } from '../../src/atproto/record-rules.ts';
import type { RepoOp } from '../../src/atproto/repo-op.ts';
import { isTid, tidOf } from '../../src/atproto/tid.ts';
import type { Failure } from '../../src/slot/quarantine.ts';
import { jsonOfRow } from '../../src/slot/table/applied-record.ts';
import { getRecordRow, readRecordRefOfKey } from '../../src/slot/table/record-row.ts';
import { beginKey, tableCode } from '../../src/slot/table/slot-state.ts';
import { prefixEnd } from '../../src/storage/environment.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import { jsonOfOp, recordOp } from '../support/record-op.ts';
import { type OwnedEntry, SlotCluster } from '../support/slot-cluster.ts';
import { commitFrame } from '../unit/atproto/signed-repo.ts';
import { type FuzzTarget, fuzzTarget, mustHold, type OpenTarget, type Sightings } from './fuzz-target.ts';
import { commitBody, type HostileCommit, hostileCommits } from './hostile-commits.ts';
import { goodDids, keyableDids } from './hostile-records.ts';
import { showBytes } from './hostile-values.ts';

const slots = 4;
const eventMs = Date.UTC(2025, 0, 1);

/** What ingest makes of a commit: ops of valid records. */
function soundOps(commit: HostileCommit, seen: Sightings): RepoOp[] {
  const read = decodeFirehoseMessage(commitFrame(commitBody({ ...commit, time: '2025-01-01T00:00:00.000Z' })));
  seen.add(read.ok ? read.value.kind : read.reason);
  if (!read.ok || read.value.kind !== 'commit') return [];
  const { did, ops } = read.value;
  return ops.flatMap(({ op, value }) => {
    const isSound = op.action === 'delete' || checkRecord(did, op.collection, op.rkey, value).ok;
    seen.add(isSound ? `${op.action} ${op.collection.split('.').at(-1)}` : 'refused');
    return isSound ? [op] : [];
  });
}

type Step =
  | { readonly kind: 'commit' | 'resync'; readonly commit: HostileCommit; readonly isWhole: boolean }
  | { readonly kind: 'account'; readonly did: string; readonly status: string }
  | { readonly kind: 'identity'; readonly did: string; readonly handle: string | null }
  | {
      readonly kind: 'takedown';
      readonly did: string;
      readonly collection: string;
      readonly rkey: string;
      readonly ref: string | null;
    };

const authors = fc.constantFrom(...keyableDids);

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('commit', 'commit', 'commit', 'resync'),
      commit: hostileCommits,
      isWhole: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('account'),
      did: authors,
      status: fc.constantFrom('', 'deleted', 'takendown', 'deactivated'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('identity'),
      did: authors,
      handle: fc.constantFrom(null, 'a.example', 'b.example', `${'a'.repeat(63)}.example`),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('takedown'),
      did: authors,
      collection: fc.constantFrom('app.bsky.feed.post', 'app.bsky.feed.repost', 'app.bsky.graph.list'),
      rkey: fc.constantFrom('self', 'a', '3jzfcijpj2z2a', 'a'.repeat(512)),
      ref: fc.constantFrom(null, 'x'),
    }),
  },
);

/** Nothing that speaks for a good account gets as far as a slot. */
function entriesOf(step: Step, rev: string, seen: Sightings): OwnedEntry[] {
  if ('commit' in step && goodDids.includes(step.commit.did)) return [];
  switch (step.kind) {
    case 'commit': {
      const { did, since } = step.commit;
      const ops = soundOps(step.commit, seen);
      return [{ kind: 'commit', did, rev: isTid(step.commit.rev) ? step.commit.rev : rev, since, eventMs, ops }];
    }
    case 'resync': {
      const { did } = step.commit;
      const at = { did, rev, eventMs };
      const ops = soundOps(step.commit, seen).filter(({ action }) => action === 'create');
      const end: OwnedEntry[] = step.isWhole ? [{ kind: 'resync-end', ...at }] : [];
      return [{ kind: 'resync-begin', ...at }, { kind: 'resync-chunk', ...at, ops }, ...end];
    }
    case 'account':
      return [{ kind: 'account', did: step.did, active: step.status === '', status: step.status, eventMs }];
    case 'identity':
      return [
        {
          kind: 'identity',
          did: step.did,
          handle: step.handle,
          verifiedAtMs: eventMs,
          keysJson: '{}',
          servicesJson: '{}',
          eventMs,
        },
      ];
    case 'takedown': {
      const { did, collection, rkey, ref } = step;
      return [{ kind: 'private', did, write: { type: 'record-takedown', collection, rkey, ref } }];
    }
  }
}

/** What good accounts wrote: the JSON of each record by its path. Knows nothing of slots. */
class GoodAccounts {
  readonly recordsByDid = new Map<string, Map<string, string>>(goodDids.map((did) => [did, new Map()]));
  #written = 0;

  /** Returns the next commit of each. */
  next(): OwnedEntry[] {
    return goodDids.map((did, index) => {
      const micros = eventMs * 1000 + ++this.#written;
      const [rkey, rev] = [tidOf(micros, 1), tidOf(micros, 2)];
      const collection = 'app.bsky.feed.post';
      const op = recordOp(
        { collection, rkey },
        { $type: collection, text: `${index} ${this.#written}`, createdAt: '2025-01-01T00:00:00.000Z' },
      );
      this.recordsByDid.get(did)!.set(`${collection}/${rkey}`, jsonOfOp(op));
      return { kind: 'commit', did, rev, since: null, eventMs, ops: [op] };
    });
  }

  /** Checks that the slots hold the newest record, and exactly as many as were written. */
  check(cluster: SlotCluster): void {
    for (const [did, records] of this.recordsByDid) {
      const state = cluster.stateOf(did);
      const owner = state.ownerOf(did);
      mustHold(owner !== undefined, 'a good account is known');
      const prefix = beginKey(owner, tableCode.record).finish();
      let count = 0;
      for (const { key } of state.rows.scan({ start: prefix, end: prefixEnd(prefix) })) {
        const { collection, rkey } = readRecordRefOfKey(did, key);
        const row = getRecordRow(state, owner, collection, rkey)!;
        mustHold(
          records.get(`${collection}/${rkey}`) === jsonOfRow(row),
          `${collection}/${rkey} is what its author wrote`,
        );
        count++;
      }
      mustHold(count === records.size, `a good account has ${records.size} records, not ${count}`);
    }
  }
}

/** A cluster holds this many rounds: what is checked grows with each. */
const roundsPerCluster = 150;

function openApply(seen: Sightings): OpenTarget<readonly Step[]> {
  let folder = '';
  let cluster: SlotCluster;
  let good: GoodAccounts;
  let rounds = 0;
  const failures: Failure[] = [];
  const open = (): void => {
    folder = makeMemoryFolder('skyshard-fuzz-');
    cluster = SlotCluster.open({ slots, path: folder, mapBytes: 2 ** 28 });
    for (const slot of cluster.slots) slot.onQuarantine = (failure) => void failures.push(failure);
    failures.length = 0;
    good = new GoodAccounts();
    rounds = 0;
  };
  const close = async (): Promise<void> => {
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  open();
  return {
    values: fc.array(steps, { minLength: 1, maxLength: 5 }),
    check: async (value) => {
      if (++rounds > roundsPerCluster) {
        await close();
        open();
      }
      value.forEach((step, index) => {
        cluster.append(...entriesOf(step, tidOf((eventMs + rounds) * 1000, index), seen));
      });
      cluster.append(...good.next()).settle();
      for (const { kind, reason, stack } of failures)
        throw new Error(`a rule throws for a ${kind}: ${reason}\n${stack}`);
      good.check(cluster);
    },
    show: (value) =>
      value
        .map((step) =>
          'commit' in step ? `${step.kind} ${showBytes(commitFrame(commitBody(step.commit)))}` : fc.stringify(step),
        )
        .join('\n'),
    [Symbol.asyncDispose]: close,
  };
}

export const applyTarget: FuzzTarget = fuzzTarget(
  {
    name: 'apply',
    lane: 'in process',
    share: 6,
    expectedRuns: 400,
    expected: ['create post', 'create like', 'create follow', 'delete post', 'refused'],
  },
  ({ seen }) => openApply(seen),
);
