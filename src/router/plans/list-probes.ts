/**
 * Probes of lists: whether an actor is on a list to which another one subscribes, asked in the
 * actor's slot. Only subscriptions travel: the lists that an actor is on may be far more.
 */
import { readRecordRef, recordUri } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeListedAnswer, encodeListProbes, type ListProbe, type RawLists } from '../../wire/edge-messages.ts';
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
  readonly indexOfDid: Map<number, number>;
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

function indexIn<Value>(indexes: Map<Value, number>, values: Value[], value: Value): number {
  let index = indexes.get(value);
  if (index === undefined) {
    index = values.push(value) - 1;
    indexes.set(value, index);
  }
  return index;
}

/** Collects probes, sends them once; each then has the list that it found. */
export class ListProbes {
  readonly #dids: EdgeProbes['dids'];
  readonly #batchByNode: (NodeProbes & { readonly indexOfLists: Map<RawLists, number> })[] = [];
  readonly #listsOf: RawLists[] = [];
  readonly #found: number[] = [];
  #looks = 0;

  /** The actors are those of probes of edges. */
  constructor({ dids }: EdgeProbes) {
    this.#dids = dids;
  }

  /** Adds a probe of the DID with id `subject`, and returns the probe's id. */
  add(subject: number, lists: RawLists): number {
    const probe = this.#listsOf.push(lists) - 1;
    this.#found.push(-1);
    const node = this.#dids.nodes[subject]!;
    if (node < 0) return probe;
    let batch = this.#batchByNode[node];
    if (batch === undefined) {
      batch = { node, listed: [], indexOfDid: new Map(), lists: [], indexOfLists: new Map(), probes: [], probeIds: [] };
      this.#batchByNode[node] = batch;
    }
    const index = indexIn(batch.indexOfDid, batch.listed, subject);
    batch.probes.push({ subject: index, lists: indexIn(batch.indexOfLists, batch.lists, lists) });
    batch.probeIds.push(probe);
    this.#looks += lists.count;
    return probe;
  }

  /** Errors: DataPlaneError `ResourceExhausted` for too many lists times actors. */
  async ask({ fanOut, deadlineMs, admit }: PlanContext): Promise<void> {
    if (this.#looks > looksMax)
      throw new DataPlaneError('ResourceExhausted', `${nodeCalls.listed}: more than ${looksMax} lists times actors`);
    admit(Math.ceil(this.#looks / looksPerItem));
    const batches = this.#batchByNode.filter((batch) => batch !== undefined);
    const subRequests = batches.map(({ node, listed, lists, probes }) => ({
      node,
      payload: encodeListProbes(this.#dids, listed, lists, probes),
    }));
    const answers = await fanOut.askAll(nodeCalls.listed, subRequests, deadlineMs);
    for (let index = 0; index < batches.length; index++) {
      const { probeIds } = batches[index]!;
      const found = decodeListedAnswer(answers[index]!, probeIds.length);
      for (let at = 0; at < probeIds.length; at++) this.#take(probeIds[at]!, found[at]!);
    }
  }

  #take(probe: number, found: number): void {
    if (found >= this.#listsOf[probe]!.count)
      throw new DataPlaneError('Internal', `${nodeCalls.listed}: a node found a list that was not asked for`);
    this.#found[probe] = found;
  }

  /** Returns the URI of the list that a probe found, or ''. */
  listUri(probe: number): string {
    const found = this.#found[probe]!;
    if (found < 0) return '';
    return listUriOf(this.#listsOf[probe]!, found);
  }
}
