/**
 * Turns the social graph into the input of benches: log entries, or firehose messages.
 *
 * The messages are for benches only. Their blocks, CIDs and CAR are real and well formed, but the
 * signature is not, and the tree is a single node over the commit's records instead of a whole
 * repo's. The demo network makes real ones.
 */

import { CborWriter } from '../src/atproto/cbor-writer.ts';
import { cidOfBlock } from '../src/atproto/cid.ts';
import { deleteOp, type RepoOp } from '../src/atproto/repo-op.ts';
import type { GraphCommit, GraphEvent, GraphOp } from '../src/demo/model/graph-state.ts';
import { SocialGraph } from '../src/demo/model/social-graph.ts';
import {
  type Block,
  encodeAccountFrame,
  encodeCar,
  encodeCommitFrame,
  encodeIdentityFrame,
} from '../src/demo/server/firehose-frame.ts';
import type { CommitEntry, IdentityEntry } from '../src/entry/entry.ts';

export type GraphOutputOptions = {
  readonly seed: number;
  /** Record operations, deletes included; the last commit may go a little over. */
  readonly records: number;
  /** By default one per 60 records. */
  readonly actors?: number;
  /** Time of the first event. Units: milliseconds since 1970. */
  readonly startMs?: number;
  /** Simulated time from the first event to the last. */
  readonly spanMs?: number;
  readonly accountEvents?: number;
};

/** Times of generated data, unless given. */
export const graphOutputDefaults = { startMs: Date.UTC(2025, 0, 1), spanMs: 90 * 86_400_000 } as const;

/** Returns how many actors a number of records implies. */
function actorsFor(records: number): number {
  return Math.max(20, Math.round(records / 60));
}

/** Opens a graph; yields its events, evenly over the simulated span, until it has the records. */
export function openGraphEvents(options: GraphOutputOptions): {
  readonly graph: SocialGraph;
  readonly events: Generator<GraphEvent, void, undefined>;
} {
  const { seed, records, accountEvents = 0 } = options;
  const { startMs = graphOutputDefaults.startMs, spanMs = graphOutputDefaults.spanMs } = options;
  const graph = new SocialGraph({ seed, accountEvents, actors: options.actors ?? actorsFor(records) });
  function* events(): Generator<GraphEvent, void, undefined> {
    let made = 0;
    while (made < records) {
      const event = graph.next(startMs + Math.floor((spanMs * made) / records));
      if (event.kind === 'commit') made += event.ops.length;
      yield event;
    }
  }
  return { graph, events: events() };
}

function repoOp(op: GraphOp): RepoOp {
  const { action, collection, rkey, cid, block } = op;
  if (cid === null || block === null) return deleteOp(collection, rkey);
  return { action, collection, rkey, cid: Buffer.from(cid), block: Buffer.from(block) };
}

/** Turns events into log entries, without account changes. */
export class EntryMaker {
  readonly #graph: SocialGraph;
  readonly #revs: (string | undefined)[] = [];

  constructor(graph: SocialGraph) {
    this.#graph = graph;
  }

  entryOf(event: GraphEvent): CommitEntry | IdentityEntry | null {
    const did = this.#graph.state.actors.did(event.actor);
    if (event.kind === 'commit') {
      const since = this.#revs[event.actor] ?? null;
      this.#revs[event.actor] = event.rev;
      return { kind: 'commit', did, rev: event.rev, since, eventMs: event.timeMs, ops: event.ops.map(repoOp) };
    }
    if (event.kind === 'account') return null;
    const handle = this.#graph.state.actors.handle(event.actor);
    return identityEntry(did, handle, event.timeMs);
  }
}

function identityEntry(did: string, handle: string, eventMs: number): IdentityEntry {
  const keysJson = `{"atproto":{"Type":"Multikey","PublicKeyMultibase":"z${did.slice(8)}${did.slice(8, 32)}"}}`;
  const servicesJson = '{"atproto_pds":{"Type":"AtprotoPersonalDataServer","URL":"http://127.0.0.1:2583"}}';
  return { kind: 'identity', did, handle, verifiedAtMs: eventMs, keysJson, servicesJson, eventMs };
}

/** Yields log entries: a commit for each commit, an identity for each join and change of handle. */
export function* graphEntries(options: GraphOutputOptions): Generator<CommitEntry | IdentityEntry, void, undefined> {
  const { graph, events } = openGraphEvents(options);
  const maker = new EntryMaker(graph);
  for (const event of events) {
    const entry = maker.entryOf(event);
    if (entry !== null) yield entry;
  }
}

/** Turns events into firehose messages, seqs ascending from 1. */
export class FrameMaker {
  readonly #graph: SocialGraph;
  readonly #revs: (string | undefined)[] = [];
  readonly #writer = new CborWriter();
  #seq = 0;

  constructor(graph: SocialGraph) {
    this.#graph = graph;
  }

  frameOf(event: GraphEvent): Buffer {
    const seq = ++this.#seq;
    const did = this.#graph.state.actors.did(event.actor);
    if (event.kind === 'commit') return this.#commitFrame(seq, did, event);
    const frame = { seq, did, time: new Date(event.timeMs).toISOString() };
    if (event.kind === 'account') return encodeAccountFrame(frame, event.active ? null : 'deactivated');
    return encodeIdentityFrame(frame, this.#graph.state.actors.handle(event.actor));
  }

  #commitFrame(seq: number, did: string, event: GraphCommit): Buffer {
    const since = this.#revs[event.actor] ?? null;
    this.#revs[event.actor] = event.rev;
    const node = this.#block(this.#treeNode(event.ops));
    const commit = this.#block(this.#commitBlock(did, event.rev, node.cid));
    const blocks = [commit, node];
    const ops = event.ops.map((op) => {
      if (op.cid !== null) blocks.push({ cid: op.cid, bytes: op.block! });
      return { action: op.action, path: `${op.collection}/${op.rkey}`, cid: op.cid, prev: null };
    });
    return encodeCommitFrame({
      seq,
      did,
      rev: event.rev,
      since,
      time: new Date(event.timeMs).toISOString(),
      commit: commit.cid,
      prevData: since === null ? null : node.cid,
      blocks: encodeCar(commit.cid, blocks),
      ops,
    });
  }

  #block(bytes: Buffer): Block {
    return { cid: cidOfBlock(bytes).bytes, bytes };
  }

  /** Encodes one tree node over the records of the commit. */
  #treeNode(ops: readonly GraphOp[]): Buffer {
    const leaves = ops.flatMap((op) => (op.cid === null ? [] : [{ key: `${op.collection}/${op.rkey}`, cid: op.cid }]));
    leaves.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#writer.map(2).text('e').array(leaves.length);
    let last = '';
    for (const { key, cid } of leaves) {
      let shared = 0;
      while (shared < last.length && last[shared] === key[shared]) shared++;
      this.#writer
        .map(4)
        .text('k')
        .bytes(Buffer.from(key.slice(shared), 'latin1'));
      this.#writer.text('p').integer(shared).text('t').null().text('v').link(cid);
      last = key;
    }
    return this.#writer.text('l').null().finish();
  }

  #commitBlock(did: string, rev: string, data: Uint8Array): Buffer {
    this.#writer.map(6).text('did').text(did).text('rev').text(rev);
    this.#writer.text('sig').bytes(noSignature).text('data').link(data).text('prev').null();
    return this.#writer.text('version').integer(3).finish();
  }
}

/** Not a signature, but as long as one. */
const noSignature = Buffer.alloc(64, 7);

export function* graphFrames(options: GraphOutputOptions): Generator<Buffer, void, undefined> {
  const { graph, events } = openGraphEvents(options);
  const maker = new FrameMaker(graph);
  for (const event of events) yield maker.frameOf(event);
}
