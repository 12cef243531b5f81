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

/** What is asked of one node. `indexOf` gives the place of a DID in `dids` by its id, -1 while it has none. */
type NodeProbes = {
  readonly node: number;
  readonly dids: string[];
  readonly indexOf: number[];
  readonly probes: EdgeProbe[];
  /** Where the answers go. */
  readonly tickets: number[];
};

/** Gathers probes, asks them once, then tells their outcomes by ticket. */
export class EdgeProbes {
  readonly #fanOut: FanOut;
  readonly #batchByNode: (NodeProbes | undefined)[] = [];
  readonly #idByDid = new Map<string, number>();
  readonly #dids: string[] = [];
  /** By the id of a DID; -1 for what is no DID. */
  readonly #nodes: number[] = [];
  /** By ticket. */
  readonly #owners: number[] = [];
  readonly #kinds: ProbeKind[] = [];
  #rkeys: string[] = [];

  constructor(fanOut: FanOut) {
    this.#fanOut = fanOut;
  }

  /** Returns the id by which probes name a DID. */
  did(did: string): number {
    const known = this.#idByDid.get(did);
    if (known !== undefined) return known;
    const id = this.#dids.push(did) - 1;
    this.#idByDid.set(did, id);
    const slot = slotOfDidText(did, this.#fanOut.map.slots);
    this.#nodes.push(slot < 0 ? -1 : this.#fanOut.nodeBySlot[slot]!);
    return id;
  }

  #place(batch: NodeProbes, id: number): number {
    const { indexOf, dids } = batch;
    while (indexOf.length <= id) indexOf.push(-1);
    if (indexOf[id]! < 0) indexOf[id] = dids.push(this.#dids[id]!) - 1;
    return indexOf[id]!;
  }

  /** Returns the ticket of a probe; owner and subject are ids. What is no DID has no edges, as on the official plane. */
  add(owner: number, kind: ProbeKind, subject: number): number {
    const ticket = this.#owners.push(owner) - 1;
    this.#kinds.push(kind);
    const node = this.#nodes[owner]!;
    if (node < 0 || this.#nodes[subject]! < 0) return ticket;
    let batch = this.#batchByNode[node];
    if (batch === undefined) {
      batch = { node, dids: [], indexOf: [], probes: [], tickets: [] };
      this.#batchByNode[node] = batch;
    }
    batch.probes.push({ owner: this.#place(batch, owner), kind, subject: this.#place(batch, subject) });
    batch.tickets.push(ticket);
    return ticket;
  }

  /** Asks the nodes. */
  async ask(deadlineMs: number): Promise<void> {
    const batches = this.#batchByNode.filter((batch) => batch !== undefined);
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
    if (rkey === '') return '';
    return `at://${this.#dids[this.#owners[ticket]!]!}/${collectionOfKind[this.#kinds[ticket]!]}/${rkey}`;
  }
}
