/**
 * Probes of outgoing edges, each in the slot of the edge's owner, gathered into one message a node.
 *
 * Every relation is asked in its own direction: "does A block B" in A's slot, "does B block A" in B's.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import {
  decodeTexts,
  type EdgeProbe,
  encodeProbeEdges,
  type ProbeKind,
  probeKind,
  slotCalls,
} from '../wire/read-messages.ts';
import type { FanOut } from './fan-out.ts';
import { slotOfDidText } from './slot-finder.ts';

const collectionOfKind: { readonly [Kind in ProbeKind]: string } = {
  [probeKind.follow]: 'app.bsky.graph.follow',
  [probeKind.block]: 'app.bsky.graph.block',
};

type NodeProbes = {
  readonly node: number;
  readonly dids: string[];
  readonly indexByDid: Map<string, number>;
  readonly probes: EdgeProbe[];
  /** Where the answers go. */
  readonly tickets: number[];
};

function indexOf(batch: NodeProbes, did: string): number {
  let index = batch.indexByDid.get(did);
  if (index === undefined) {
    index = batch.dids.push(did) - 1;
    batch.indexByDid.set(did, index);
  }
  return index;
}

/** Gathers probes, asks them once, then tells their outcomes by ticket. */
export class EdgeProbes {
  readonly #fanOut: FanOut;
  readonly #batchByNode = new Map<number, NodeProbes>();
  /** Node by owner, -1 for what is no DID: the same few owners come again and again. */
  readonly #nodeByOwner = new Map<string, number>();
  readonly #owners: string[] = [];
  readonly #kinds: ProbeKind[] = [];
  #rkeys: string[] = [];

  constructor(fanOut: FanOut) {
    this.#fanOut = fanOut;
  }

  #nodeOf(did: string): number {
    let node = this.#nodeByOwner.get(did);
    if (node === undefined) {
      const slot = slotOfDidText(did, this.#fanOut.map.slots);
      node = slot < 0 ? -1 : this.#fanOut.nodeBySlot[slot]!;
      this.#nodeByOwner.set(did, node);
    }
    return node;
  }

  /** Returns the ticket of a probe. What is no DID has no edges, as on the official plane. */
  add(owner: string, kind: ProbeKind, subject: string): number {
    const ticket = this.#owners.push(owner) - 1;
    this.#kinds.push(kind);
    const node = this.#nodeOf(owner);
    if (node < 0 || this.#nodeOf(subject) < 0) return ticket;
    let batch = this.#batchByNode.get(node);
    if (batch === undefined) {
      batch = { node, dids: [], indexByDid: new Map(), probes: [], tickets: [] };
      this.#batchByNode.set(node, batch);
    }
    batch.probes.push({ owner: indexOf(batch, owner), kind, subject: indexOf(batch, subject) });
    batch.tickets.push(ticket);
    return ticket;
  }

  get count(): number {
    return this.#owners.length;
  }

  async ask(deadlineMs: number): Promise<void> {
    const batches = [...this.#batchByNode.values()];
    const questions = batches.map((batch) => ({ node: batch.node, payload: encodeProbeEdges(batch) }));
    const answers = await this.#fanOut.askAll(slotCalls.probeEdges, questions, deadlineMs);
    this.#rkeys = new Array<string>(this.#owners.length).fill('');
    for (let index = 0; index < batches.length; index++) {
      const { tickets } = batches[index]!;
      const rkeys = decodeTexts(answers[index]!);
      if (rkeys.length !== tickets.length) {
        throw new DataPlaneError(
          'Internal',
          `${slotCalls.probeEdges}: ${rkeys.length} answers to ${tickets.length} probes`,
        );
      }
      for (let at = 0; at < tickets.length; at++) this.#rkeys[tickets[at]!] = rkeys[at]!;
    }
  }

  /** Returns the URI of the edge's record, or '' when there is none. */
  uri(ticket: number): string {
    const rkey = this.#rkeys[ticket]!;
    return rkey === '' ? '' : `at://${this.#owners[ticket]!}/${collectionOfKind[this.#kinds[ticket]!]}/${rkey}`;
  }
}
