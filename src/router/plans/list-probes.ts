/**
 * Probes of lists: whether an actor is on a list to which another one subscribes, asked in the
 * actor's slot. Only subscriptions travel: the lists that an actor is on may be far more.
 */
import { readRecordRef, recordUri } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { encodeListProbes, type ListProbe, openListedAnswer, type RawLists } from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import type { PlanContext } from '../plan/plan.ts';
import { looksPerItem } from '../plan/weight.ts';
import type { EdgeProbes } from './edge-probes.ts';

/** Lists times actors of a request; more are refused. */
const looksMax = 2_000_000;

/** The message to one node; lists are sent once for all actors of a subscriber. */
type NodeProbes = {
  readonly node: number;
  readonly listed: number[];
  /** By id of a DID: its index in `listed`, or -1. */
  readonly indexOfDid: Int32Array;
  readonly lists: RawLists[];
  readonly probes: ListProbe[];
  readonly probeIds: number[];
};

/** Returns the URI of a list; all are read up to it. Errors: `Internal` for a malformed one. */
function listUriOf({ bytes }: RawLists, index: number): string {
  const reader = peerReader(bytes, nodeCalls.listed);
  for (let left = index; left > 0; left--) reader.lengthDelimitedRange();
  return recordUri(readRecordRef(peerReader(reader.lengthDelimited(), nodeCalls.listed)));
}

/** Returns the URIs of lists. */
export function listUrisOf({ bytes, count }: RawLists): string[] {
  const reader = peerReader(bytes, nodeCalls.listed);
  return Array.from({ length: count }, () =>
    recordUri(readRecordRef(peerReader(reader.lengthDelimited(), nodeCalls.listed))),
  );
}

function indexIn(indexes: Map<RawLists, number>, all: RawLists[], lists: RawLists): number {
  let index = indexes.get(lists);
  if (index === undefined) {
    index = all.push(lists) - 1;
    indexes.set(lists, index);
  }
  return index;
}

/** Collects probes, sends them once; each then has the list that it found. */
export class ListProbes {
  readonly #dids: EdgeProbes['dids'];
  readonly #batchByNode: (NodeProbes & { readonly indexOfLists: Map<RawLists, number> })[] = [];
  readonly #listsOf: RawLists[] = [];
  /** The probes that found a list, and the index of it. */
  readonly #found = new Map<number, number>();
  #looks = 0;

  /** The actors are those of probes of edges. */
  constructor({ dids }: EdgeProbes) {
    this.#dids = dids;
  }

  /** Adds a probe of the DID with id `subject`, and returns the probe's id. */
  add(subject: number, lists: RawLists): number {
    const probe = this.#listsOf.push(lists) - 1;
    const node = this.#dids.nodes[subject]!;
    if (node < 0) return probe;
    let batch = this.#batchByNode[node];
    if (batch === undefined) {
      const indexOfDid = new Int32Array(this.#dids.nodes.length).fill(-1);
      batch = { node, listed: [], indexOfDid, lists: [], indexOfLists: new Map(), probes: [], probeIds: [] };
      this.#batchByNode[node] = batch;
    }
    if (batch.indexOfDid[subject]! < 0) batch.indexOfDid[subject] = batch.listed.push(subject) - 1;
    batch.probes.push({ subject: batch.indexOfDid[subject]!, lists: indexIn(batch.indexOfLists, batch.lists, lists) });
    batch.probeIds.push(probe);
    this.#looks += lists.count;
    return probe;
  }

  /** Errors: DataPlaneError `ResourceExhausted` for too many lists times actors. */
  async ask(context: PlanContext): Promise<void> {
    const { fanOut, deadlineMs } = context;
    if (this.#looks > looksMax)
      throw new DataPlaneError('ResourceExhausted', `${nodeCalls.listed}: more than ${looksMax} lists times actors`);
    context.admit(Math.ceil(this.#looks / looksPerItem));
    const batches = this.#batchByNode.filter((batch) => batch !== undefined);
    const subRequests = batches.map(({ node, listed, lists, probes }) => ({
      node,
      payload: encodeListProbes(this.#dids, listed, lists, probes),
    }));
    const answers = await fanOut.askAll(nodeCalls.listed, subRequests, deadlineMs);
    for (let index = 0; index < batches.length; index++) this.#takeAnswer(batches[index]!, answers[index]!);
  }

  /** Errors: DataPlaneError `Internal` if the node answered what was not asked. */
  #takeAnswer({ probeIds }: NodeProbes, answer: Uint8Array): void {
    const reader = openListedAnswer(answer);
    let index = -1;
    for (let step = reader.varint(); step > 0; step = reader.varint()) {
      index += step;
      const probe = probeIds[index] ?? reader.fail('a probe that was not sent');
      const list = reader.varint();
      if (list >= this.#listsOf[probe]!.count) reader.fail('a list that was not asked for');
      this.#found.set(probe, list);
    }
    reader.end();
  }

  /** Yields the probes that found a list, and its URI. */
  *found(): Generator<[probe: number, uri: string]> {
    for (const [probe, list] of this.#found) yield [probe, listUriOf(this.#listsOf[probe]!, list)];
  }
}
