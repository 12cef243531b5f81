/**
 * Probes of outgoing edges, each in the slot of the edge's owner, gathered into one message a node.
 *
 * Every relation is asked in its own direction: "does A block B" in A's slot, "does B block A" in B's. DIDs stay bytes of the request.
 */
import { probedEdges } from '../../atproto/edge-kind.ts';
import { varintBytes, writeVarint } from '../../proto/fields.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { type EdgeProbe, encodeProbes, openProbesAnswer } from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { slotOfDid } from '../plan/slot-finder.ts';

/** What stands between the DID and the rkey of an edge's URI. */
const pathByKind: { readonly [bit: number]: Buffer } = Object.fromEntries(
  probedEdges.map((edge) => [edge.probeBit, Buffer.from(`/${edge.collection}/`)]),
);
const uriHead = Buffer.from('at://');
/** Places for rkeys in each ticket: as many as the greatest kind. */
const placesPerTicket = Math.max(...probedEdges.map((edge) => edge.probeBit));

/** What is asked of one node. */
type NodeProbes = {
  readonly node: number;
  /** Ids of the DIDs that its message lists. */
  readonly listed: number[];
  /** Place of a DID in `listed` by its id, -1 while it has none. */
  readonly placeOf: Int32Array;
  readonly probes: EdgeProbe[];
  /** Where the answers go. */
  readonly tickets: number[];
};

/** Gathers probes, asks them once, then writes the URIs of the edges that were found, by ticket and kind. */
export class EdgeProbes {
  readonly #fanOut: FanOut;
  readonly #source: Buffer;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** By the id of a DID; -1 for what is no DID. */
  readonly #nodes: number[] = [];
  readonly #batchByNode: (NodeProbes | undefined)[] = [];
  /** Ids, by ticket. */
  readonly #owners: number[] = [];
  /** By ticket and kind: the answer that holds the rkey and where it stands there; an empty place for no edge. */
  readonly #answers: Buffer[] = [];
  #rkeyStarts = new Int32Array(0);
  #rkeyEnds = new Int32Array(0);

  /** `request` is copied, since it must not be kept. */
  constructor(fanOut: FanOut, request: Buffer) {
    this.#fanOut = fanOut;
    this.#source = Buffer.from(request);
  }

  /** Returns the id by which probes name the DID at `start..end` of the request. All are named before the first probe. */
  did(start: number, end: number): number {
    const slot = slotOfDid(this.#source, start, end, this.#fanOut.map.slots);
    this.#nodes.push(slot < 0 ? -1 : this.#fanOut.nodeBySlot[slot]!);
    this.#starts.push(start);
    return this.#ends.push(end) - 1;
  }

  #place({ placeOf, listed }: NodeProbes, id: number): number {
    if (placeOf[id]! < 0) placeOf[id] = listed.push(id) - 1;
    return placeOf[id]!;
  }

  /**
   * Returns the ticket of a probe for edges of some kinds; owner and subject are ids.
   *
   * What is no DID has no edges, as on the official plane.
   */
  add(owner: number, kinds: number, subject: number): number {
    const ticket = this.#owners.push(owner) - 1;
    const node = this.#nodes[owner]!;
    if (node < 0 || this.#nodes[subject]! < 0) return ticket;
    let batch = this.#batchByNode[node];
    if (batch === undefined) {
      const placeOf = new Int32Array(this.#nodes.length).fill(-1);
      batch = { node, listed: [], placeOf, probes: [], tickets: [] };
      this.#batchByNode[node] = batch;
    }
    batch.probes.push({ owner: this.#place(batch, owner), kinds, subject: this.#place(batch, subject) });
    batch.tickets.push(ticket);
    return ticket;
  }

  /** Asks the nodes. */
  async ask(deadlineMs: number): Promise<void> {
    const batches = this.#batchByNode.filter((batch) => batch !== undefined);
    const dids = { source: this.#source, starts: this.#starts, ends: this.#ends };
    const questions = batches.map(({ node, listed, probes }) => ({
      node,
      payload: encodeProbes(dids, listed, probes),
    }));
    const answers = await this.#fanOut.askAll(nodeCalls.probeEdges, questions, deadlineMs);
    const places = this.#owners.length * placesPerTicket;
    this.#rkeyStarts = new Int32Array(places);
    this.#rkeyEnds = new Int32Array(places);
    for (let index = 0; index < batches.length; index++) this.#takeAnswer(batches[index]!, answers[index]!);
  }

  /** Errors: DataPlaneError `Internal` when the node answered too few or too many. */
  #takeAnswer({ probes, tickets }: NodeProbes, answer: Uint8Array): void {
    const reader = openProbesAnswer(answer);
    for (let index = 0; index < tickets.length; index++) {
      const ticket = tickets[index]!;
      const { kinds } = probes[index]!;
      for (let kind = 1; kind <= kinds; kind *= 2) {
        if ((kinds & kind) === 0) continue;
        const at = ticket * placesPerTicket + kind - 1;
        this.#rkeyStarts[at] = reader.lengthDelimitedRange();
        this.#rkeyEnds[at] = reader.position;
      }
      this.#answers[ticket] = reader.buffer;
    }
    reader.end();
  }

  /** Returns the bytes of the URI of the record that makes an edge, 0 when there is none. `kind` is one bit. */
  uriBytes(ticket: number, kind: number): number {
    const at = ticket * placesPerTicket + kind - 1;
    const rkeyBytes = this.#rkeyEnds[at]! - this.#rkeyStarts[at]!;
    if (rkeyBytes === 0) return 0;
    const owner = this.#owners[ticket]!;
    return uriHead.length + this.#ends[owner]! - this.#starts[owner]! + pathByKind[kind]!.length + rkeyBytes;
  }

  /** Returns the bytes of the field that `writeUriField` writes. */
  uriFieldBytes(ticket: number, kind: number): number {
    const bytes = this.uriBytes(ticket, kind);
    return bytes === 0 ? 0 : 1 + varintBytes(bytes) + bytes;
  }

  /** Writes the URI as a field, nothing when there is no edge. Returns the position behind it. Shape: `number` is below 16. */
  writeUriField(into: Buffer, position: number, number: number, ticket: number, kind: number): number {
    const bytes = this.uriBytes(ticket, kind);
    if (bytes === 0) return position;
    const owner = this.#owners[ticket]!;
    const rkeyAt = ticket * placesPerTicket + kind - 1;
    let at = writeVarint(into, position, number * 8 + wireType.lengthDelimited);
    at = writeVarint(into, at, bytes);
    at += uriHead.copy(into, at);
    at += this.#source.copy(into, at, this.#starts[owner]!, this.#ends[owner]!);
    at += pathByKind[kind]!.copy(into, at);
    return at + this.#answers[ticket]!.copy(into, at, this.#rkeyStarts[rkeyAt]!, this.#rkeyEnds[rkeyAt]!);
  }
}
