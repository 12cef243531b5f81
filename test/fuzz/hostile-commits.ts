/**
 * Commits, repos and messages of the firehose, made from parts that are each valid or not: shared
 * blocks, paths twice, revs and times anywhere, trees of any shape.
 */
import fc from 'fast-check';
import { Cid, cidOfBlock } from '../../src/atproto/cid.ts';
import { ByteString, type DagMap, type DagValue } from '../../src/atproto/dag-value.ts';
import { tidOf } from '../../src/atproto/tid.ts';
import { type Block, encodeCar } from '../../src/demo/server/firehose-frame.ts';
import { signatureOf } from '../support/commit-signature.ts';
import { encodeDagCbor } from '../support/dag-cbor.ts';
import { frameOf } from '../unit/atproto/signed-repo.ts';
import {
  anyDids,
  goodDids,
  type HostileRecord,
  hostileRecords,
  keyableDids,
  ownedBy,
  rkeys,
} from './hostile-records.ts';
import { anyValues } from './hostile-values.ts';

/** Now, an hour ago, tomorrow, and the ends of what the format holds. */
export const revs: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(1e9).map((offset) => tidOf(1_735_689_600_000_000 + offset, 0)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('jzzzzzzzzzzzz', '2222222222222', tidOf(Date.UTC(2100, 0) * 1000, 1023), tidOf(1, 0)),
  },
  { weight: 1, arbitrary: fc.constantFrom('', 'zzzzzzzzzzzzz', '3jzfcijpj2z2a ', 'x') },
);

const times = fc.constantFrom(
  '2025-01-01T00:00:00.000Z',
  '2025-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '0000-01-01T00:00:00Z',
  '1970-01-01T00:00:00Z',
  'yesterday',
  '',
);
const seqs = fc.constantFrom(1, 2, 0, -1, 2 ** 53 - 1, 2 ** 32);

/** One op of a commit: its record is one of the commit's, by index, so that ops share blocks. */
export type HostileOp = {
  readonly action: string;
  readonly record: number;
  readonly path: 'own' | 'first' | 'spread' | 'bad';
  readonly hasCid: boolean;
};

export type HostileCommit = {
  readonly did: string;
  readonly rev: string;
  readonly since: string | null;
  readonly time: string;
  readonly records: readonly HostileRecord[];
  readonly ops: readonly HostileOp[];
  /** How often the list of ops is repeated. */
  readonly repeats: number;
  /** True for a commit that is refused whole, where two ops name one path. */
  readonly repeatsPaths: boolean;
};

const ops: fc.Arbitrary<HostileOp> = fc.record({
  action: fc.constantFrom('create', 'create', 'create', 'update', 'delete', 'upsert'),
  record: fc.nat(3),
  path: fc.constantFrom('own', 'own', 'own', 'spread', 'first', 'bad'),
  hasCid: fc.constantFrom(true, true, true, true, true, false),
});

export const hostileCommits: fc.Arbitrary<HostileCommit> = fc.record({
  did: fc.constantFrom(...keyableDids, ...goodDids),
  rev: revs,
  since: fc.option(revs),
  time: times,
  records: fc.array(hostileRecords, { minLength: 1, maxLength: 4 }),
  ops: fc.array(ops, { minLength: 1, maxLength: 6 }),
  repeatsPaths: fc.constantFrom(false, false, false, false, false, false, true),
  repeats: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constantFrom(2, 33, 201) }),
});

/** An op as it is in the commit: a path, and its record by index. */
export type PlacedOp = {
  readonly action: string;
  readonly collection: string;
  readonly rkey: string;
  readonly record: number;
  readonly hasCid: boolean;
};

/** Returns the records of a commit as its author owns them. */
export function ownRecords({ did, records }: HostileCommit): HostileRecord[] {
  return records.map((record) => ownedBy(did, record));
}

/** Returns the ops of a commit in order, with their paths. */
export function placedOps({ records, ops: drawn, repeats, repeatsPaths }: HostileCommit): PlacedOp[] {
  const used = new Set<string>();
  return Array.from({ length: repeats }, (_unused, round) =>
    drawn.map(({ action, record: drawnIndex, path, hasCid }, at) => {
      const record = drawnIndex % records.length;
      const { collection, rkey: own } = records[record]!;
      const unique = `s${round}-${at}`;
      const wanted = { own, first: records[0]!.rkey, spread: unique, bad: '../é' }[path];
      const rkey = used.has(`${collection}/${wanted}`) && !repeatsPaths ? unique : wanted;
      used.add(`${collection}/${rkey}`);
      return { action, collection, rkey, record, hasCid };
    }),
  ).flat();
}

function blockOf(value: DagValue): Block {
  const bytes = encodeDagCbor(value);
  return { cid: cidOfBlock(bytes).bytes, bytes };
}

/** With another `signedDid` than `did`, the signature is whole but not this commit's. */
function commitBlock(did: string, rev: string, data: Uint8Array, signedDid = did): Block {
  const unsigned = { did, rev, data: new Cid(data), prev: null, version: 3 };
  const signature = signatureOf(encodeDagCbor({ ...unsigned, did: signedDid }));
  return blockOf({ ...unsigned, sig: new ByteString(signature) });
}

/** Returns the body of the `#commit` message. */
export function commitBody(commit: HostileCommit, seq = 1): DagMap {
  const { did, rev, since, time } = commit;
  const blocks = ownRecords(commit).map(({ value }) => blockOf(value));
  const root = commitBlock(did, rev, cidOfBlock(Buffer.from('tree')).bytes);
  const rawOps = placedOps(commit).map(({ action, collection, rkey, record, hasCid }) => ({
    action,
    path: `${collection}/${rkey}`,
    cid: action === 'delete' || !hasCid ? null : new Cid(blocks[record]!.cid),
  }));
  return {
    seq,
    repo: did,
    rev,
    since,
    commit: new Cid(root.cid),
    ops: rawOps,
    blocks: new ByteString(encodeCar(root.cid, [root, ...blocks])),
    blobs: [],
    time,
    tooBig: false,
    rebase: false,
  };
}

const fieldNames = [
  'seq',
  'repo',
  'did',
  'rev',
  'since',
  'commit',
  'ops',
  'blocks',
  'time',
  'tooBig',
  'active',
  'status',
  'handle',
  'prevData',
];

const otherBodies: fc.Arbitrary<{ type: string; body: DagMap }> = fc
  .record({
    type: fc.constantFrom('#identity', '#account', '#sync', '#info', '#labels', ''),
    did: fc.constantFrom(...anyDids),
    seq: seqs,
    rev: revs,
    time: times,
    active: fc.boolean(),
    status: fc.constantFrom('deleted', 'takendown', 'suspended', 'deactivated', 'throttled', '__proto__', ''),
    handle: fc.constantFrom('a.example', '', 'x'.repeat(3_000), '__proto__'),
  })
  .map(({ type, ...rest }) => ({
    type,
    body: { ...rest, blocks: new ByteString(new Uint8Array(0)), name: 'OutdatedCursor', message: rest.handle },
  }));

/** A message as drawn: its seq is set when it is sent. */
export type DrawnMessage = { readonly op: DagValue; readonly type: string; readonly body: DagMap };

/** Any message of the firehose; some with one field replaced by anything, or left out. */
export const hostileMessages: fc.Arbitrary<DrawnMessage> = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: hostileCommits.map((commit) => ({ type: '#commit', body: commitBody(commit) })) },
      { weight: 1, arbitrary: otherBodies },
    ),
    fc.option(fc.tuple(fc.constantFrom(...fieldNames), fc.option(anyValues)), { freq: 2 }),
    fc.constantFrom<DagValue>(1, 1, 1, 1, 1, -1, 2, 'x'),
  )
  .map(([{ type, body }, change, op]) => {
    if (change === null) return { op, type, body };
    const [field, value] = change;
    const changed = { ...body };
    if (value === null) delete changed[field];
    else changed[field] = value;
    return { op, type, body: changed };
  });

export const hostileFrames: fc.Arbitrary<Buffer> = hostileMessages.map(({ op, type, body }) =>
  frameOf({ op, t: type }, body),
);

/** A tree as drawn: its keys are in order unless `isShuffled`. */
type DrawnTree = {
  readonly keys: readonly string[];
  readonly isShuffled: boolean;
  /** Keys of one node. */
  readonly fan: number;
  readonly depthMax: number;
  /** Where subtrees hang: before a node's first key, or after its last. */
  readonly side: 'left' | 'right';
  readonly wrong: 'none' | 'prefix' | 'missing';
};

const drawnTrees: fc.Arbitrary<DrawnTree> = fc.record({
  keys: fc
    .tuple(fc.array(rkeys, { minLength: 1, maxLength: 12 }), fc.constantFrom(0, 0, 0, 0, 0, 300, 2_000))
    .map(([few, more]) => [
      ...new Set([...few, ...Array.from({ length: more }, (_unused, index) => `k${String(index).padStart(6, '0')}`)]),
    ]),
  isShuffled: fc.constantFrom(false, false, false, true),
  fan: fc.constantFrom(1, 4, 64),
  depthMax: fc.constantFrom(100, 100, 1_000),
  side: fc.constantFrom('left', 'right'),
  wrong: fc.constantFrom('none', 'none', 'none', 'prefix', 'missing'),
});

/** Adds the nodes of a tree over these paths to `blocks`. Returns its root. */
function treeNode(paths: readonly string[], leaf: Uint8Array, tree: DrawnTree, blocks: Block[]): Block {
  const isRight = tree.side === 'right';
  const own = isRight ? paths.slice(0, tree.fan) : paths.slice(-tree.fan);
  const rest = isRight ? paths.slice(tree.fan) : paths.slice(0, -tree.fan);
  const below = rest.length === 0 ? null : new Cid(treeNode(rest, leaf, tree, blocks).cid);
  const entries = own.map((path, index) => ({
    p: tree.wrong === 'prefix' ? 3 : 0,
    k: new ByteString(Buffer.from(path)),
    v: new Cid(leaf),
    t: isRight && index === own.length - 1 ? below : null,
  }));
  const left = tree.wrong === 'missing' ? new Cid(cidOfBlock(Buffer.from('nowhere')).bytes) : isRight ? null : below;
  const block = blockOf({ l: left, e: entries });
  blocks.push(block);
  return block;
}

type SignedTree = {
  readonly did: string;
  readonly rev: string;
  readonly paths: readonly string[];
  readonly leaf: Block;
  readonly data: Uint8Array;
  readonly root: Uint8Array;
  readonly car: Buffer;
};

/** Signed repos, some with a wrong signature: keys may share a record, trees have any shape. */
const signedTrees: fc.Arbitrary<SignedTree> = fc
  .tuple(fc.constantFrom(...keyableDids), revs, hostileRecords, drawnTrees, fc.nat(15))
  .map(([did, rev, record, tree, forgery]) => {
    const leaf = blockOf(ownedBy(did, record).value);
    const paths = tree.keys.map((key) => `${record.collection}/${key}`);
    if (!tree.isShuffled) paths.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const fan = Math.max(tree.fan, Math.ceil(paths.length / tree.depthMax));
    const blocks: Block[] = [];
    const { cid: data } = treeNode(paths, leaf.cid, { ...tree, fan }, blocks);
    const commit = commitBlock(did, rev, data, forgery === 0 ? 'did:plc:another' : did);
    return { did, rev, paths, leaf, data, root: commit.cid, car: encodeCar(commit.cid, [commit, ...blocks, leaf]) };
  });

/** CARs of whole repos. */
export const hostileRepoCars: fc.Arbitrary<Buffer> = signedTrees.map(({ car }) => car);

const treeOps = fc.array(
  fc.record({
    action: fc.constantFrom('create', 'create', 'update', 'delete'),
    path: fc.nat(20),
    cid: fc.constantFrom('leaf', 'leaf', 'leaf', 'other', 'none'),
    prev: fc.constantFrom('leaf', 'other', 'none'),
  }),
  { maxLength: 8 },
);

/** Commits over those trees, signed by their owner, whose ops may be undone or not. */
export const hostileProofs: fc.Arbitrary<Buffer> = fc
  .tuple(signedTrees, treeOps, fc.constantFrom('none', 'same', 'other'), fc.constantFrom('#commit', '#commit', '#sync'))
  .map(([{ did, rev, paths, leaf, data, root, car }, ops, before, type]) => {
    const other = new Cid(cidOfBlock(Buffer.from('other')).bytes);
    const cidOf = { leaf: new Cid(leaf.cid), other, none: null };
    const prevData = { none: {}, same: { prevData: new Cid(data) }, other: { prevData: other } }[before];
    return frameOf(
      { op: 1, t: type },
      {
        seq: 1,
        repo: did,
        did,
        rev,
        since: null,
        commit: new Cid(root),
        ops: ops.map(({ action, path, cid, prev }) => ({
          action,
          path: paths[path % paths.length]!,
          cid: action === 'delete' ? null : cidOf[cid],
          ...(prev === 'none' ? {} : { prev: cidOf[prev] }),
        })),
        blocks: new ByteString(car),
        time: '2025-01-01T00:00:00.000Z',
        tooBig: false,
        ...prevData,
      },
    );
  });
